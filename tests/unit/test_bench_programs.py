"""How `make bench` starts programs, and how it makes contenders: with real processes, and nothing that is fetched."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError, NotThere
from tests.bench.contenders import (
    BUILDS,
    CONTENDERS,
    CPUS,
    REFERENCE,
    VARIANTS,
    Installed,
    source_build,
    tuned_arguments,
)
from tests.bench.counts import Counts, Mapping, read_counts
from tests.bench.cycles import CORES, Loop, find_loops, hot_loops
from tests.bench.emulation import cpu_seconds, own_bytes, peak_bytes, run_measured
from tests.bench.roots import HERE, Packages, read_pins

BUSY = "sum(range(3_000_000))"


class TestCosts:
    def test_processor_time_is_that_of_the_program_and_its_children(self) -> None:
        alone = run_measured([sys.executable, "-c", BUSY])
        nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}]); {BUSY}"
        assert run_measured([sys.executable, "-c", nested]) > alone > 0

    def test_a_program_that_fails_says_its_last_line(self) -> None:
        with pytest.raises(BoardllamaError, match="status 3, no such model"):
            run_measured(["sh", "-c", "echo begin; echo no such model >&2; exit 3"])

    def test_a_running_process_is_read(self) -> None:
        assert cpu_seconds(os.getpid()) > 0
        # The programs of this machine lie where QEMU's own code lies.
        assert 0 < own_bytes(os.getpid()) <= peak_bytes(os.getpid())


class TestContenders:
    def test_every_cpu_has_a_build_of_ours(self) -> None:
        assert {*CPUS, *CORES} == set(BUILDS)
        assert set(CORES.values()) <= set(CPUS)
        assert list(CONTENDERS) == ["reference", "debian", "variants", "boardllama", "tuned"]

    def test_another_recipe_is_another_folder(self) -> None:
        assert REFERENCE.folder(source_build()) != VARIANTS.folder(source_build())
        assert Packages("trixie", ("llvm",)).folder != Packages("bookworm", ("llvm",)).folder

    def test_debians_packages_are_pinned_by_hash(self) -> None:
        pins = read_pins(HERE / "debian.txt")
        assert all(len(pin.sha256) == 64 and pin.path.endswith("_arm64.deb") for pin in pins)
        assert {"llama.cpp-tools", "libllama0", "libggml0", "libc6"} <= {
            Path(pin.path).name.partition("_")[0] for pin in pins
        }

    def test_links_and_what_is_not_of_llama_are_not_counted_as_installed(self, tmp_path: Path) -> None:
        for name, size in (("llama-server", 10), ("libllama.so.1", 5), ("libc.so.6", 100)):
            (tmp_path / name).write_bytes(bytes(size))
        (tmp_path / "libllama.so").symlink_to("libllama.so.1")
        assert Installed(tmp_path, tmp_path, tmp_path, ("llama-server", "libllama.so*")).size == 15

    def test_tuned_has_the_arguments_of_its_cpu(self, tmp_path: Path) -> None:
        tuned = tmp_path / "tuned.json"
        with pytest.raises(NotThere, match=r"nothing is tuned: docs/explanation/benchmarks/tuned.json is not there"):
            tuned_arguments("max", tuned)
        tuned.write_text('{"about": "a test", "cortex-a76": ["-fa", "1"], "max": ["--threads", "4"]}')
        assert tuned_arguments("cortex-a76", tuned) == ("-fa", "1")
        with pytest.raises(NotThere, match="has nothing for this CPU"):
            tuned_arguments("cortex-a53", tuned)
        with pytest.raises(BoardllamaError, match="max: --threads is the same for all contenders; take it out"):
            tuned_arguments("max", tuned)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("-march=armv8-a", "-mcpu=generic"),
        ("-march=armv8.2-a+dotprod+fp16", "-mcpu=generic+v8_2a+dotprod+fullfp16"),
        ("-march=armv9.2-a+dotprod+sve+i8mm+sme", "-mcpu=generic+v9_2a+dotprod+sve+i8mm+sme"),
        ("-O3", "-O3"),
    ],
)
def test_upstreams_variants_are_told_to_our_compiler_in_its_words(tmp_path: Path, given: str, told: str) -> None:
    assert told_to_zig(tmp_path, "cc", given, "-c", "a b.c") == f"cc -target aarch64-linux-gnu.2.36 -g0 {told} -c a b.c"


def test_upstreams_libraries_share_a_library_of_cpp(tmp_path: Path) -> None:
    """With one in each of them, what one hands to the other is freed as what it is not."""
    shared, headers = "-nostdlib++ /usr/aarch64-linux-gnu/lib/libstdc++.so.6", "-nostdinc++"
    linked = told_to_zig(tmp_path, "c++", "-shared", "a.o")
    assert shared in linked and headers in linked
    compiled = told_to_zig(tmp_path, "c++", "-c", "a.cpp")
    assert shared not in compiled and headers in compiled


def told_to_zig(folder: Path, tool: str, *words: str) -> str:
    """What the compiler is told, where there is nothing but a shell."""
    compiler = folder / tool
    compiler.write_text((HERE / "zig.sh").read_text().replace("@ZIG@", str(shutil.which("echo"))))
    command, nothing = ["sh", str(compiler), *words], {"PATH": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=nothing, executable="/bin/sh")
    return done.stdout.removesuffix("\n")


class TestCounts:
    def test_blocks_are_added_up_by_function(self, tmp_path: Path) -> None:
        program = Path(sys.executable).resolve()
        lines = [
            "block 401000 3 10",
            "block 401000 2 1",
            "block 900000 5 2",
            f"map 400000-500000 r-xp 00000000 fe:00 1 {program}",
        ]
        (tmp_path / "counts").write_text("\n".join([*lines, "total 42"]) + "\n")
        counts = read_counts(tmp_path / "counts")
        assert counts.total == sum(counts.by_function().values()) == 42
        assert counts.by_function()["no file"] == 10

    def test_counts_of_a_program_that_was_killed_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "counts").write_text("block 401000 3 10\n")
        with pytest.raises(BoardllamaError, match="no line `total`"):
            read_counts(tmp_path / "counts")


class TestLoops:
    def counts(self, tmp_path: Path, **blocks: int) -> Counts:
        """Blocks of two instructions by their address in words, in a file whose words are their own numbers."""
        (tmp_path / "code").write_bytes(b"".join(number.to_bytes(4, "little") for number in range(64)))
        executed = Counter({(0x1000 + 4 * int(name[1:]), 2): times for name, times in blocks.items()})
        total = 2 * sum(executed.values())
        return Counts(total, executed, [Mapping(0x1000, 0x1100, 0, tmp_path / "code")])

    def test_blocks_that_follow_each_other_equally_often_are_one(self, tmp_path: Path) -> None:
        loops = find_loops(self.counts(tmp_path, w0=5, w2=5, w4=9, w20=9))
        assert [(len(loop.code) // 4, loop.executions) for loop in loops] == [(4, 5), (2, 9), (2, 9)]
        assert loops[0].code[12] == 3

    def test_what_a_shorter_run_executed_too_is_left_out(self, tmp_path: Path) -> None:
        longer, shorter = self.counts(tmp_path, w0=5, w8=7), self.counts(tmp_path, w0=5, w8=3)
        assert longer.without(shorter).blocks == {(0x1020, 2): 4}
        assert longer.without(shorter).total == 8

    def test_loops_that_hardly_run_are_not_judged(self) -> None:
        often, seldom = Loop(bytes(400), 1000), Loop(bytes(4), 1)
        assert hot_loops([often, seldom]) == [often]
