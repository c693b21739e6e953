"""The mount namespace in which a base is opened: what is mounted there is seen by this run alone, and ends with it."""

import os
import sys

from deploy.controller.programs import run_program
from deploy.debian.owners import as_owner
from deploy.errors import BoardllamaError

# Holds the id of the process that was started there: who inherits the variable has another id.
MARK = "BOARDLLAMA_NAMESPACE"
FUSE = "/dev/fuse"


def enter_namespace(module: str, words: list[str]) -> None:
    """Starts `python -m module words` in place of this process, with mounts of its own and as root of them.

    Returns in the process that was started so. Raises BoardllamaError where the kernel has no FUSE or no namespaces for
    this user.
    """
    if os.environ.get(MARK) == str(os.getpid()):
        return
    check_fuse()
    apart = as_owner(["unshare", "--mount", "--"])
    tried = run_program(*apart, "true", package="util-linux")
    if tried.status != 0:
        raise BoardllamaError(
            f"BASE is opened in namespaces of its own, and this system refuses them ({tried.complaint}): run as root, "
            "or allow user namespaces and give this user subordinate ids (apt-get install uidmap)"
        )
    os.environ[MARK] = str(os.getpid())
    os.execvp(apart[0], [*apart, sys.executable, "-m", module, *words])


def check_fuse(device: str = FUSE) -> None:
    """Raises BoardllamaError unless file systems can be opened by programs through that device."""
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise BoardllamaError(
            f"{device} cannot be opened ({error.strerror}): BASE needs it; load the kernel's module (modprobe fuse), "
            f"and give a container the device (--device {device})"
        ) from None
