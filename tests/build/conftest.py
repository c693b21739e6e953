"""Real compilers, real sources: the builds that these tests judge are the ones that the deploy uses."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.artifact import Build
from deploy.cpu import named
from deploy.paths import REPO
from deploy.source import source_of

STORY = """
import os, sys
sys.path.insert(0, os.environ["REPO"])
from deploy.build import llama_builds
from tests.build.conftest import wanted
llama_builds([wanted(name) for name in os.environ["CPUS"].split()])
"""


def wanted(cpu: str) -> Build:
    """The build of the default source for that cpu."""
    pins: dict[str, object] = {}
    exec((REPO / "inventory" / "group_data" / "all.py").read_text(), pins)
    return Build(source_of(pins), named(cpu))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], Build]:
    """Makes a build with pyinfra as the deploy does, unless it is there; minutes on a cold cache, so it says why."""
    show = request.config.pluginmanager.getplugin("capturemanager")
    folder = tmp_path_factory.mktemp("story")
    (folder / "inventory.py").write_text('builders = ["@local"]\n')
    (folder / "story.py").write_text(STORY)

    def make(cpu: str) -> Build:
        command = [str(Path(sys.executable).with_name("pyinfra")), "-y", "inventory.py", "story.py"]
        environment = os.environ | {"REPO": str(REPO), "CPUS": cpu}
        with show.global_and_fixture_disabled():
            subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, check=True)
        return wanted(cpu)

    return make


def job(build: Build, cache: Path) -> list[str]:
    """The command that runs the recipe for that build in another cache folder."""
    from deploy.build import job_files

    folder = cache / "jobs" / build.name
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in job_files(build).items():
        (folder / name).write_bytes(content)
    return shlex.split(f"sh {shlex.quote(str(folder / 'recipe.sh'))} {shlex.quote(str(folder))}")
