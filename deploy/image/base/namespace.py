"""The mount namespace in which a base is opened: what is mounted there is seen by this run alone, and ends with it."""

import os
import sys

from deploy.debian.owners import as_owner, require_namespaces
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
    require_namespaces()
    apart = as_owner(["unshare", "--mount", "--"])
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
