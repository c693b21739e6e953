"""Sends the doctor to a board: deploy/onboard goes there as a tar through SSH, runs once, and is removed."""

import subprocess
import sys
import time

from deploy.doctor.network_checks import SshDestination
from deploy.errors import BoardllamaError
from deploy.hosts.release import onboard_programs, pack_tar

# The doctor itself takes half a minute where everything hangs; a board that swaps takes longer for anything.
DEADLINE = 180.0
TICK = 4.0
THERE = (
    'set -e; folder=$(mktemp -d); trap "rm -rf $folder" EXIT; tar -x -C $folder; '
    'command="python3 -IS $folder/boardllama doctor --json"; '
    'if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then command="sudo -n $command"; fi; '
    "$command || test $? = 1"
)


def run_remote_doctor(board: SshDestination) -> str:
    """What `boardllama doctor --json` prints on the board; run as root where sudo asks for no password.

    Raises BoardllamaError when the board gives no answer within DEADLINE seconds, or an error.
    """
    running = subprocess.Popen(
        [*board.ssh, THERE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    began, given = time.monotonic(), pack_tar(onboard_programs())
    while True:
        try:
            told, errors = running.communicate(given, timeout=TICK)
            break
        except subprocess.TimeoutExpired:
            given = b""
            seconds = time.monotonic() - began
            print(f"the board looks at itself, {seconds:.0f} s", file=sys.stderr, flush=True)
            if seconds > DEADLINE:
                running.kill()
                running.communicate()
                raise BoardllamaError(f"it did not finish looking at itself within {DEADLINE:.0f} s") from None
        except BaseException:
            running.kill()
            raise
    if running.returncode:
        said = errors.decode(errors="replace").strip().splitlines() or [f"status {running.returncode}"]
        raise BoardllamaError(f"it cannot look at itself: {said[-1]}")
    return told.decode(errors="replace")
