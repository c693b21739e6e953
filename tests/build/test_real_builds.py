"""What comes out of the real compiler. Cold, this compiles llama.cpp twice: some 20 minutes on 2 cores."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.build.artifact import Build, require_artifact
from deploy.build.proof import SERVER_LIMIT_MB, emulator, prove
from deploy.cpu import named
from deploy.models.smoke import smoke_model
from deploy.onboard.places import PROGRAMS
from deploy.paths import cache_dir
from tests.build.builds import job

Make = Callable[[str], Build]
CPU = "cortex-a76"


def test_the_build_is_proven_and_says_what_it_is(built: Make) -> None:
    build = built(CPU)
    manifest = require_artifact(build)
    assert set(manifest.files) == set(PROGRAMS)
    assert manifest.proof == prove(build.artifact, build.cpu), "the artifact no longer passes its own proof"
    assert all(counts["sdot"] and not counts["smmla"] for counts in manifest.proof.instructions.values())
    assert build.pin in manifest.proof.version
    assert manifest.files["llama-server"].size <= SERVER_LIMIT_MB * 1_000_000


def test_no_path_of_the_builder_is_in_a_binary(built: Make) -> None:
    build = built(CPU)
    for name in PROGRAMS:
        body = (build.artifact / name).read_bytes()
        assert str(cache_dir()).encode() not in body, name
        assert b"/toolchain/" not in body, name


def test_only_the_kernels_are_compiled_for_a_cpu(built: Make) -> None:
    """So that another CPU recompiles ggml-cpu and links, and takes the other 200 objects as they are."""
    build = built(CPU)
    commands = cache_dir() / "builder" / "work" / build.base / "build" / "compile_commands.json"
    if not commands.exists():
        pytest.skip("the artifact is older than the builder's work folder: nothing was compiled here")
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
    command = [*emulator(named(cpu)), str(build.artifact / program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=300).returncode


def test_two_builds_in_two_folders_give_the_same_bytes(built: Make, request: pytest.FixtureRequest) -> None:
    """The second one has its own folder, toolchain, source, web UI and no ccache, and is killed once on its way.

    It takes as long as a cold build, so its hashes are kept under the cache, named by the build's key: with the same
    inputs the next run compares the artifact with those kept hashes and compiles nothing.
    """
    build = built(CPU)
    kept = cache_dir() / "second-build" / f"{build.name}.SHA256SUMS"
    if not kept.exists():
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            build_elsewhere(build, kept)
    manifest = require_artifact(build)
    first = "".join(f"{manifest.files[name].sha256}  {name}\n" for name in sorted(PROGRAMS))
    assert kept.read_text() == first, f"the second build's files are in {elsewhere(kept)}"
    shutil.rmtree(elsewhere(kept), ignore_errors=True)


def elsewhere(kept: Path) -> Path:
    """The second builder's cache folder: at another depth, under other names."""
    return kept.parent / "quite" / "another" / "folder"


def test_ccache_changes_no_byte(built: Make, tmp_path: Path) -> None:
    """What ccache does to paths must not show in __FILE__: four objects, compiled both ways."""
    build = built(CPU)
    work = cache_dir() / "builder" / "work" / build.base
    if not shutil.which("ccache") or not work.exists():
        pytest.skip("no ccache here, or the artifact is older than the builder's work folder")
    ninja = next((cache_dir() / "builder" / "toolchain").glob("*/bin/ninja"))
    listing = subprocess.run(
        [ninja, "-C", work / "build", "-t", "commands", "llama-server"], capture_output=True, text=True
    )
    names = ("/ggml/src/ggml.c", "/common/log.cpp", "/common/json.cpp", "/tools/server/server-http.cpp")
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


def build_elsewhere(build: Build, kept: Path) -> None:
    """Builds in a fresh folder in two goes, the first one cut by SIGKILL, and keeps the hashes of the result."""
    second = elsewhere(kept)
    shutil.rmtree(second, ignore_errors=True)
    with recipe(build, second) as first_go:
        killed_at = kill_after(30, first_go, second / "log" / f"{build.name}.log.step")
    assert not (second / "out" / build.name).exists(), "a build that was killed left a result"
    with recipe(build, second) as second_go:
        assert second_go.wait() == 0
    log = (second / "log" / f"{build.name}.log").read_text(errors="replace")
    totals = [int(total) for total in re.findall(r"^\[\d+/(\d+)\] ", log, re.MULTILINE)]
    assert totals[-1] <= killed_at[1] - killed_at[0] + 10, "the second go began from the start"
    shutil.copyfile(second / "out" / build.name / "SHA256SUMS", kept)


@contextmanager
def recipe(build: Build, cache: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The recipe at work in that cache folder, its lines on stderr. CCACHE_DISABLE is ccache's own switch."""
    environment = os.environ | {"CCACHE_DISABLE": "1"}
    with subprocess.Popen(job(build, cache), env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr) as running:
        try:
            yield running
        finally:
            running.terminate()


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
