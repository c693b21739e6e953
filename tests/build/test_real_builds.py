"""What comes out of the real compiler. Cold, this compiles llama.cpp: some 10 minutes on 2 cores."""

import json
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from elftools.elf.elffile import ELFFile

from deploy.build.artifact import Build, require_artifact
from deploy.build.proof import SERVER_LIMIT_MB, emulator_command, prove_programs
from deploy.cpu import find_cpu
from deploy.models.smoke import smoke_model
from deploy.onboard.places import PROGRAMS
from deploy.paths import cache_dir
from tests.build.builds import CPU, Make, recipe, wanted, workspace
from tests.build.record import RECORDED, recorded


def test_the_build_is_proven_and_says_what_it_is(built: Make) -> None:
    build = built(CPU)
    manifest = require_artifact(build)
    assert set(manifest.files) == set(PROGRAMS)
    assert manifest.proof == prove_programs(build.artifact_folder, build.cpu), (
        "the artifact no longer passes its own proof"
    )
    assert all(counts["sdot"] and not counts["smmla"] for counts in manifest.proof.instructions.values())
    assert build.pin in manifest.proof.version
    assert manifest.files["llama-server"].size <= SERVER_LIMIT_MB * 1_000_000


def test_no_path_of_the_builder_is_in_a_binary(built: Make) -> None:
    build = built(CPU)
    for name in PROGRAMS:
        body = (build.artifact_folder / name).read_bytes()
        assert str(cache_dir()).encode() not in body, name
        assert b"/toolchain/" not in body, name


def test_only_the_kernels_are_compiled_for_a_cpu(built: Make) -> None:
    """So that another CPU recompiles ggml-cpu and links, and takes the other objects as they are."""
    build = built(CPU)
    commands = workspace(build) / "build" / "compile_commands.json"
    tuned = [entry["output"] for entry in json.loads(commands.read_text()) if "-mcpu=" in entry["command"]]
    assert 10 < len(tuned) < 40
    assert all("/ggml-cpu.dir/" in output for output in tuned)


def test_a_build_without_the_kernels_has_none(built: Make) -> None:
    counts = require_artifact(built("cortex-a72")).proof.instructions
    assert set(counts) == set(PROGRAMS)
    assert all(not found for tool in counts.values() for found in tool.values())


@pytest.mark.parametrize("cpu", ["cortex-a72", CPU])
@pytest.mark.parametrize("kind", ["F16", "Q4_0"])
def test_a_build_computes_on_its_own_processor(built: Make, tmp_path: Path, cpu: str, kind: str) -> None:
    """`--version` runs no kernel: here a model is quantised, loaded and run, under emulation of that processor."""
    build, model = built(cpu), tmp_path / "model.gguf"
    assert on(cpu, build, "llama-quantize", smoke_model(), model, kind) == 0
    assert on(cpu, build, "llama-bench", "-m", model, "-p", "8", "-n", "2", "-r", "1", "-t", "1") == 0


def test_a_build_for_a_newer_processor_dies_on_an_older_one(built: Make) -> None:
    """What the refusal before the installation saves a board from."""
    options = ("-m", smoke_model(), "-p", "8", "-n", "2", "-r", "1", "-t", "1")
    assert on("cortex-a72", built("cortex-a76"), "llama-bench", *options) == -signal.SIGILL


def on(cpu: str, build: Build, program: str, *arguments: str | Path) -> int:
    """Exit status of a program of that build on that processor."""
    command = [*emulator_command(find_cpu(cpu)), str(build.artifact_folder / program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=300).returncode


@pytest.mark.parametrize("cpu", RECORDED)
def test_a_build_has_the_bytes_that_every_machine_makes(built: Make, cpu: str) -> None:
    """Those that were made in other folders, at another time, by another toolchain folder and without ccache."""
    build = built(cpu)
    manifest = require_artifact(build)
    assert recorded(build) == {name: manifest.files[name].sha256 for name in PROGRAMS}


def test_a_killed_build_leaves_no_result_and_the_next_goes_on_where_it_was(
    built: Make, request: pytest.FixtureRequest
) -> None:
    """Another CPU than the other tests', and without ccache: some twenty objects."""
    built(CPU)  # brings toolchain, source and web UI
    build, cache = wanted("armv8.2-dotprod"), cache_dir() / "builder"
    result, log = cache / "out" / build.name, cache / "log" / f"{build.name}.log"
    forget(build, result, log)
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        with recipe(build, cache) as first_go:
            done, total = kill_after(12, first_go, step_log(log))
        assert not result.exists(), "a build that was killed left a result"
        with recipe(build, cache) as second_go:
            assert second_go.wait() == 0
    said_last = log.read_text(errors="replace").rpartition("\n=== ")[2]
    made = re.findall(r"^\[\d+/\d+\] Building C", said_last, re.MULTILINE)
    assert 0 < len(made) <= total - done + 4, "the second go began from the start"


def test_a_build_for_processors_without_lrcpc_loads_without_it(built: Make) -> None:
    """QEMU has dot products only together with LDAPR, so no emulator would refuse it; what is tuned for A76 has it."""
    assert acquiring_loads(built("armv8.2-dotprod")) == 0 < acquiring_loads(built(CPU))


def acquiring_loads(build: Build) -> int:
    """How many LDAPR, LDAPRH and LDAPRB the server has: two bits of size, 111000 101 11111 110000, two registers."""
    with (build.artifact_folder / "llama-server").open("rb") as file:
        text = ELFFile(file).get_section_by_name(".text")
        assert text
        return sum(word & 0x3FFFFC00 == 0x38BFC000 for (word,) in struct.iter_unpack("<I", text.data()))


def test_objects_that_were_made_elsewhere_are_made_anew(built: Make, request: pytest.FixtureRequest) -> None:
    """A cache that was moved to another folder, or restored for another user: cmake refuses such a build folder."""
    build = built(CPU)
    show = request.config.pluginmanager.getplugin("capturemanager")
    with TemporaryDirectory(dir=cache_dir()) as folder:  # where there is room for a build
        old, moved = cache_dir() / "builder", Path(folder)
        shutil.copytree(workspace(build), moved / "work" / build.objects_key, symlinks=True)
        for shared in ("toolchain", "zig", "source"):
            (moved / shared).symlink_to(old / shared)
        with show.global_and_fixture_disabled(), recipe(build, moved) as running:
            compiled_now, _ = kill_after(1, running, step_log(moved / "log" / f"{build.name}.log"))
    assert compiled_now


def test_ccache_changes_no_byte(built: Make, tmp_path: Path) -> None:
    """What ccache does to paths must not show in __FILE__: four objects, compiled both ways."""
    build = built(CPU)
    work = workspace(build)
    ninja = next((cache_dir() / "builder" / "toolchain").glob("*/bin/ninja"))
    listing = subprocess.run(
        [ninja, "-C", work / "build", "-t", "commands", "llama-server"], capture_output=True, text=True
    )
    names = ("/ggml/src/ggml.c", "/common/arg.cpp", "/common/json.cpp", "/tools/server/main.cpp")
    chosen = [shlex.split(line) for line in listing.stdout.splitlines() if line.endswith(names)]
    assert len(chosen) == len(names)
    for words in chosen:
        plain = words[1:] if Path(words[0]).name == "ccache" else words
        assert compiled(plain, work, tmp_path) == compiled(["ccache", *plain], work, tmp_path), plain[-1]


def compiled(words: list[str], work: Path, scratch: Path) -> bytes:
    """The object of that compile command, made with an empty zig cache and an empty ccache set as the recipe does."""
    for option, file in (("-o", "object.o"), ("-MF", "object.d")):
        words[words.index(option) + 1] = str(scratch / file)
    ours = {"CCACHE_BASEDIR": "", "CCACHE_COMPILERTYPE": "clang"}
    ours |= {"CCACHE_DIR": str(scratch / "ccache"), "ZIG_LOCAL_CACHE_DIR": str(scratch / "zig")}
    ours |= {"ZIG_GLOBAL_CACHE_DIR": str(cache_dir() / "builder" / "zig")}
    subprocess.run(words, cwd=work / "build", env=os.environ | ours, check=True, capture_output=True)
    return (scratch / "object.o").read_bytes()


def forget(build: Build, result: Path, log: Path) -> None:
    """An earlier run of these tests may have left that CPU's objects, result and log: then nothing is compiled."""
    shutil.rmtree(result, ignore_errors=True)
    for compiled_file in (workspace(build) / "build" / "ggml" / "src" / "CMakeFiles" / "ggml-cpu.dir").rglob("*.o"):
        compiled_file.unlink()
    step_log(log).unlink(missing_ok=True)


def step_log(log: Path) -> Path:
    """What the step at work has printed, as steps.sh names it."""
    return log.with_name(f"{log.name}.step")


def kill_after(objects: int, running: subprocess.Popen[bytes], log: Path) -> tuple[int, int]:
    """Kills the recipe without warning once that many objects are compiled. Returns how many of how many were."""
    while running.poll() is None:
        text = log.read_text(errors="replace") if log.exists() else ""
        done = re.findall(r"^\[(\d+)/(\d+)\] ", text, re.MULTILINE)
        if done and int(done[-1][0]) >= objects:
            running.kill()
            running.wait()
            return int(done[-1][0]), int(done[-1][1])
        time.sleep(1)
    raise AssertionError(f"the recipe ended by itself, status {running.returncode}")
