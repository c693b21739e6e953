"""Facts: process() on output recorded from boards."""

from deploy.facts import Board, BoardInfo, Links, ReleaseFiles, Status, StatusInfo, StoredFiles

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


def test_a_receipt_counts_only_for_the_file_it_was_made_for() -> None:
    sha256 = "a" * 64
    lines = [
        "stat 7 100 5.000000001|755 root:root|/usr/lib/a b",
        "stat 8 100 5.000000001|755 root:root|/usr/lib/c",
        f"receipt {sha256} 7 100 5.000000001 /usr/lib/a b",
        f"receipt {sha256} 9 100 5.000000001 /usr/lib/c",
    ]
    stored = StoredFiles().process(lines)
    assert stored["/usr/lib/a b"].sha256 == sha256
    assert stored["/usr/lib/c"].sha256 is None
    assert (stored["/usr/lib/c"].size, stored["/usr/lib/c"].mode, stored["/usr/lib/c"].owner) == (
        100,
        "755",
        "root:root",
    )


def test_what_is_no_link_is_told_apart() -> None:
    assert Links().process(["l|/usr/bin/a|/usr/lib/a", "f|/usr/bin/b|"]) == {
        "/usr/bin/a": "/usr/lib/a",
        "/usr/bin/b": None,
    }


def test_a_release_is_its_files_its_links_and_its_time() -> None:
    lines = ["ab  ./onboard/cli.py", "-> /usr/lib/x  ./llama-cli", "2026-11-22T15:50:43+00:00  ./created"]
    assert ReleaseFiles().process(lines) == {
        "onboard/cli.py": "ab",
        "llama-cli": "-> /usr/lib/x",
        "created": "2026-11-22T15:50:43+00:00",
    }


def test_a_target_without_our_programs_has_no_status() -> None:
    assert Status().process([]) == StatusInfo()
    assert Status().process(['{"current": "r1", "strays": ["/a"]}']) == StatusInfo(current="r1", strays=("/a",))
