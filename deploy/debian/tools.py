"""The packages of tools.txt and its like, built for the controller and of the trees' release: unpacked, not installed.

An image then does not depend on which versions of them the controller has.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deploy.controller.step_times import StepTimes
from deploy.debian.controller import Controller
from deploy.debian.staging import ensure_folder
from deploy.debian.word_lists import read_words
from deploy.debian.workspace import Workspace
from deploy.paths import cache_dir

HERE = Path(__file__).resolve().parent
TOOLS = HERE / "tools.txt"
SUITE = "trixie"
RECIPE_VERSION = 1


@dataclass(frozen=True)
class Tools:
    """`folder` holds the packages of a list such as tools.txt, unpacked."""

    folder: Path

    def program_command(self, path: str) -> list[str]:
        """The command line that runs the program at that path of the folder, with the libraries that lie there too."""
        return Controller.of_this_machine().program_command(self.folder, path)


def tools_key(packages: Path = TOOLS) -> str:
    """16 hexadecimal digits over all that decides what is unpacked. `packages`: the file that lists them."""
    inputs = [RECIPE_VERSION, SUITE, Controller.of_this_machine().architecture, read_words(packages)]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:16]


def ensure_tools(packages: Path = TOOLS) -> Tools:
    """The cached tools of a list, unpacked first when they are not there: 10 s. Raises BoardllamaError."""
    folder = cache_dir() / "tools" / tools_key(packages)
    return Tools(ensure_folder(folder, "tools", partial(unpack_tools, packages=packages)))


def unpack_tools(new: Path, packages: Path) -> None:
    """Unpacks into new/tree."""
    workspace, archive = Workspace(new, SUITE, "tools", StepTimes.of_run("tools")), new / "tools.tar"
    workspace.run_mmdebstrap(
        "packages",
        archive,
        "--variant=extract",
        f"--architectures={Controller.of_this_machine().architecture}",
        f"--include={','.join(read_words(packages))}",
    )
    unpack_archive(workspace, archive, new / "tree", "./usr")
    (new / "tree/lib64").symlink_to("usr/lib64")
    workspace.times.keep()


def unpack_archive(workspace: Workspace, archive: Path, folder: Path, *members: str) -> None:
    """Unpacks the named members of a tar file as the user's own files into a new folder, then removes the tar file."""
    folder.mkdir(exist_ok=True)
    command = ["tar", "--extract", "--no-same-owner", "--file", str(archive), "--directory", str(folder), *members]
    workspace.run_step(f"unpacking {folder.name}", command)
    archive.unlink()
