"""What a command in a root tree sees, and what it cannot reach: the command line of its sandbox.

Each command gets its own mounts, processes, IPC, host name and network, by bubblewrap. All of them end with it, and it
ends with the process that started it, however that ends: nothing is ever mounted where anyone else sees it.

The boundary, also for programs of the tree that mean harm: paths (links and `..` end inside the tree), devices (nodes
in the tree do not open), mounts, kernel settings (/proc is read-only), other processes, the network, the terminal. As
root it is not one for bugs of the kernel, nor for the files of the emulator and of bubblewrap, which root in the tree
may name and the kernel keeps from being written while they run. An ordinary user's sandbox has a user namespace around
it: root in the tree is then nobody outside.
"""

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.debian.owners import USER_NAMESPACE
from deploy.errors import BoardllamaError

# What setting up packages takes. Not among them: mounting, making device nodes, opening files by handle, tracing.
CAPABILITIES = "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETFCAP SETGID SETUID SYS_CHROOT".split()
# Each becomes a mount point; a link in the place of one would move the mount.
MOUNT_POINTS = ("proc", "dev", "run", "tmp")
# Not SYSTEMD_OFFLINE, with which `systemctl is-active` says yes. An empty /run makes systemctl work on files anyhow.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


@dataclass(frozen=True)
class Sandbox:
    """`as_root`: started by root, who needs no user namespace. `network`: the controller's, instead of none."""

    tree: Path
    as_root: bool
    network: bool = False

    def command(self, *words: str) -> list[str]:
        """The command line that runs `words` in the tree."""
        before = () if self.as_root else USER_NAMESPACE
        return [
            *before,
            "bwrap",
            *self.mount_options(),
            *self.limit_options(),
            *self.environment_options(),
            "--",
            *words,
        ]

    def mount_options(self) -> list[str]:
        """The tree, and mounts over the folders whose content must not get into an image."""
        tree = ["--bind", str(self.tree), "/"]
        # Root could write kernel settings below /proc/sys if /proc were not read-only.
        own = ["--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev", "--tmpfs", "/run"]
        return [*tree, *own, "--perms", "1777", "--tmpfs", "/tmp", *self.resolver_mount(), "--chdir", "/"]

    def resolver_mount(self) -> list[str]:
        """The controller's name servers, over the tree's file where that is a plain one."""
        inside = self.tree / "etc" / "resolv.conf"
        plain = self.network and is_real(inside.parent, stat.S_ISDIR) and is_real(inside, stat.S_ISREG)
        return ["--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf"] if plain else []

    def limit_options(self) -> list[str]:
        """Namespaces of its own and few capabilities. A new session cannot type into the controller's terminal."""
        spaces = ["pid", "ipc", "uts", "cgroup-try", *([] if self.network else ["net"])]
        apart = [f"--unshare-{name}" for name in spaces]
        allowed = [word for name in CAPABILITIES for word in ("--cap-add", f"CAP_{name}")]
        return [*apart, "--hostname", "localhost", "--die-with-parent", "--new-session", "--cap-drop", "ALL", *allowed]

    def environment_options(self) -> list[str]:
        """Of the controller's variables only the proxies, with a network, and the time by which an image is dated.

        systemd-sysusers writes the day on which it makes an account into /etc/shadow, and obeys SOURCE_DATE_EPOCH.
        """
        proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        dated = {name: value for name, value in os.environ.items() if name == "SOURCE_DATE_EPOCH"}
        told = ENVIRONMENT | dated | (proxies if self.network else {})
        return ["--clearenv", *(word for name, value in told.items() for word in ("--setenv", name, value))]


def is_real(path: Path, kind: Callable[[int], bool]) -> bool:
    """Whether `path` is of that kind (stat.S_ISDIR, stat.S_ISREG) itself, and not by a link."""
    try:
        return kind(path.lstat().st_mode)
    except OSError:
        return False


def check_sandbox_programs(as_root: bool) -> None:
    """Raises BoardllamaError with the one command that installs what is missing."""
    needed = {"bwrap": "bubblewrap"} | ({} if as_root else {"newuidmap": "uidmap"})
    missing = [package for program, package in needed.items() if not shutil.which(program)]
    if missing:
        raise BoardllamaError(f"a root tree needs packages here: run sudo apt-get install {' '.join(missing)}")


def check_tree(tree: Path) -> None:
    """Raises BoardllamaError for a path that is no root tree, or is this machine's own."""
    if not is_real(tree, stat.S_ISDIR) or tree.resolve() != tree:
        raise BoardllamaError(f"{tree} is no folder, or a link leads there: give the real path of a root tree")
    if tree.samefile("/"):
        raise BoardllamaError(f"{tree} is the root of this machine: inventory/local.py is for that")
    bad = [name for name in MOUNT_POINTS if not is_real(tree / name, stat.S_ISDIR)]
    if bad:
        raise BoardllamaError(
            f"{tree} is no root tree: {bad[0]} there is not a folder of its own; make the tree anew, for example with "
            "mmdebstrap"
        )
