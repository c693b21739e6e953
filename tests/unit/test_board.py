"""The board: process() on output recorded from boards."""

from deploy.board import Board, BoardInfo

RASPBERRY_PI_5 = """\
machine aarch64
model Raspberry Pi 5 Model B Rev 1.0
features fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
part 0x41/0xd0b
systemd yes"""

ROCKPRO64 = """\
machine aarch64
model Pine64 RockPro64 v2.1
features fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid
part 0x41/0xd03
part 0x41/0xd08
lacks curl
systemd yes"""


def test_a_board_of_one_kind_of_cores() -> None:
    board = Board().process(RASPBERRY_PI_5.splitlines())
    assert (board.machine, board.model) == ("aarch64", "Raspberry Pi 5 Model B Rev 1.0")
    assert {"asimddp", "lrcpc"} <= board.features
    assert (board.part, board.lacks, board.systemd) == ("0x41/0xd0b", (), True)


def test_a_big_little_board_is_tuned_for_its_big_cores() -> None:
    board = Board().process(ROCKPRO64.splitlines())
    assert board.part == "0x41/0xd08"
    assert board.lacks == ("curl",)


def test_only_features_that_all_cores_have_count() -> None:
    lines = ["machine aarch64", "features fp asimd asimddp", "features fp asimd"]
    assert Board().process(lines).features == {"fp", "asimd"}


def test_a_machine_that_is_no_board() -> None:
    assert Board().process(["machine x86_64", "model "]) == BoardInfo(machine="x86_64")
