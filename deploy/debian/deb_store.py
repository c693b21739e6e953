"""Debian's packages for machines whose apt reaches no network: for each release a repository in a folder of the cache.

apt decides which packages belong together, as for a machine that has none yet, and proves each by Debian's signature.
On the machine itself apt takes of them what it lacks.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deploy.controller.programs import program_output
from deploy.controller.progress import Progress
from deploy.debian.archive import ARCHIVE, archive_address
from deploy.debian.controller import KEYRING
from deploy.debian.staging import ensure_folder, remove_tree
from deploy.debian.tools import HERE
from deploy.debian.word_lists import read_words
from deploy.paths import cache_dir

RELEASES, ARCHITECTURE = ("bookworm", "trixie"), "arm64"
PACKAGES = HERE / "target_packages.txt"
INDEX = "Packages"
# Every Debian has these, and cannot lose them.
EVERYWHERE = "required"
# Seconds, for some 90 MB.
DEADLINE = 3600.0
SECURITY = f"{ARCHIVE}-security"
CONFIG = """
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
Dir::State "{folder}";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}";
Dir::Cache::archives "{folder}/tree";
Dir::Log "/dev/null";
"""


@dataclass(frozen=True)
class DebStore:
    """`release`: Debian's name of it, such as "trixie"."""

    release: str
    architecture: str = ARCHITECTURE

    @property
    def folder(self) -> Path:
        """Where its packages lie, with their index. It may not be there."""
        return cache_dir() / "debs" / f"{self.release}-{self.architecture}"

    @property
    def is_here(self) -> bool:
        return (self.folder / INDEX).exists()

    @property
    def files(self) -> list[Path]:
        """The index and the packages."""
        return sorted(path for path in self.folder.iterdir() if path.name == INDEX or path.suffix == ".deb")

    def lacks(self, packages: Path = PACKAGES) -> list[str]:
        """The names of a list that are not here, in order: of a list that has become longer since, for instance."""
        index = (self.folder / INDEX).read_text() if self.is_here else ""
        held = {line.removeprefix("Package: ") for line in index.splitlines() if line.startswith("Package: ")}
        return [name for name in read_words(packages) if name not in held]

    def fetch(self, packages: Path = PACKAGES) -> None:
        """Fetches the packages of a list, unless all are here: delete the folder to get newer ones.

        Raises BoardllamaError. What was there stays until all has come.
        """
        if self.lacks(packages):
            make = partial(fetch_debs, store=self, packages=packages)
            new = ensure_folder(self.folder.with_name(f"{self.folder.name}.new"), f"packages of {self.release}", make)
            remove_tree(self.folder)
            new.rename(self.folder)


def fetch_debs(new: Path, store: DebStore, packages: Path) -> None:
    """Fetches into new/tree what the packages of the list need. Raises BoardllamaError."""
    for name in ("lists/partial", "tree/partial"):
        (new / name).mkdir(parents=True)
    (new / "status").touch()
    (new / "sources.list").write_text("".join(f"{line}\n" for line in source_lines(store)))
    (new / "apt.conf").write_text(CONFIG.format(folder=new, architecture=store.architecture))
    with Progress(f"packages of {store.release}").during("fetching from Debian"):
        for words in (["update"], ["install", "--yes", "--download-only", *read_words(packages)]):
            command = ["env", f"APT_CONFIG={new}/apt.conf", "LC_ALL=C.UTF-8", "apt-get", "-qq", *words]
            program_output(*command, deadline=DEADLINE, package="apt", name="apt-get")
    for path in (new / "tree").iterdir():
        if path.suffix != ".deb":
            path.rmdir() if path.is_dir() else path.unlink()
        elif program_output("dpkg-deb", "--field", str(path), "Priority").decode().strip() == EVERYWHERE:
            path.unlink()
    index_debs(new / "tree")


def source_lines(store: DebStore) -> list[str]:
    """The sources: $BOARDLLAMA_MIRROR alone, or Debian's own with its security updates."""
    archive, told = archive_address(), f"deb [signed-by={KEYRING}]"
    lines = [f"{told} {archive} {store.release} main"]
    return lines if archive != ARCHIVE else [*lines, f"{told} {SECURITY} {store.release}-security main"]


def index_debs(folder: Path) -> None:
    """Writes the index of the packages in a folder. Raises BoardllamaError."""
    command = ["env", "-C", str(folder), "apt-ftparchive", "packages", "."]
    (folder / INDEX).write_bytes(
        program_output(*command, deadline=DEADLINE, package="apt-utils", name="apt-ftparchive")
    )
