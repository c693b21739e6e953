"""How the build tests name, make and repeat the builds of the default source."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.build.artifact import Build
from deploy.build.compile import job_files
from deploy.cpu import find_cpu
from deploy.paths import REPO, cache_dir
from deploy.settings import settings_from

Make = Callable[[str], Build]
CPU = "cortex-a76"
STORY = """
import os, sys
sys.path.insert(0, os.environ["REPO"])
from deploy.stages.build import llama_builds
from tests.build.builds import wanted
llama_builds([wanted(name) for name in os.environ["CPUS"].split()])
"""


def wanted(cpu: str) -> Build:
    """The build of the default source for that cpu."""
    return Build(settings_from({}).source, find_cpu(cpu))


def workspace(build: Build) -> Path:
    """Where the builder unpacked the source and compiled, for all CPUs of one base."""
    return cache_dir() / "builder" / "work" / build.objects_key


def pyinfra(folder: Path, cpu: str) -> None:
    """Makes the build for that cpu as the deploy does: pyinfra, @local, the real recipe. Its lines go to stderr."""
    (folder / "inventory.py").write_text('builders = ["@local"]\n')
    (folder / "story.py").write_text(STORY)
    command = [str(Path(sys.executable).with_name("pyinfra")), "-y", "inventory.py", "story.py"]
    environment = os.environ | {"REPO": str(REPO), "CPUS": cpu}
    subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, check=True)


def job(build: Build, cache: Path) -> list[str]:
    """The command that runs the recipe for that build in that cache folder."""
    folder = cache / "jobs" / build.name
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in job_files(build).items():
        (folder / name).write_bytes(content)
    return ["sh", str(folder / "recipe.sh"), str(folder)]


@contextmanager
def recipe(build: Build, cache: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The recipe at work in that cache folder, its lines on stderr. CCACHE_DISABLE is ccache's own switch."""
    environment = os.environ | {"CCACHE_DISABLE": "1"}
    with subprocess.Popen(job(build, cache), env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr) as running:
        try:
            yield running
        finally:
            running.terminate()
