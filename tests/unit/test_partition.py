"""The partition with boardllama.txt: which one it is, and how it is mounted. Its programs note how they are called."""

import os
from pathlib import Path

import pytest

from deploy.onboard.identity import first_boot, partition
from deploy.onboard.identity.boardllama_txt import FILE, LABEL
from deploy.onboard.identity.partition import (
    find_partition,
    neighbours_of_root,
    on_disk_of_root,
    opened_folder,
    read_label,
)
from tests.unit.first_board import Board, board
from tests.unit.known_host import program, programs_here

__all__ = ["board", "programs_here"]


class Disks:
    """`asked`: the calls of mount and umount so far."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "asked"
        for name in ("mount", "umount"):
            self.answers(name, "exit 0")

    def answers(self, name: str, text: str) -> None:
        """What a program does from now on, after its note."""
        program(self.folder / name, f'echo {name} "$@" >>{self.log}\n{text}')

    @property
    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def disks(programs_here: Path, monkeypatch: pytest.MonkeyPatch) -> Disks:
    """Of a board whose card is /dev/card1."""
    monkeypatch.setattr(partition, "find_partition", lambda: Path("/dev/card1"))
    return Disks(programs_here)


def test_the_partition_is_read_only_and_runs_nothing_until_it_is_unlocked_and_is_let_go_at_the_end(
    board: Board, disks: Disks
) -> None:
    where = board.places.card
    with pytest.raises(LookupError, match="a step fails"), opened_folder(board.places) as card:
        assert card and card.folder == where and where.is_dir()
        assert disks.asked == [f"mount -t vfat -o ro,nosuid,nodev,noexec,umask=0077 /dev/card1 {where}"]
        card.unlock()
        assert disks.asked[1:] == [f"mount -o remount,rw {where}"]
        raise LookupError("a step fails")
    assert disks.asked[2:] == [f"umount {where}"]


def test_a_board_obeys_the_file_on_its_card(board: Board, disks: Disks) -> None:
    board.places.card.mkdir(parents=True)
    (board.places.card / FILE).write_text("hostname = kitchen\n")
    assert first_boot.run_first_boot(board.places) == 0
    assert board.places.hostname.read_text() == "kitchen\n"
    assert disks.asked[-1] == f"umount {board.places.card}"


def test_a_card_that_cannot_be_mounted_is_said_and_the_board_has_a_name_and_a_key_all_the_same(
    board: Board, disks: Disks, capsys: pytest.CaptureFixture[str]
) -> None:
    disks.answers("mount", "echo wrong fs type >&2; exit 32")
    assert first_boot.run_first_boot(board.places) == 1
    assert f"the partition with {FILE} cannot be used: mount: wrong fs type" in capsys.readouterr().out
    assert board.places.hostname.read_text() == "boardllama-1a2b3c\n" and board.places.host_key.exists()


def test_a_board_without_such_a_partition_mounts_nothing(
    board: Board, disks: Disks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition, "find_partition", lambda: None)
    assert first_boot.run_first_boot(board.places) == 0
    assert disks.asked == []


def test_what_an_apple_computer_leaves_beside_a_file_is_not_pointed_out(board: Board) -> None:
    (board.card.folder / "._boardllama.txt").touch()
    (board.card.folder / "Boardllama.TXT.rtf").touch()
    assert board.card.misnamed_files() == ["Boardllama.TXT.rtf is not read: the name must be boardllama.txt"]


def test_among_the_partitions_of_its_own_disk_a_board_finds_the_one_of_that_label(
    programs_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the names of /dev/disk are late, and when one partition has no label."""
    program(programs_here / "udevadm", "exit 1")
    program(programs_here / "blkid", f'case "$*" in *card2) exit 2 ;; *card3) echo {LABEL} ;; *) echo root ;; esac')
    monkeypatch.setattr(partition, "neighbours_of_root", lambda: [Path(f"/dev/card{number}") for number in (1, 2, 3)])
    assert [read_label(Path(f"/dev/card{number}")) for number in (1, 2)] == ["root", ""]
    assert find_partition() == Path("/dev/card3")


def sys_of(folder: Path, disks: dict[str, tuple[int, ...]]) -> Path:
    """As /sys/dev/block has it: links to partitions by number, which lie in the folders of their disks."""
    for disk, numbers in disks.items():
        for number in numbers:
            (part := folder / disk / f"{disk}p{number}").mkdir(parents=True)
            (part / "partition").write_text("1")
            (folder / f"{os.major(number)}:{os.minor(number)}").symlink_to(part)
        (folder / disk / "queue").mkdir()
    return folder


def test_a_card_in_a_reader_is_not_the_boards_own(tmp_path: Path) -> None:
    root = Path("/").stat().st_dev
    sys = sys_of(tmp_path, {"mmcblk0": (root, 7), "sda": (8,)})
    assert on_disk_of_root(7, sys)
    assert not on_disk_of_root(8, sys)
    assert on_disk_of_root(8, tmp_path / "none"), "a root without a disk of its own, as on some test machines"
    own = sorted(Path("/dev") / f"mmcblk0p{number}" for number in (root, 7))
    assert neighbours_of_root(sys) == own
    assert neighbours_of_root(tmp_path / "none") == []
