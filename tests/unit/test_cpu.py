"""The table of processors: every row is complete, and a board gets the best build that it can run."""

import pytest

from deploy import cpu
from deploy.errors import BoardllamaError
from tests.unit.processors import AARCH32, PROCESSORS

PI_3 = frozenset("fp asimd evtstrm crc32 cpuid".split())
PI_5 = frozenset(
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp".split()
)
GRAVITON_3 = PI_5 | {"i8mm", "bf16", "sve", "jscvt", "fcma"}
QEMU_7_2 = {"cortex-a35", "cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76", "neoverse-n1", "max"}


@pytest.mark.parametrize("row", cpu.CPUS.values(), ids=lambda row: row.name)
def test_every_row_agrees_with_itself(row: cpu.Cpu) -> None:
    """The kernels follow from the features, and QEMU 7.2 knows the processor that runs the proof."""
    assert ("sdot" in row.kernels) == ("asimddp" in row.features)
    assert ("smmla" in row.kernels) == ("i8mm" in row.features)
    assert row.kernels <= cpu.KERNELS
    assert row.qemu in QEMU_7_2
    assert {"fp", "asimd"} <= row.features
    assert "-" not in row.mcpu.removesuffix("-aes-sha2"), "zig writes _ where clang writes -"


@pytest.mark.parametrize("row", cpu.CPUS.values(), ids=lambda row: row.name)
def test_no_build_needs_what_a_board_may_lack(row: cpu.Cpu) -> None:
    """The Raspberry Pi 3 and 4 come without the crypto instructions that A53 and A72 imply."""
    assert not row.features & {"aes", "pmull", "sha1", "sha2"}
    assert row.mcpu.startswith("generic") or row.mcpu.endswith("-aes-sha2")


def test_a_name_finds_its_row() -> None:
    assert cpu.find_cpu("cortex-a76").mcpu == "cortex_a76-aes-sha2"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("cortexa76", "cortex-a76"), ("a72", "cortex-a72"), ("neoverse", "neoverse-n1"), ("Cortex-A53", "cortex-a53")],
)
def test_an_unknown_name_is_refused_with_the_nearest_one_and_the_list(typed: str, meant: str) -> None:
    with pytest.raises(BoardllamaError, match=f"unknown cpu '{typed}': did you mean '{meant}'") as refusal:
        cpu.find_cpu(typed)
    message = str(refusal.value)
    assert "\n" not in message
    assert all(name in message for name in cpu.CPUS)


@pytest.mark.parametrize(
    ("features", "part", "best"),
    [
        (frozenset({"fp", "asimd"}), None, "generic"),
        (frozenset({"fp", "asimd"}), "0x41/0xd08", "generic"),
        (PI_3, None, "generic"),
        (PI_3, "0x41/0xd03", "cortex-a53"),
        (PI_3, "0x41/0xd08", "cortex-a72"),
        (PI_3, "0x41/0xd09", "cortex-a72"),
        (PI_5, None, "cortex-a76"),
        (PI_5, "0x41/0xd0b", "cortex-a76"),
        (PI_5, "0x41/0xd05", "cortex-a55"),
        (PI_5, "0x41/0xd41", "cortex-a78"),
        (PI_5, "0x41/0xd0c", "neoverse-n1"),
        (PI_5, "0x99/0x123", "cortex-a76"),
        (PI_5 - {"lrcpc", "asimddp"}, "0x41/0xd0b", "cortex-a72"),
        (PI_5 - {"asimddp"}, "0x41/0xd05", "cortex-a53"),
        (PI_5 - {"lrcpc"}, "0x48/0xd01", "armv8.2-dotprod"),
        (PI_5 - {"lrcpc"}, "0x53/0x003", "armv8.2-dotprod"),
        (PI_5 - {"lrcpc"}, "0x41/0xd0b", "armv8.2-dotprod"),
        (PI_5 - {"lrcpc"}, None, "armv8.2-dotprod"),
        (PI_5, "0x41/0xd42", "cortex-a78"),
        (PI_5, "0x51/0x805", "cortex-a55"),
        (PI_5, "0x51/0x804", "cortex-a76"),
        (GRAVITON_3, "0x41/0xd81", "armv8.6-i8mm"),
        (GRAVITON_3, "0x41/0xd40", "armv8.6-i8mm"),
        (GRAVITON_3, "0x41/0xd0b", "armv8.6-i8mm"),
        (GRAVITON_3 - {"lrcpc"}, None, "armv8.6-i8mm"),
    ],
)
def test_auto_picks_the_most_capable_build_and_then_the_tuned_one(
    features: frozenset[str], part: str | None, best: str
) -> None:
    chosen = cpu.best_for(features, part)
    assert chosen.name == best
    assert cpu.missing_features(chosen, features) is None


def test_every_processor_gets_the_fastest_kernels_that_all_its_cores_run_and_no_others() -> None:
    """Kernels follow what the cores can do, whoever made them; the tuning is a choice among equals."""
    for name, features, parts in PROCESSORS:
        for part in (*parts, None):
            chosen = cpu.best_for(features, part)
            assert chosen.features <= features, name
            able = {row.kernels for row in cpu.CPUS.values() if row.features <= features}
            assert chosen.kernels == max(able, key=len), name
            assert ("sdot" in chosen.kernels) == ("asimddp" in features), name
            assert ("smmla" in chosen.kernels) == ("i8mm" in features), name


def test_every_row_is_the_best_of_some_processor_or_of_a_part() -> None:
    chosen = {cpu.best_for(features, part).name for _, features, parts in PROCESSORS for part in (*parts, None)}
    assert chosen == set(cpu.CPUS)


@pytest.mark.parametrize("features", [AARCH32, AARCH32 | {"crc32", "aes"}])
def test_a_32_bit_system_is_called_one(features: frozenset[str]) -> None:
    with pytest.raises(BoardllamaError, match=r"\(Cortex-A53\) lists features of 32-bit Arm \(edsp, fastmult, half, "):
        cpu.best_for(features, "0x41/0xd03")


def test_cores_are_ordered_by_their_size_not_by_their_number() -> None:
    little, middle, big = "0x41/0xd80", "0x41/0xd87", "0x41/0xd85"
    assert cpu.size_of("0x99/0x1") < cpu.size_of(little) < cpu.size_of(middle) < cpu.size_of(big)
    assert cpu.size_of("0x51/0x805") < cpu.size_of("0x51/0x804"), "Silver beside Gold"


def test_a_board_without_simd_gets_no_build_and_a_reason() -> None:
    with pytest.raises(BoardllamaError, match="generic needs asimd; this board has not; no build fits it"):
        cpu.best_for(frozenset({"fp"}))


def test_a_refusal_names_what_is_missing_the_board_and_what_to_use() -> None:
    refusal = cpu.missing_features(cpu.find_cpu("cortex-a76"), PI_5 - {"asimddp"}, "0x41/0xd08")
    assert refusal == "cortex-a76 needs asimddp; this board (Cortex-A72) has not; use cortex-a72"


def test_a_refusal_of_an_unknown_board_names_every_missing_feature() -> None:
    refusal = cpu.missing_features(cpu.find_cpu("armv8.6-i8mm"), PI_3)
    assert refusal == (
        "armv8.6-i8mm needs asimddp, asimdhp, asimdrdm, atomics, fphp, i8mm; this board has not; use generic"
    )
