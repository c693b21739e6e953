"""Large files on their way to a target: resumed, proven, put in place in one step. A real shell is the target."""

import hashlib
import os
import pwd
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import QuoteString

from deploy.facts import StoredFiles
from deploy.remote import CommandFailed, Remote
from deploy.store import BigFile, StoreError, deliver, room

OWNER = f"{pwd.getpwuid(os.getuid()).pw_name}:{os.getgid()}"
CONTENT = bytes(range(256)) * 5000


class LocalTarget(Remote):
    """A target on this machine: the same shell commands, without pyinfra's connection in between."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.fed = 0
        self.cut_after: int | None = None

    def run(self, *bits: str | QuoteString, deadline: int | None = None) -> str:
        done = subprocess.run(["sh", "-c", " ".join(map(str, bits))], capture_output=True, text=True, check=False)
        if done.returncode:
            raise CommandFailed(done.stderr.strip())
        return done.stdout.strip()

    def feed(self, source: Iterable[bytes], *bits: str | QuoteString) -> None:
        content = b"".join(source)
        self.fed += len(content)
        command = ["sh", "-c", " ".join(map(str, bits))]
        if self.cut_after is not None:
            subprocess.run(command, input=content[: self.cut_after], check=True)
            raise OSError("connection lost")
        done = subprocess.run(command, input=content, capture_output=True, check=False)
        if done.returncode:
            raise CommandFailed(done.stderr.decode())

    def say(self, line: str) -> None:
        self.said.append(line)


@pytest.fixture
def target() -> LocalTarget:
    """A fresh target."""
    return LocalTarget()


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
    deliver(target, file)
    assert Path(file.dest).read_bytes() == CONTENT
    assert is_there(file)
    assert left_over(file) == []


def test_a_cut_transfer_goes_on_where_it_was_cut(target: LocalTarget, file: BigFile) -> None:
    target.cut_after = 1_000_000
    with pytest.raises(OSError, match="connection lost"):
        deliver(target, file)
    assert not Path(file.dest).exists()
    target.cut_after, target.fed = None, 0
    deliver(target, file)
    assert target.fed == len(CONTENT) - 1_000_000
    assert Path(file.dest).read_bytes() == CONTENT


def test_a_damaged_rest_is_brought_again_from_the_start(target: LocalTarget, file: BigFile) -> None:
    """A power cut may leave a part of the right length that is full of zeros."""
    Path(file.dest).parent.mkdir()
    Path(file.part).write_bytes(bytes(700_000))
    deliver(target, file)
    assert Path(file.dest).read_bytes() == CONTENT
    assert any("was damaged" in line for line in target.said)


def test_a_part_that_is_too_long_is_not_continued(target: LocalTarget, file: BigFile) -> None:
    Path(file.dest).parent.mkdir()
    Path(file.part).write_bytes(CONTENT + b"more")
    deliver(target, file)
    assert Path(file.dest).read_bytes() == CONTENT


def test_a_rest_of_another_content_is_dropped(target: LocalTarget, file: BigFile) -> None:
    place = Path(file.dest)
    place.parent.mkdir()
    other = place.with_name(f".{place.name}.0123456789abcdef.part")
    other.write_bytes(b"old")
    assert room(target, file)[0] == 0
    assert not other.exists()


def test_a_source_that_changed_since_it_was_pinned_replaces_nothing(target: LocalTarget, file: BigFile) -> None:
    place = Path(file.dest)
    place.parent.mkdir()
    place.write_bytes(b"the good old one")
    file.source.write_bytes(CONTENT[::-1])
    with pytest.raises(StoreError, match="what arrived is not what"):
        deliver(target, file)
    assert place.read_bytes() == b"the good old one"
    assert left_over(file) == []


def test_a_file_without_a_receipt_is_proven_not_brought(target: LocalTarget, file: BigFile) -> None:
    """The power went between the rename and the receipt."""
    deliver(target, file)
    Path(file.dest).with_name(f".{Path(file.dest).name}.receipt").unlink()
    target.fed = 0
    deliver(target, file)
    assert target.fed == 0
    assert is_there(file)


def test_a_file_that_was_changed_on_the_target_is_noticed(target: LocalTarget, file: BigFile) -> None:
    deliver(target, file)
    with Path(file.dest).open("r+b") as changed:
        changed.write(b"x")
    assert not is_there(file)
    deliver(target, file)
    assert Path(file.dest).read_bytes() == CONTENT


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
        deliver(target, BigFile(new, str(dest), sha256, len(CONTENT), "755", OWNER))
        running.kill()
    assert dest.read_bytes() == CONTENT


def test_too_little_room_is_said_before_anything_is_brought(
    target: LocalTarget, file: BigFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.store.room", lambda *_: (0, 20_000_000))
    with pytest.raises(StoreError, match="1 MB to bring and 20 MB free on the target"):
        deliver(target, file)
    assert target.fed == 0


def test_a_disk_that_fills_up_is_not_left_full(target: LocalTarget, file: BigFile, monkeypatch: Any) -> None:
    def full(_source: Iterable[bytes], *_bits: str) -> None:
        Path(file.part).write_bytes(CONTENT[:1000])
        raise CommandFailed("cat: write error: No space left on device")

    monkeypatch.setattr(target, "feed", full)
    with pytest.raises(StoreError, match="No space left on device"):
        deliver(target, file)
    assert left_over(file) == []
