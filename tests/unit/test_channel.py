"""`make channel`: what a kind of board is offered, by the deploy's own code, with no board reached; and who gets it."""

import json
import os
import re
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.build.artifact import MANIFEST, Build, FileEntry, Manifest, Proof
from deploy.cpu import find_cpu
from deploy.errors import BoardllamaError
from deploy.fleet.channel import destination
from deploy.fleet.channel.destination import Destination, destination_of
from deploy.fleet.channel.phases import BoardReport, next_record, phase_sentence, read_reports
from deploy.fleet.channel.publish import is_settled, wanted_record
from deploy.fleet.channel.receiver import ReportServer
from deploy.fleet.channel.record import KindRecord, Offering, read_record
from deploy.fleet.channel.repository import BY_HASH, INDEXES_KEPT
from deploy.fleet.channel.subscribe import subscription_files
from deploy.hosts.release import sha256_hex
from deploy.onboard.channel.offered import newest_offered
from deploy.onboard.places import PROGRAMS
from deploy.paths import REPO
from tests.unit.pulling_board import KIND, NOON, channel_fields, keys, offer, publish
from tests.unit.test_plan import GROUP_DATA, PI_5, PYINFRA, a_board, deploy
from tests.unit.test_settings import told as given

__all__ = ["keys"]

HOUR = "2026-11-01T{:02}:00:00+00:00"
INVENTORY = 'builders = ["@local"]\nchannels = [("@kind/rpi5", {"model": "smoke"})]\n'


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


def test_a_channel_is_settled_until_its_settings_change_or_half_its_time_is_over(tmp_path: Path, keys: Path) -> None:
    wanted = offer(tmp_path / "made")
    publish(tmp_path / "channel", wanted, channel_phases=[0])

    def settled(days: float = 0, **settings: Any) -> bool:
        fields = channel_fields(**{"channel_phases": [0], **settings})
        place, now = Destination(tmp_path / "channel"), NOON + timedelta(days=days)
        return is_settled(place, KIND, wanted_record(place, wanted, fields, now), fields, now)

    assert settled()
    assert settled(14)
    assert not settled(16)
    assert not settled(channel_phases=[100])
    assert not settled(2, channel_canaries=0), "its phase is over"


def test_what_no_reader_can_ask_for_any_more_is_removed(tmp_path: Path, keys: Path) -> None:
    offers = [offer(tmp_path / "made", f'{{"a": {number}}}', model=b"GGUF" * (1000 + number)) for number in range(6)]
    for hour, one in enumerate(offers):
        publish(tmp_path / "channel", one, hours=hour)
    there = {path.name for path in (tmp_path / "channel/pool").iterdir()}
    assert not any(offers[0].release.id in name for name in there)
    assert all(any(one.release.id in name for name in there) for one in offers[-INDEXES_KEPT // 2 :])
    assert offers[0].models[0].sha256 not in {path.name for path in (tmp_path / "channel/models").iterdir()}
    assert offers[-1].models[0].sha256 in {path.name for path in (tmp_path / "channel/models").iterdir()}


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


@pytest.mark.parametrize("dest", ["", "https://example.org/x", "s3://bucket/x"])
def test_a_destination_that_is_none_is_refused(dest: str) -> None:
    with pytest.raises(BoardllamaError, match=r"^DEST is .*: must be a folder .*, or user@host:path"):
        destination_of(dest)


def test_a_destination_elsewhere_has_a_copy_here(tmp_path: Path, keys: Path) -> None:
    found = destination_of("www@updates.example:/srv/boards/")
    assert found.address == "www@updates.example:/srv/boards"
    assert found.folder.is_relative_to(tmp_path / "cache")
    assert destination_of(str(tmp_path / "x")).address == ""


def test_whoever_reads_a_copy_while_it_is_made_finds_what_it_names(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there"
    real, seen = destination.run_rsync, []

    def looked_at(*words: str) -> None:
        real(*words)
        signed = there / "dists/stable/InRelease"
        named = re.findall(r"^ ([0-9a-f]{64}) +\d+ \S+Packages", signed.read_text(), re.M) if signed.exists() else []
        assert all((there / BY_HASH / name).exists() for name in named)
        seen.append(len(named))

    monkeypatch.setattr(destination, "run_rsync", looked_at)
    for hour in range(2):
        publish(tmp_path / "here", offer(tmp_path / "made", f'{{"a": {hour}}}'), hours=hour)
        Destination(tmp_path / "here", str(there)).upload("now")
    assert seen == [0, 0, 2, 2, 2, 2, 2, 2], "InRelease comes last"
    ours = (".lock", ".uploaded")
    here = {path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*") if path.name not in ours}
    assert {path.relative_to(there) for path in there.rglob("*")} == here


def test_an_upload_that_failed_is_made_up_for(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, place = offer(tmp_path / "made"), Destination(tmp_path / "here", "www@updates.example:/srv/www")
    publish(place.folder, wanted)
    told, failures = channel_fields(), iter([True, False])

    def copy(*_: str) -> None:
        if next(failures, False):
            raise BoardllamaError("no route to host")

    monkeypatch.setattr(destination, "run_rsync", copy)
    signed, record = read_record(place.folder).signed, wanted_record(place, wanted, told, NOON)
    with pytest.raises(BoardllamaError, match="no route to host"):
        place.upload(signed)
    assert not is_settled(place, KIND, record, told, NOON)
    place.upload(signed)
    assert is_settled(place, KIND, record, told, NOON)


def stand_in_build(cache: Path) -> None:
    """A finished build for the boards of INVENTORY, in a controller's cache."""
    build = Build(given().source, find_cpu("cortex-a76"))
    folder = cache / "builds" / build.name
    folder.mkdir(parents=True)
    files = {}
    for name in PROGRAMS:
        (folder / name).write_bytes(name.encode())
        files[name] = FileEntry(sha256=sha256_hex(name.encode()), size=len(name))
    proof = Proof(glibc="2.28", instructions={}, version="1", ran_on="max")
    made = Manifest(name=build.name, key=build.key, inputs={}, build_info=build.build_info, files=files, proof=proof)
    (folder / MANIFEST).write_text(made.model_dump_json())


def run_kinds(folder: Path, before: Sequence[str] = (), **settings: object) -> subprocess.CompletedProcess[str]:
    """Runs the deploy as `make channel` and `make bundle` do. `before`: what stands before the command."""
    (folder / "fleet.py").write_text(INVENTORY)
    told = [word for name, value in settings.items() for word in ("--data", f"{name}={value}")]
    words = ["--limit", "builders", "--limit", "channels", *told]
    options = ["-y", *words, "--json", "--group-data", str(GROUP_DATA)]
    command = [*before, str(PYINFRA), *options, str(folder / "fleet.py"), "deploy.py"]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False, env=os.environ)


def test_the_deploys_own_code_makes_the_release_and_a_second_run_changes_nothing(tmp_path: Path, keys: Path) -> None:
    stand_in_build(tmp_path / "cache")
    first = run_kinds(tmp_path, channel_dest=tmp_path / "channel")
    assert first.returncode == 0, first.stderr
    record = read_record(tmp_path / "channel").kinds[KIND]
    assert {path.name for path in (tmp_path / "channel/pool").iterdir()} == set(record.offering.debs)
    there = {path: path.read_bytes() for path in (tmp_path / "channel").rglob("*") if path.is_file()}
    second = run_kinds(tmp_path, channel_dest=tmp_path / "channel")
    assert second.returncode == 0, second.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "channel").rglob("*") if path.is_file()} == there
    assert json.loads(second.stdout)["results"]["totals"]["success"] == 0, second.stdout


def channel_plan(folder: Path, **data: Any) -> list[str]:
    """The operations of the channel that a deploy would do on a board with that data."""
    done = deploy(folder, [a_board(PI_5, **data)], "--dry", builder="@fake/builder")
    assert done.returncode == 0, done.stderr
    return [one["name"] for one in json.loads(done.stdout)["plan"] if one["name"].startswith("Channel | ")]


def test_a_board_follows_a_channel_where_it_is_told_to(tmp_path: Path, keys: Path) -> None:
    told = {"channel_url": "http://updates.example/boards", "channel_kind": KIND}
    assert channel_plan(tmp_path, name="pulls", **told) == [
        "Channel | Write what the board is told of its channel",
        "Channel | Have the board look at its channel",
    ]
    assert channel_plan(tmp_path, name="does not") == []


def test_a_board_whose_kind_is_not_known_is_told_what_to_say(tmp_path: Path, keys: Path) -> None:
    done = deploy(
        tmp_path, [a_board(PI_5, "b", channel_url="http://updates.example")], "--dry", builder="@fake/builder"
    )
    assert "is in no group that is named as a board: channel_kind must say whose releases it gets" in done.stderr


def test_what_apt_would_not_read_is_never_put_in_its_place(tmp_path: Path) -> None:
    files = subscription_files(given(channel_url="http://u.example"), KIND)
    apt = next(file for file in files if "apt.conf" in file.dest)
    for text, status in ((apt.content, 0), ("Dir::State", 100)):
        (tmp_path / "new").write_text(text)
        done = subprocess.run(f"{apt.before} {tmp_path / 'new'}", shell=True, capture_output=True, check=False)
        assert done.returncode == status, done


def test_an_index_never_has_the_time_of_the_one_before(tmp_path: Path, keys: Path) -> None:
    times = []
    for number in range(3):
        publish(tmp_path / "channel", offer(tmp_path / "made", f'{{"a": {number}}}'), hours=number)
        times.append(int((tmp_path / "channel/dists/stable/InRelease").stat().st_mtime))
    assert times == sorted(set(times)), "boards ask whether it is newer, in seconds"
