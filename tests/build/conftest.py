"""Real compilers, real sources: the builds that these tests judge are the ones that the deploy uses."""

import shutil
from collections.abc import Callable

import pytest

from deploy.build.artifact import Build, is_there
from deploy.controller.files import folder_lock
from deploy.paths import cache_dir
from tests.build.builds import pyinfra, wanted, workspace


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], Build]:
    """Makes a build unless it is there; that takes minutes on a cold cache, so its progress is shown."""
    show = request.config.pluginmanager.getplugin("capturemanager")
    folder = tmp_path_factory.mktemp("story")

    def make(cpu: str) -> Build:
        build = wanted(cpu)
        cache_dir().mkdir(parents=True, exist_ok=True)
        with show.global_and_fixture_disabled(), folder_lock(cache_dir(), "tests/build"):  # of several workers, one
            if not (workspace(build) / "build" / "compile_commands.json").exists():
                # The tests read it as well, and a cache keeps results longer; ccache makes the build again soon.
                for made in (build.artifact_folder, cache_dir() / "builder" / "out" / build.name):
                    shutil.rmtree(made, ignore_errors=True)
            if not is_there(build):
                pyinfra(folder, cpu)
        return build

    return make
