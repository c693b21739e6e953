"""Ctrl-C ends every command in a word, at any moment."""

import json
import os
import signal
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

from deploy.controller.interrupts import INTERRUPTED
from deploy.controller.product import environment, module_words, pyinfra_words
from deploy.fleet.interrupt import STATUS
from deploy.paths import REPO


def test_ctrl_c_while_a_command_imports_what_it_needs_is_no_traceback() -> None:
    program = "import os, signal, deploy; os.kill(os.getpid(), signal.SIGINT)"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPO, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "interrupted\n")


def test_any_other_fault_is_told_as_before() -> None:
    program = "import deploy; raise ValueError('a fault')"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: a fault\n")


AT_WORK = """
import time
print("at work", flush=True)
while True:
    time.sleep(0.1)
"""
# A step that waits for a board, and has or has not a thread that moves data to it, as paramiko has.
STEP = f"""
import threading, time
from pyinfra.operations import python

def bring():
    while True:
        sum(range(2000))
        time.sleep(0)

def step():
    if %s:
        threading.Thread(target=bring, daemon=True).start()
    time.sleep(1)
    exec({AT_WORK!r})

python.call(name="Bring", function=step)
"""
LOCAL = "hosts = ['@local']\n"


@pytest.mark.parametrize(
    ("inventory", "story"),
    [(LOCAL, STEP % True), (LOCAL, STEP % False), (LOCAL, AT_WORK), (AT_WORK, "")],
    ids=["thread", "step", "preparing", "inventory"],
)
def test_ctrl_c_ends_a_run_whatever_it_is_at(tmp_path: Path, inventory: str, story: str) -> None:
    """With pyinfra's own handler the run said "Exiting upon user request!" and went on, or waited for its step."""
    boards, deploy = tmp_path / "boards.py", tmp_path / "story.py"
    boards.write_text(inventory)
    deploy.write_text(story)
    words, pipe, same = pyinfra_words(boards, str(deploy)), subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(words, cwd=tmp_path, env=environment(), stdout=pipe, stderr=same, text=True) as running:
        assert running.stdout
        try:
            said = list(takewhile(lambda line: "at work" not in line, running.stdout))
            running.send_signal(signal.SIGINT)
            assert running.wait(60) == STATUS, said
        finally:
            running.kill()
        assert INTERRUPTED in running.stdout.read()


def test_a_program_that_reads_the_report_is_told_of_ctrl_c(tmp_path: Path) -> None:
    boards = tmp_path / "boards.py"
    boards.write_text(AT_WORK)
    words, pipe = module_words("deploy.command", "deploy", "--json", str(boards)), subprocess.PIPE
    with subprocess.Popen(
        words, cwd=tmp_path, env=environment(), stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as running:
        assert running.stderr
        try:
            said = list(takewhile(lambda line: "at work" not in line, running.stderr))
            os.killpg(running.pid, signal.SIGINT)
            printed, more = running.communicate(timeout=60)
        finally:
            running.kill()
    assert json.loads(printed)["error"] == INTERRUPTED, (said, more)
    assert running.returncode
