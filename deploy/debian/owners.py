"""Work on trees whose files belong to many users: as root, or as root of a user namespace, which a user may make.

The namespace maps the user's subordinate ids of /etc/subuid: owners are kept.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.controller.interrupts import uninterrupted
from deploy.controller.programs import run_program
from deploy.debian.tools import Tools
from deploy.debian.workspace import Workspace
from deploy.errors import BoardllamaError

# What an ordinary user puts before a command: all of the user's ids, the user as root.
USER_NAMESPACE = ("unshare", "--user", "--map-root-user", "--map-auto", "--")
# tar's options for all that a file has beside its content.
KEPT = ("--numeric-owner", "--xattrs", "--xattrs-include=*")


def as_owner(command: list[str]) -> list[str]:
    """The command line by which a command may change any file of a tree."""
    return command if os.geteuid() == 0 else [*USER_NAMESPACE, *command]


def require_namespaces() -> None:
    """Raises BoardllamaError unless this user can have namespaces: Ubuntu 24.04 refuses them to an ordinary user."""
    tried = run_program(*as_owner(["unshare", "--mount", "--"]), "true", package="util-linux")
    if tried.status != 0:
        raise BoardllamaError(
            f"this system refuses namespaces ({tried.complaint}), in which trees and images are made: run as root, or "
            "allow this user to have them: lines in /etc/subuid and /etc/subgid, and on Ubuntu 24.04 "
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )


@contextmanager
def unpacked_tar(workspace: Workspace, tools: Tools, archive: Path) -> Iterator[Path]:
    """Unpacks a tree's tar file to folder/tree, which is gone at the end."""
    tree = workspace.folder / "tree"
    tree.mkdir()
    tar = [*tools.program_command("usr/bin/tar"), "--extract", "--same-owner", "--preserve-permissions", *KEPT]
    try:
        # Without device nodes, which a user cannot make: the kernel makes them at each boot.
        files = ["--exclude=./dev/*", "--file", str(archive), "--directory", str(tree)]
        workspace.run_step("unpacking", as_owner([*tar, *files]))
        yield tree
    finally:
        remove_as_owner(tree)


def remove_as_owner(folder: Path) -> None:
    """Removes a folder with the files of any user id in it, but nothing that is mounted there. Ctrl-C waits."""
    command = as_owner(["rm", "-rf", "--one-file-system", str(folder)])
    with uninterrupted():
        subprocess.run(command, check=False, start_new_session=True)
