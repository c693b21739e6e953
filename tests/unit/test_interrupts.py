"""Ctrl-C ends every command in a word, at any moment."""

import signal
import subprocess
import sys

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
