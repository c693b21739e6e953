"""Trees of Debian packages in the cache, unpacked and never installed: compilers, QEMU, and Debian's own llama.cpp."""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.build.fetch import FetchError, download
from deploy.controller.programs import program_output
from deploy.controller.progress import Progress
from deploy.debian.archive import archive_address
from deploy.debian.controller import Controller
from deploy.debian.staging import ensure_folder
from deploy.debian.workspace import Workspace
from deploy.errors import BoardllamaError
from deploy.paths import cache_dir

HERE = Path(__file__).resolve().parent
RECIPE_VERSION = 1
ARCHIVE = "http://snapshot.debian.org/archive/debian/20261129T000000Z"
MERGED = ("bin", "sbin", "lib", "lib64")


@dataclass(frozen=True)
class Packages:
    """Packages of a suite for the controller itself, with all that they depend on."""

    suite: str
    names: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where they lie, unpacked."""
        return keyed_folder(
            "roots", [RECIPE_VERSION, self.suite, Controller.of_this_machine().architecture, self.names]
        )

    def ensure(self) -> Path:
        """The folder, unpacked first where it is not there: a minute. Raises BoardllamaError."""
        return ensure_folder(self.folder, "bench", self.unpack)

    def command(self, program: str) -> list[str]:
        """The command line that runs a program of /usr/bin there, with the libraries that lie there too."""
        tree, controller = self.ensure(), Controller.of_this_machine()
        libraries = tree / "usr/lib" / controller.triplet
        # Not the link in /lib64: it may lead to the loader of this machine.
        loader = libraries / Path(controller.loader).name
        return [str(loader), "--library-path", str(libraries), str(tree / "usr/bin" / program)]

    def unpack(self, new: Path) -> None:
        """Unpacks into new/tree."""
        workspace, archive = Workspace(new, self.suite, "bench"), new / "root.tar"
        options = ["--variant=extract", f"--include={','.join(self.names)}"]
        workspace.run_mmdebstrap(f"packages of {self.suite}", archive, *options)
        merge_usr(new / "tree")
        command = ["tar", "--extract", "--keep-directory-symlink", "--no-same-owner", "--exclude=./dev/*"]
        workspace.run_step("unpacking", [*command, "--file", str(archive), "--directory", str(new / "tree")])


# QEMU of Debian 12: the programs of later releases are static, and load no plugin.
EMULATION = Packages("bookworm", ("qemu-user",))
# GCC 12 is what the reference system's users have.
GCC = Packages("bookworm", ("g++-aarch64-linux-gnu", "dash", "coreutils"))
# LLVM 19 has a model of the Neoverse N1.
LLVM = Packages("trixie", ("llvm",))


def keyed_folder(kind: str, inputs: object) -> Path:
    """A folder of the cache for what those inputs decide."""
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return cache_dir() / "bench" / kind / digest[:16]


def merge_usr(tree: Path) -> None:
    """Makes /bin and its like links into /usr, where the programs of all packages then lie."""
    for name in MERGED:
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")


@dataclass(frozen=True)
class Pin:
    """One package by its path in Debian's archive and its sha256."""

    sha256: str
    path: str

    @property
    def archive(self) -> Path:
        return cache_dir() / "bench" / "packages" / self.sha256[:16] / Path(self.path).name

    def ensure(self) -> Path:
        """The proven file. A version that Debian's mirrors have no longer comes from its archive of all versions."""
        self.archive.parent.mkdir(parents=True, exist_ok=True)
        if not self.archive.exists():
            try:
                download(f"{archive_address()}/{self.path}", self.archive, self.sha256)
            except FetchError:
                download(f"{ARCHIVE}/{self.path}", self.archive, self.sha256)
        return self.archive


def read_pins(file: Path) -> list[Pin]:
    """The pins of a file of lines `SHA256  PATH`; what follows # is a comment."""
    lines = [line.partition("#")[0].split() for line in file.read_text().splitlines()]
    return [Pin(*words) for words in lines if words]


def ensure_pinned_root(file: Path) -> Path:
    """A tree of exactly the pinned packages. Raises BoardllamaError, also when one cannot be had any longer."""
    pins = read_pins(file)

    def unpack(new: Path) -> None:
        merge_usr(new / "tree")
        for pin in pins:
            package = program_output("dpkg-deb", "--fsys-tarfile", str(pin.ensure()), package="dpkg")
            command = ["tar", "--extract", "--keep-directory-symlink", "--no-same-owner", "--directory"]
            subprocess.run([*command, str(new / "tree")], input=package, check=True)

    try:
        with Progress("bench").during("packages of Debian's llama.cpp"):
            return ensure_folder(keyed_folder("roots", [[pin.sha256, pin.path] for pin in pins]), "bench", unpack)
    except FetchError as error:
        raise BoardllamaError(f"{error}; pin a newer version in {file.name}") from None
