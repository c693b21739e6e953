"""What the stages spare a run of many boards."""

import inspect
import subprocess
import sys
from types import FrameType

import pytest
from pyinfra.api import DeployError

from deploy.errors import BoardllamaError
from deploy.hosts import stage_decorator
from deploy.hosts.snapshot import Snapshot
from deploy.paths import REPO
from tests.unit.known_host import KnownHost

# Each takes a tenth of a second or more, and none of them is for a run that changes nothing.
SPARED = ("capstone", "elftools", "gguf", "httpx2", "huggingface_hub", "numpy")


def test_the_file_of_the_deploy_is_found_at_once_by_inspect(monkeypatch: pytest.MonkeyPatch) -> None:
    """pyinfra runs it with its name as it was given, in the folder that it was called in."""
    assert stage_decorator.MODULE
    monkeypatch.chdir(REPO)
    frames: list[FrameType] = []
    exec(compile("import sys; keep(sys._getframe())", "deploy.py", "exec"), {"keep": frames.append})
    assert inspect.getmodule(frames[-1]) is sys.modules[stage_decorator.MODULE.name]


def test_a_stage_that_cannot_go_on_says_so_in_pyinfras_own_words() -> None:
    """It prints the text of a DeployError, and a traceback of anything else."""

    @stage_decorator.one_line_errors
    def story() -> None:
        raise BoardllamaError("the build failed: run again")

    host = KnownHost(Snapshot())
    with host.turn(), pytest.raises(DeployError, match=r"^the build failed: run again$"):
        story()


def test_a_run_imports_nothing_that_it_may_not_need() -> None:
    story = "import sys; from deploy.stages import activate, llama, build, model, service, verify"
    done = subprocess.run(
        [sys.executable, "-c", f"{story}; print(*sys.modules)"], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert not set(SPARED) & set(done.stdout.split())
