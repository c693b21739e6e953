"""Boards, and the disk that each of them starts from."""

import re
from pathlib import Path

import pytest

from deploy import cpu
from deploy.errors import BoardllamaError
from deploy.image import board_root, unpacked_tree
from deploy.image.__main__ import make_board_image
from deploy.image.boards import (
    BOARDS,
    DEBIAN_BOARDS,
    MIB,
    BoardProfile,
    DebianBoard,
    Table,
    board_named,
    board_profile,
    debian_board,
)
from deploy.image.disk import (
    BOOT_BYTES,
    IDENTITY_BYTES,
    PARTITION_UUIDS,
    TABLE_BYTES,
    DiskLayout,
    genimage_config,
    layout_for,
)

EVERY = pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
DEBIANS = pytest.mark.parametrize("board", DEBIAN_BOARDS.values(), ids=list(DEBIAN_BOARDS))


def test_a_board_that_nobody_knows_is_told_with_the_nearest() -> None:
    with pytest.raises(BoardllamaError, match=r"BOARD is 'rpi': did you mean 'rpi\d'.* raspberry_pi_4, rpi4, "):
        board_named("rpi")
    with pytest.raises(BoardllamaError, match="did you mean 'raspberry_pi_4'"):
        board_named("raspbery-pi-4")
    with pytest.raises(
        BoardllamaError, match=r"^say which board: make image BOARD=NAME\. Valid: efi, jetson_orin_nano, "
    ):
        make_board_image([])


@EVERY
def test_a_short_name_means_the_same_board_and_names_its_files(board: BoardProfile, tmp_path: Path) -> None:
    assert board_named(board.name) is board_named(board.short_name) is board
    assert len({each.short_name for each in BOARDS.values()}) == len(BOARDS)


def test_a_model_that_is_not_there_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after the minutes of a root tree."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BoardllamaError, match=r"MODEL is '/nowhere\.gguf': it must be smoke, hub, none"):
        make_board_image(["rpi3", "--model", "/nowhere.gguf", "--dist", str(tmp_path / "dist")])
    assert not (tmp_path / "dist").exists()


@EVERY
def test_a_board_names_what_exists_and_says_where_its_figures_come_from(board: BoardProfile) -> None:
    assert cpu.find_cpu(board.cpu)
    assert {"cpu", "memory_mib"} <= set(board.sources) <= set(type(board).model_fields)
    assert all(name.endswith(".dtb") for name in board.device_trees)


@EVERY
def test_an_owner_is_told_what_to_expect_and_where_from(board: BoardProfile) -> None:
    assert board.starts_from and board.expect
    assert not any(text.endswith(".") for text in (*board.expect, *board.starts_from.values())), "docs add it"


@DEBIANS
def test_the_files_of_a_board_are_there(board: DebianBoard) -> None:
    assert (board_root.HERE / board.files).is_dir()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"memory": 2}, r"memory: Extra inputs are not permitted; seen: 2"),
        ({"cpu": None}, r"cpu: Input should be a valid string; seen: None"),
        ({"kernel": "linux-image-arm64"}, r"starts_by: Field required"),
    ],
)
def test_a_data_file_that_breaks_a_rule_is_named_with_the_rule(more: dict[str, object], words: str) -> None:
    told = {"name": "lama", "title": "Lama", "cpu": "generic", "cores": 4, "memory_mib": 1000, "sources": {}}
    assert board_profile(told).memory == 1000 * MIB
    with pytest.raises(BoardllamaError, match=rf"^profiles/lama\.json: {words}"):
        board_profile(told | more)


def test_a_board_that_debian_cannot_start_asks_for_a_base() -> None:
    assert debian_board("rpi4") is board_named("raspberry_pi_4")
    with pytest.raises(BoardllamaError, match=r"^BOARD is 'rock_5b': Debian cannot start a Radxa ROCK 5B by itself"):
        make_board_image(["rock_5b"])


@DEBIANS
def test_partitions_follow_each_other_and_leave_the_loaders_alone(board: DebianBoard) -> None:
    layout = layout_for(board, 400 * MIB, None)
    assert board.first + BOOT_BYTES == layout.identity_offset
    assert layout.identity_offset + IDENTITY_BYTES == layout.root_offset
    assert layout.root_offset + layout.root_size + TABLE_BYTES <= layout.disk_size
    assert all(TABLE_BYTES <= blob.offset < board.first for blob in board.blobs)
    assert all(
        value % MIB == 0 for value in (board.first, layout.identity_offset, layout.root_offset, layout.disk_size)
    )


def test_a_wanted_size_is_the_size_and_one_too_small_is_refused() -> None:
    board = debian_board("efi")
    assert layout_for(board, 400 * MIB, 4096 * MIB).disk_size == 4096 * MIB
    with pytest.raises(BoardllamaError, match=r"SIZE is 500 MiB and this image needs [0-9]+ MiB"):
        layout_for(board, 400 * MIB, 500 * MIB)


def test_boot_sectors_are_the_table_and_the_loaders() -> None:
    """What an interrupted card must not have."""
    board = debian_board("rockpro64")
    sectors = DiskLayout(board, 400 * MIB).boot_sectors(
        {blob.path: 1000 + place for place, blob in enumerate(board.blobs)}
    )
    assert sectors == ((0, 34 * 512), (32768, 1000), (8388608, 1001))
    assert DiskLayout(debian_board("efi"), 400 * MIB).boot_sectors({}) == ((0, 34 * 512),)


@DEBIANS
def test_genimage_is_told_fixed_ids_alone(board: DebianBoard) -> None:
    """One that is not given would be random."""
    said = genimage_config(layout_for(board, 400 * MIB, None), ["b", "a/c"])
    assert said.count("partition-uuid") == 3 and said.count("disk-uuid") == 1
    assert said.count("--invariant") == 2
    assert ("disk-signature" in said) is ("partition-type = 0x0c" in said) is (board.table is Table.HYBRID)
    assert said.index('"a/c"') < said.index('file "b"')
    ids = [re.search(rf"partition {name} {{.*?partition-uuid = \"(.*?)\"", said, re.S) for name in PARTITION_UUIDS]
    assert [found and found[1] for found in ids] == list(PARTITION_UUIDS.values())


@DEBIANS
def test_the_loader_of_every_board_names_the_root_partition_of_the_image(board: DebianBoard) -> None:
    files = [path for path in (board_root.HERE / board.files).rglob("*") if path.is_file()]
    named = [uuid for path in files for uuid in re.findall(r"(?:root|ROOTPART)=PARTUUID=([\w-]+)", path.read_text())]
    assert named == [PARTITION_UUIDS["root"]]


def test_fstab_names_the_partitions_of_the_image() -> None:
    rows = [
        line.split() for line in (unpacked_tree.HERE / "common/etc/fstab").read_text().splitlines() if line[0] != "#"
    ]
    mounts = {mount: (source.removeprefix("PARTUUID="), options) for source, mount, _, options, *_ in rows}
    assert mounts["/"][0] == PARTITION_UUIDS["root"] and "x-systemd.growfs" in mounts["/"][1]
    assert mounts["/boot/firmware"][0] == PARTITION_UUIDS["boot"]


def test_the_key_of_a_root_names_its_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages, files, and the mirror, which may be a snapshot. Boards that are alike in these share a root."""
    keys = {board_root.board_root_key(board) for board in DEBIAN_BOARDS.values()}
    alike = {(board.files, board.kernel, board.packages, board.suites) for board in DEBIAN_BOARDS.values()}
    assert len(keys) == len(alike)
    for one, other in (("rpi3", "rpi4"), ("qemu", "efi")):
        assert board_root.board_root_key(debian_board(one)) == board_root.board_root_key(debian_board(other))
    monkeypatch.setenv("BOARDLLAMA_MIRROR", "https://snapshot.example/20260101")
    assert board_root.board_root_key(debian_board("efi")) not in keys
