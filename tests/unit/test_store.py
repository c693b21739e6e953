"""Large files on their way to a target: resumed, proven, put in place in one step. A real shell is the target."""

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.hosts.facts import Stored, StoredFiles
from deploy.hosts.store import BigFile, StoreError, deliver_files
from tests.unit.local_target import OWNER, LocalTarget, local, tree

CONTENT = bytes(range(256)) * 5000


@pytest.fixture(params=[local, tree])
def target(request: pytest.FixtureRequest) -> LocalTarget:
    """A fresh target."""
    return LocalTarget(request.param)


@pytest.fixture
def file(tmp_path: Path) -> BigFile:
    """A file of the controller whose name on the target a shell would act on."""
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    dest = tmp_path / "on target" / "it's; a $(model).gguf"
    return BigFile(source, str(dest), hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), owner=OWNER)


def is_there(file: BigFile) -> bool:
    """What the next run would find out without reading the file."""
    fact, store = StoredFiles(), str(Path(file.dest).parent.parent)
    printed = subprocess.run(["sh", "-c", fact.command((store,))], capture_output=True, text=True, check=True).stdout
    stored = fact.process(printed.splitlines()).get(file.dest)
    return stored is not None and stored.sha256 == file.sha256


def left_over(file: BigFile) -> list[str]:
    """Parts that lie beside the destination."""
    return [path.name for path in Path(file.dest).parent.glob("*") if path.name.endswith((".part", ".new"))]


def test_a_file_arrives_whole_and_is_known_without_reading_it(target: LocalTarget, file: BigFile) -> None:
    deliver_files(target, [file])
    assert Path(file.dest).read_bytes() == CONTENT
    assert is_there(file)
    assert left_over(file) == []


def test_a_cut_transfer_goes_on_where_it_was_cut(target: LocalTarget, file: BigFile) -> None:
    target.cut_after = 1_000_000
    with pytest.raises(StoreError, match="the connection ended; what has arrived stays there"):
        deliver_files(target, [file])
    assert not Path(file.dest).exists()
    arrived = Path(file.part_path).stat().st_size
    assert arrived > 900_000
    target.cut_after, target.fed = 1 << 30, 0
    deliver_files(target, [file])
    assert target.fed == len(f"{arrived}\n") + len(CONTENT) - arrived
    assert Path(file.dest).read_bytes() == CONTENT


def test_several_files_arrive_in_one_conversation(target: LocalTarget, file: BigFile) -> None:
    """One of them is there already, one is empty; none gets a byte of another."""
    contents = {"a": b"A" * 300_000, "b": b"", "c": CONTENT, "d": b"D"}
    files = []
    for name, content in contents.items():
        source = file.source.with_name(name)
        source.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        files.append(BigFile(source, f"{Path(file.dest).parent}/{name}", sha256, len(content), "600", OWNER))
    deliver_files(target, [files[2]])
    deliver_files(target, files)
    assert {name: Path(one.dest).read_bytes() for name, one in zip(contents, files, strict=True)} == contents
    assert all(is_there(one) and left_over(one) == [] for one in files)
    assert target.talks == 2


def test_a_source_that_became_shorter_ends_the_conversation(target: LocalTarget, file: BigFile) -> None:
    file.source.write_bytes(CONTENT[:100])
    with pytest.raises(StoreError, match=f"holds 100 bytes and should {len(CONTENT)}"):
        deliver_files(target, [file])
    assert not Path(file.dest).exists()


def test_a_rest_beside_the_whole_file_does_not_replace_it(target: LocalTarget, file: BigFile) -> None:
    deliver_files(target, [file])
    Path(file.part_path).write_bytes(CONTENT[:500])
    deliver_files(target, [file])
    assert Path(file.dest).read_bytes() == CONTENT
    assert left_over(file) == []


def test_a_damaged_rest_is_brought_again_from_the_start(target: LocalTarget, file: BigFile) -> None:
    """A power cut may leave a part of the right length that is full of zeros."""
    Path(file.dest).parent.mkdir()
    Path(file.part_path).write_bytes(bytes(700_000))
    deliver_files(target, [file])
    assert Path(file.dest).read_bytes() == CONTENT
    assert any("was damaged" in line for line in target.said)


def test_a_part_that_is_too_long_is_not_continued(target: LocalTarget, file: BigFile) -> None:
    Path(file.dest).parent.mkdir()
    Path(file.part_path).write_bytes(CONTENT + b"more")
    deliver_files(target, [file])
    assert Path(file.dest).read_bytes() == CONTENT


def test_a_rest_of_another_content_is_dropped(target: LocalTarget, file: BigFile) -> None:
    place = Path(file.dest)
    place.parent.mkdir()
    other = place.with_name(f".{place.name}.0123456789abcdef.part")
    other.write_bytes(b"old")
    deliver_files(target, [file])
    assert not other.exists()


def test_a_source_that_changed_since_it_was_pinned_replaces_nothing(target: LocalTarget, file: BigFile) -> None:
    place = Path(file.dest)
    place.parent.mkdir()
    place.write_bytes(b"the good old one")
    file.source.write_bytes(CONTENT[::-1])
    with pytest.raises(StoreError, match="what arrived is not what"):
        deliver_files(target, [file])
    assert place.read_bytes() == b"the good old one"
    assert left_over(file) == []


def test_a_file_without_a_receipt_is_proven_not_brought(target: LocalTarget, file: BigFile) -> None:
    """The power went between the rename and the receipt."""
    deliver_files(target, [file])
    Path(file.dest).with_name(f".{Path(file.dest).name}.receipt").unlink()
    target.fed = 0
    deliver_files(target, [file])
    assert target.fed == 0
    assert is_there(file)


def test_a_file_that_was_changed_on_the_target_is_noticed(target: LocalTarget, file: BigFile) -> None:
    deliver_files(target, [file])
    with Path(file.dest).open("r+b") as changed:
        changed.write(b"x")
    assert not is_there(file)
    deliver_files(target, [file])
    assert Path(file.dest).read_bytes() == CONTENT


def test_a_file_of_another_mode_owner_or_content_is_put_right(file: BigFile) -> None:
    there = Stored(file.size, file.mode, file.owner, file.sha256)
    assert file.is_at(there)
    for wrong in ({"mode": "755"}, {"owner": "pi:pi"}, {"sha256": "ab" * 32}, {"sha256": None}):
        assert not file.is_at(replace(there, **wrong)), wrong
    assert not file.is_at(None)


def test_a_running_program_can_be_replaced(target: LocalTarget, tmp_path: Path) -> None:
    """Written in place it would be ETXTBSY."""
    program = Path("/bin/sleep")
    dest = tmp_path / "sleep"
    dest.write_bytes(program.read_bytes())
    dest.chmod(0o755)
    with subprocess.Popen([dest, "60"]) as running:
        new = tmp_path / "new"
        new.write_bytes(CONTENT)
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        deliver_files(target, [BigFile(new, str(dest), sha256, len(CONTENT), "755", OWNER)])
        running.kill()
    assert dest.read_bytes() == CONTENT


def test_too_little_room_is_said_before_anything_is_brought(
    target: LocalTarget, file: BigFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.hosts.store.SPARE", 1 << 60)
    with pytest.raises(StoreError, match=r"1 MB to bring and \d+ MB free on the target"):
        deliver_files(target, [file])
    assert target.fed == 0


def test_nothing_is_brought_to_where_a_disk_is_not_mounted(target: LocalTarget, file: BigFile, tmp_path: Path) -> None:
    disk = Path(file.dest).parent.parent / "disk"
    file = replace(file, dest=f"{disk}/models/{file.name}")
    target.programs = str(tmp_path / "programs")
    # In the place of systemd, which need not run here: one mount is known to it, of which the unit's name is the path.
    shown = f'for unit in "$@"; do test "$unit" = "{disk}" && echo loaded || echo not-found; echo; done'
    for name, does in {"systemd-escape": 'shift 3; echo "$@"', "systemctl": f"shift 4; {shown}"}.items():
        program = tmp_path / "programs" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o755)
    with pytest.raises(StoreError, match=f"nothing is mounted on {disk}, where a disk is to be"):
        deliver_files(target, [file])
    assert not disk.exists()


@pytest.mark.parametrize(("words", "stays"), [("No space left on device", False), ("Input/output error", True)])
def test_a_disk_that_fills_up_is_not_left_full(
    target: LocalTarget, file: BigFile, tmp_path: Path, words: str, stays: bool
) -> None:
    """What arrived before any other failure is gone on with by the next run."""
    (tmp_path / "bin").mkdir()
    failing = tmp_path / "bin" / "dd"
    failing.write_text(f"#!/bin/sh\nhead -c 1000\necho 'dd: error writing: {words}' >&2\nexit 1\n")
    failing.chmod(0o755)
    target.programs = str(failing.parent)
    with pytest.raises(StoreError, match=f"the target could not write it: dd: error writing: {words}"):
        deliver_files(target, [file])
    assert bool(left_over(file)) == stays
