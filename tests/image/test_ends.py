"""However a run on a tree ends, no process, no mount and no lock stays."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.image.runs import mounts, running, start


def wait_for(condition: Callable[[], object], seconds: float) -> bool:
    """Whether it came true in time."""
    last = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > last:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_cut_leaves_nothing(shared: Path, number: signal.Signals) -> None:
    mark = f"100{os.getpid()}"
    run = start(shared, "exec", "--", "sleep", mark)
    assert wait_for(lambda: any("sleep" in name(process) for process in running(mark)), 60), "it began"
    assert mounts(shared) == [], "not even while it runs"
    run.send_signal(number)
    run.wait(timeout=30)
    assert wait_for(lambda: not running(mark), 15)
    again = start(shared, "exec", "--", "true")
    said, _ = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert mounts(shared) == []


def name(process: int) -> str:
    """The program, and for an emulated one what it emulates."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ").split(" sh -c ")[0]
    except OSError:
        return ""


def test_two_runs_on_one_tree_exclude_each_other(shared: Path) -> None:
    mark = f"200{os.getpid()}"
    first = start(shared, "exec", "--", "sleep", mark)
    try:
        assert wait_for(lambda: running(f"bwrap --bind {shared}"), 60)
        second = start(shared, "exec", "--", "true")
        said, _ = second.communicate(timeout=120)
        assert second.returncode == 1
        assert f"another run works on {shared}" in said
    finally:
        first.kill()
        first.communicate()
