"""Where the kernel gives no namespaces, that is said at once, and not by a step of a tree minutes later."""

import subprocess
import sys

import pytest

from deploy.paths import REPO

ASK = "from deploy.debian.owners import require_namespaces; require_namespaces()"


@pytest.mark.parametrize(
    ("most", "said"), [(0, "BoardllamaError: this system refuses namespaces (unshare: unshare failed:"), (9, "")]
)
def test_a_system_that_refuses_namespaces_is_told_with_what_to_do(most: int, said: str) -> None:
    limit = f'echo {most} >/proc/sys/user/max_mnt_namespaces; exec "$@"'
    words = ["unshare", "--user", "--map-root-user", "sh", "-c", limit, "sh", sys.executable, "-c", ASK]
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=False)
    last = (done.stderr.splitlines() or [""])[-1]
    assert (said in last and "sudo sysctl" in last) if said else not last
