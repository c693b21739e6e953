"""Who is offered a release, and when: first the canaries, then a share of the boards, then all. Bad reports end it."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from deploy.fleet.channel.record import KindRecord, Offering
from deploy.formats.values import Frozen
from deploy.onboard.spelling import printable_text
from deploy.setting_fields import ChannelFields


class BoardReport(Frozen):
    """What a board says of a release. `good`: whether it serves it; None: it could not try."""

    board: str
    kind: str
    release: str
    created: str
    good: bool | None
    reason: str = ""


def read_reports(folder: Path) -> Iterator[BoardReport]:
    """The reports in the *.jsonl files of a folder, oldest first in each. Lines that are no report are left out."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(errors="replace").splitlines():
            with suppress(ValidationError, json.JSONDecodeError):
                yield BoardReport.model_validate_json(line)


def next_record(
    record: KindRecord | None, new: Offering, told: ChannelFields, reports: Iterable[BoardReport]
) -> KindRecord:
    """The record after what was there, when `new` is to be offered. `new.since` is the time now."""
    if record is None:
        return KindRecord(offering=new)
    again = record.stopped and told.channel_resume
    if record.offering.release != new.release or again:
        everywhere = not record.stopped and told.share_of(record.offering.phase) == 100
        return KindRecord(offering=new, before=record.offering if everywhere else record.before)
    return record if record.stopped else judged_record(record, new.since, told, reports)


def judged_record(record: KindRecord, now: str, told: ChannelFields, reports: Iterable[BoardReport]) -> KindRecord:
    """The record after the reports of boards that have the release: the same phase, the next one, or stopped."""
    offering = record.offering
    ours = (one for one in reports if (one.release, one.created) == (offering.release, offering.created))
    last = {one.board: one for one in ours if one.good is not None}
    bad = [one for one in last.values() if not one.good]
    if 100 * len(bad) > told.channel_bad_percent * len(last):
        said = bad[-1].reason.splitlines()[0] if bad[-1].reason else "no reason"
        why = f"{len(bad)} of {len(last)} boards that tried {offering.release} do not serve it; {bad[-1].board}: {said}"
        return record.model_copy(update={"stopped": printable_text(why)})  # anybody may post a report
    enough = len(last) - len(bad) >= told.channel_canaries
    rested = datetime.fromisoformat(now) - datetime.fromisoformat(offering.since) >= timedelta(
        hours=told.channel_soak_hours
    )
    if not (enough and rested) or told.share_of(offering.phase) == 100:
        return record
    return record.model_copy(
        update={"offering": offering.model_copy(update={"phase": offering.phase + 1, "since": now})}
    )


def phase_sentence(kind: str, record: KindRecord, told: ChannelFields) -> str:
    """Who is offered which release, for the run's output."""
    share, id = told.share_of(record.offering.phase), record.offering.release
    if record.stopped:
        return f"{kind}: {id} is stopped: {record.stopped}"
    if share == 100:
        return f"{kind}: {id} is offered to all boards"
    whom = f"canaries and {share} % of the boards" if share else "canaries"
    need = f"{told.channel_soak_hours:g} hours and {told.channel_canaries} good reports"
    return f"{kind}: {id} is offered to {whom}; {need} let it go on"
