"""What comes out of the real compiler. Cold, this compiles llama.cpp twice: some 20 minutes on 2 cores."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.artifact import PROGRAMS, Build, require_artifact
from deploy.paths import cache_dir
from deploy.proof import SERVER_LIMIT_MB, prove
from tests.build.conftest import job

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
        assert str(Path.home()).encode() + b"/" not in body or str(Path.home()) == "/root", name


def test_another_cpu_recompiles_only_the_kernels(built: Make) -> None:
    """A fraction of the objects, whatever ccache has: the flags are on ggml-cpu alone."""
    built(CPU)
    build = built("cortex-a72")
    counts = require_artifact(build).proof.instructions
    assert all(not found for tool in counts.values() for found in tool.values())
    log = (cache_dir() / "builder" / "log" / f"{build.name}.log").read_text(errors="replace")
    totals = [int(total) for total in re.findall(r"^\[\d+/(\d+)\] ", log, re.MULTILINE)]
    assert max(totals) < 60 or "Building CXX object common/" in log, "more than ggml-cpu and the links was made again"


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
    assert kept.read_text() == first


def build_elsewhere(build: Build, kept: Path) -> None:
    """Builds in a fresh folder in two goes, the first one cut by SIGKILL, and keeps the hashes of the result."""
    elsewhere = kept.parent / "elsewhere" / "quite" / "another" / "folder"
    shutil.rmtree(kept.parent / "elsewhere", ignore_errors=True)
    with recipe(build, elsewhere) as first_go:
        killed_at = kill_after(30, first_go, elsewhere / "log" / f"{build.name}.log.step")
    assert not (elsewhere / "out" / build.name).exists(), "a build that was killed left a result"
    with recipe(build, elsewhere) as second_go:
        assert second_go.wait() == 0
    log = (elsewhere / "log" / f"{build.name}.log").read_text(errors="replace")
    totals = [int(total) for total in re.findall(r"^\[\d+/(\d+)\] ", log, re.MULTILINE)]
    assert totals[-1] <= killed_at[1] - killed_at[0] + 10, "the second go began from the start"
    (elsewhere / "out" / build.name / "SHA256SUMS").rename(kept)
    shutil.rmtree(kept.parent / "elsewhere")


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
