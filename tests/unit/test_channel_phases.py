"""Who gets a release of a channel, and when: phases, and what boards report."""

import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from deploy.fleet.channel.phases import BoardReport, next_record, phase_sentence, read_reports
from deploy.fleet.channel.receiver import ReportServer
from deploy.fleet.channel.record import KindRecord, Offering
from deploy.onboard.channel.offered import newest_offered
from tests.unit.made_offer import KIND, channel_fields, keys, offer, publish

__all__ = ["keys"]

HOUR = "2026-11-01T{:02}:00:00+00:00"


def offering(release: str, hour: int = 0) -> Offering:
    """A release that is to be offered at that hour."""
    time = HOUR.format(hour)
    return Offering(release=release, created=time, debs=("b.deb", f"{release}.deb"), models=(), phase=0, since=time)


def said(record: KindRecord, *good: bool | None) -> list[BoardReport]:
    """Reports of as many boards."""
    about = {"kind": KIND, "release": record.offering.release, "created": record.offering.created}
    return [BoardReport(board=f"b{number}", good=one, reason="it hangs", **about) for number, one in enumerate(good)]


def after(record: KindRecord, hour: int, *good: bool | None, **settings: Any) -> KindRecord:
    """The record at that hour of the day, when nothing but reports is new."""
    fields = channel_fields(**{"channel_phases": [0, 10], "channel_soak_hours": 2, **settings})
    return next_record(record, offering(record.offering.release, hour), fields, said(record, *good))


def test_a_release_goes_from_canaries_to_a_share_and_to_all() -> None:
    record = KindRecord(offering=offering("r1"))
    assert after(record, 9) == record, "nobody has said that it is good"
    assert after(record, 1, True) == record, "it has not lasted long enough"
    assert after(record, 9, True, True, channel_canaries=3) == record
    second = after(record, 9, True)
    assert (second.offering.phase, second.offering.since) == (1, HOUR.format(9))
    assert second.offering.created == record.offering.created, "it is the same release to boards that have it"
    third = after(second, 12, True, True)
    assert "offered to all boards" in phase_sentence(KIND, third, channel_fields(channel_phases=[0, 10]))
    assert after(third, 20, True) == third


def test_hours_alone_decide_where_nobody_is_to_report() -> None:
    assert after(KindRecord(offering=offering("r1")), 3, channel_canaries=0).offering.phase == 1


def test_bad_reports_stop_a_release_and_the_one_before_is_offered() -> None:
    good = KindRecord(offering=offering("r1").model_copy(update={"phase": 2}))
    fields = channel_fields(channel_phases=[0, 10])
    record = next_record(good, offering("r2", 1), fields, [])
    assert [one.release for one in record.offered] == ["r2", "r1"], "boards whose turn it is not yet"
    stopped = after(record, 2, True, False)
    assert "1 of 2 boards that tried r2 do not serve it; b1: it hangs" in stopped.stopped
    assert [one.release for one in stopped.offered] == ["r1"]
    assert after(stopped, 20, True, True) == stopped, "it does not begin again by itself"
    again = after(stopped, 21, channel_resume=True)
    assert (again.stopped, again.offering.phase, again.offering.created) == ("", 0, HOUR.format(21))
    assert next_record(stopped, offering("r3", 3), fields, []).before == record.before, "r2 never reached all boards"


def test_a_few_bad_boards_of_many_stop_nothing() -> None:
    record = KindRecord(offering=offering("r1"))
    assert not after(record, 9, *[True] * 19, False).stopped
    assert after(record, 9, *[True] * 18, False).stopped
    assert not after(record, 9, True, None, None).stopped, "boards that could not try it say nothing of the release"


def test_reports_of_other_releases_and_lines_that_are_none_count_nothing(tmp_path: Path) -> None:
    record = KindRecord(offering=offering("r1"))
    bad = [one.model_copy(update={"release": "r0"}) for one in said(record, False)]
    earlier = [one.model_copy(update={"created": HOUR.format(23)}) for one in said(record, False)]
    text = "\n".join(one.model_dump_json() for one in [*bad, *earlier, *said(record, True)])
    (tmp_path / "a.jsonl").write_text(f"{text}\nhalf a li")
    fields = channel_fields(channel_phases=[0, 10], channel_soak_hours=0)
    found = next_record(record, offering("r1", 1), fields, read_reports(tmp_path))
    assert (found.offering.phase, found.stopped) == (1, "")


def test_a_phase_has_its_share_of_boards_and_those_stay_in_the_next(tmp_path: Path, keys: Path) -> None:
    for phases in ([10], [60]):
        publish(tmp_path / str(phases), offer(tmp_path / "made"), channel_phases=phases)

    def turns(phases: list[int]) -> set[str]:
        index = tmp_path / str(phases) / "dists/stable/main/binary-arm64/Packages"
        return {f"b{number}" for number in range(500) if newest_offered(KIND, f"b{number}".__str__, index)}

    assert 25 < len(turns([10])) < 80
    assert turns([10]) < turns([60])


def test_reports_are_kept_and_what_is_none_is_not(tmp_path: Path) -> None:
    good = said(KindRecord(offering=offering("r1")), True)[0]
    with ReportServer(tmp_path / "reports", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        with urllib.request.urlopen(address, good.model_dump_json().encode(), timeout=10) as answer:
            assert answer.status == 204
        for text in (b"{}", b"x" * 5000):
            with pytest.raises(urllib.error.HTTPError, match="400"):
                urllib.request.urlopen(address, text, timeout=10)
        server.shutdown()
    assert list(read_reports(tmp_path / "reports")) == [good]
