"""The simulated fleet, as root: what it promises in a minute. All of it takes longer: `make fleet`."""

import subprocess
import sys

from deploy.paths import REPO


def test_a_fleet_behind_a_gateway_is_upgraded_and_no_request_fails() -> None:
    """Three boards with real systemd, SSH, release and gate, Debian's haproxy, and OpenAI's clients."""
    words = ["--n", "3", "--scenarios", "upgrade", "--vms", "0", "--unrecorded"]
    done = subprocess.run([sys.executable, "-m", "tests.fleet", *words], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed, at most 1 out at once, 3 switched" in done.stdout
