"""Bytes to a process and from it: streamed, in lines, under a deadline. The processes are the controller's own."""

import os
from pathlib import Path

import pytest

from deploy.controller.programs import Late
from deploy.errors import BoardllamaError
from deploy.image.tree import lines, lock
from deploy.image.tree.channel import Channel, Talking, arriving_file, file_blocks, get_command, put_command
from deploy.image.tree.lines import Lines, TooMuch
from deploy.image.tree.process import stream_command
from deploy.image.tree.sandbox import Sandbox


def shell(command: str, *source: bytes, patience: float = 30) -> tuple[int, bytes, bytes]:
    """Status, stdout and stderr."""
    output: list[bytes] = []
    errors: list[bytes] = []
    status = stream_command(["sh", "-c", command], source, output.append, errors.append, patience)
    return status, b"".join(output), b"".join(errors)


def test_both_outputs_and_the_status() -> None:
    assert shell("cat; echo bad >&2; exit 3", b"a", b"", b"b") == (3, b"ab", b"bad\n")


def test_more_than_pipes_hold_goes_both_ways() -> None:
    block = bytes(1 << 20)
    assert shell("cat", block, block, block) == (0, block * 3, b"")


def test_a_command_that_does_not_read_to_the_end_gives_its_reason() -> None:
    assert shell("echo full >&2; exit 1", *[bytes(1 << 20)] * 4) == (1, b"", b"full\n")


def test_silence_is_ended_and_nothing_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Late, match="no sign of life"):
        shell(f"exec cat {tmp_path}/fifo", patience=0.3)


def test_what_goes_on_for_ever_is_ended() -> None:
    with pytest.raises(Late):
        stream_command(["sh", "-c", "exec yes"], (), len, len, patience=30, longest=0.3)


def test_lines_are_cut_anywhere_and_any_bytes_are_text() -> None:
    heard: list[str] = []
    cut = Lines(heard.append)
    for part in (b"on", b"e\ntwo\n\n", b"\xff", b"rest"):
        cut.take(part)
    cut.end()
    assert heard == ["one", "two", "", "\N{REPLACEMENT CHARACTER}rest"]


def test_output_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MOST", 10)
    with pytest.raises(TooMuch):
        Lines(len).take(bytes(11))
    with pytest.raises(TooMuch):  # a line is an object: many empty ones fill a memory too
        Lines(len).take(b"\n")


class Plain(Sandbox):
    """No sandbox: the controller's own processes."""

    def command(self, *words: str) -> list[str]:
        return list(words)


@pytest.mark.parametrize("command", ["tr '\\\\0' x </dev/zero", "yes wait"])
def test_a_talk_has_lines_that_end_and_an_end(command: str, tmp_path: Path) -> None:
    """What runs in a tree may be anything."""
    talk = Talking(Channel(Plain(tmp_path, as_root=True), patience=20), f"exec {command}")
    try:
        with pytest.raises(TooMuch, match="more than a talk is long"):
            while talk.next_line():
                pass
    finally:
        talk.end()


def test_a_talk_that_drips_is_late(tmp_path: Path) -> None:
    talk = Talking(Channel(Plain(tmp_path, as_root=True), patience=0.5), "while printf x; do sleep 0.1; done")
    try:
        with pytest.raises(BoardllamaError, match="no answer"):
            talk.next_line()
    finally:
        talk.end()


def test_a_file_is_put_beside_its_place_with_mode_and_through_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real 'one'", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    assert shell(put_command(str(link)), b"new")[0] == 0
    assert (real.read_text(), real.stat().st_mode & 0o777, link.is_symlink()) == ("new", 0o640, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real 'one'"]


def test_a_file_that_cannot_be_put_leaves_the_old_one_and_no_rest(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    status, _, said = shell(put_command(str(tmp_path / "place")), b"new")
    assert (status, b"cannot overwrite directory" in said) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_only_a_regular_file_is_got(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0\xff")
    os.mkfifo(tmp_path / "fifo")
    assert shell(get_command(str(tmp_path / "file"))) == (0, b"\0\xff", b"")
    for name in ("fifo", "none"):
        assert shell(get_command(str(tmp_path / name))) == (1, b"", b"not a regular file in the tree\n")


def test_a_file_that_arrives_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.write_text("old")
    with pytest.raises(OSError, match="cut"), arriving_file(str(place)) as file:
        file.write(b"half")
        raise OSError("cut")
    assert place.read_text() == "old"
    with arriving_file(str(place)) as file:
        file.write(b"new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]


def test_a_file_is_read_in_blocks(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(3 << 18))
    with (tmp_path / "file").open("rb") as file:
        assert [len(block) for block in file_blocks(file)] == [1 << 18] * 3


def test_one_run_at_a_time_and_no_file_in_the_tree(tmp_path: Path) -> None:
    handle = lock.lock_tree(tmp_path)
    with pytest.raises(lock.InUse, match="another run works on"):
        lock.lock_tree(tmp_path)
    os.close(handle)
    os.close(lock.lock_tree(tmp_path))
    assert list(tmp_path.iterdir()) == []
