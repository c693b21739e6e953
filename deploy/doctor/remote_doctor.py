"""Sends the doctor to a board: deploy/onboard goes there as a tar through SSH, runs once, and is removed."""

from deploy.controller.programs import Late, run_program
from deploy.controller.progress import Progress
from deploy.doctor.network_checks import SshDestination
from deploy.errors import BoardllamaError
from deploy.hosts.release import onboard_programs, pack_tar

# The doctor itself takes half a minute where everything hangs; a board that swaps takes longer for anything.
DEADLINE = 180.0
THERE = (
    'set -e; folder=$(mktemp -d); trap "rm -rf $folder" EXIT; tar -x -C $folder; '
    # -B: what root compiled there the account could not remove.
    'command="python3 -BIS $folder/boardllama doctor --json"; '
    'if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then command="sudo -n $command"; fi; '
    "$command || test $? = 1"
)


def run_remote_doctor(board: SshDestination) -> str:
    """What `boardllama doctor --json` prints on the board; run as root where sudo asks for no password.

    Raises BoardllamaError when the board gives no answer within DEADLINE seconds, or an error.
    """
    try:
        with Progress("the board").during("looks at itself"):
            done = run_program(*board.ssh, THERE, given=pack_tar(onboard_programs()), deadline=DEADLINE)
    except Late:
        raise BoardllamaError(f"it did not finish looking at itself within {DEADLINE:.0f} s") from None
    if done.status:
        raise BoardllamaError(f"it cannot look at itself: {done.complaint}")
    return done.output.decode(errors="replace")
