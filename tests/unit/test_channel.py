"""`make channel`: what a kind of board is offered, by the deploy's own code, with no board reached; and who gets it."""

import json
import os
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from deploy.build.artifact import MANIFEST, Build, FileEntry, Manifest, Proof
from deploy.cpu import find_cpu
from deploy.fleet.channel.destination import Destination
from deploy.fleet.channel.publish import is_settled, wanted_record
from deploy.fleet.channel.record import read_record
from deploy.fleet.channel.repository import INDEXES_KEPT
from deploy.fleet.channel.subscribe import subscription_files
from deploy.hosts.release import sha256_hex
from deploy.onboard.places import PROGRAMS
from deploy.paths import REPO
from tests.unit.made_offer import KIND, NOON, channel_fields, keys, offer, publish
from tests.unit.test_plan import PI_5, PYINFRA, a_board, deploy
from tests.unit.test_settings import told as given

__all__ = ["keys"]

INVENTORY = 'builders = ["@local"]\nchannels = [("@kind/rpi5", {"model": "smoke"})]\n'


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


def run_kinds(
    folder: Path, before: Sequence[str] = (), inventory: str = INVENTORY, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Runs the deploy as `make channel` and `make bundle` do. `before`: what stands before the command."""
    (folder / "fleet.py").write_text(inventory)
    told = [word for name, value in settings.items() for word in ("--data", f"{name}={value}")]
    words = ["--limit", "builders", "--limit", "channels", *told]
    options = ["-y", *words, "--json"]
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


def test_boards_of_a_kind_may_have_a_group_of_their_own_and_their_key_is_in_no_channel(
    tmp_path: Path, keys: Path
) -> None:
    stand_in_build(tmp_path / "cache")
    key, (folder, dest) = "swordfish-of-the-boards", (tmp_path / "group_data", tmp_path / "channel")
    folder.mkdir()
    (folder / "hall.py").write_text(f'server_host = "0.0.0.0"\napi_key = "{key}"\ncontext_size = 512\n')
    kinds = INVENTORY.replace("@kind/rpi5", "@kind/rpi5/hall")
    done = run_kinds(tmp_path, inventory=kinds, channel_dest=dest)
    assert done.returncode == 0, done.stderr
    (release,) = (dest / "pool").glob("boardllama-release-hall-*.deb")
    subprocess.run(["dpkg-deb", "-x", release, tmp_path / "unpacked"], check=True)
    texts = [path.read_bytes() for path in (tmp_path / "unpacked").rglob("*") if path.is_file()]
    assert any(b'"default_context_size": 512' in text for text in texts), "by the data of their group"
    assert not any(key.encode() in text for text in texts)


def test_a_model_for_which_the_smallest_board_of_a_kind_has_no_room_is_not_offered(tmp_path: Path, keys: Path) -> None:
    stand_in_build(tmp_path / "cache")
    done = run_kinds(tmp_path, inventory=INVENTORY.replace("smoke", "gpt-oss-20b"), channel_dest=tmp_path / "channel")
    assert done.returncode != 0
    assert "this board has 1746 MB for it (of 2055 MB)" in done.stderr, done.stderr
    assert not (tmp_path / "channel").exists()


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
