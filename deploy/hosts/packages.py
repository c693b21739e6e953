"""Debian packages of a host: installed where they are missing, and not started before their settings are there.

Where the host's apt reaches no network, the packages come from the controller, which a bundle has brought them to.
"""

import re
import shlex
from functools import partial

from pyinfra import host
from pyinfra.api import FactBase, operation

from deploy.debian.deb_store import INDEX, DebStore
from deploy.errors import BoardllamaError
from deploy.hosts.facts.target import shell_words
from deploy.hosts.lock import TargetStep
from deploy.hosts.release import pack_tar
from deploy.hosts.remote import Commands, Remote, RemoteCommandFailed
from deploy.onboard.places import PLACES

INSTALLED = "installed"
# A host without a network is to say so soon.
QUICK = "-o Acquire::Retries=0 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20"
INSTALL = "install -qq -y --no-install-recommends"
# Where packages from the controller lie while they are installed; apt is told of them alone.
BROUGHT = "/var/cache/boardllama-debs"
FROM_BROUGHT = (
    f"-o Dir::Etc::sourcelist={BROUGHT}/sources.list -o Dir::Etc::sourceparts=/dev/null"
    f" -o Dir::State::lists={BROUGHT}/lists -o APT::Sandbox::User=root -o Dir::Cache::pkgcache="
)
# As `apt-get --print-uris` says: an address and the file's name.
WANTED = re.compile(r"^'file:\S+' (\S+\.deb) ", re.M)


class NotInstalled(BoardllamaError):
    """A package that the host cannot get."""


class InstalledPackages(FactBase[set[str]]):
    """The packages that are installed, of those that are asked for: {"prometheus"}."""

    @staticmethod
    def default() -> set[str]:
        return set()

    def command(self, names: tuple[str, ...]) -> str:
        return f"dpkg-query -W -f '${{db:Status-Status}} ${{Package}}\\n' {shell_words(names)} 2>/dev/null; true"

    def process(self, output: list[str]) -> set[str]:
        rows = [line.split() for line in output]
        return {row[1] for row in rows if row[:1] == [INSTALLED]}


@operation()
def debian_packages(names: tuple[str, ...], units: tuple[str, ...]) -> Commands:
    """Installs the packages that are missing, without what they recommend. `units`: what they would start at once."""
    there = host.get_fact(InstalledPackages, names=names)
    if missing := [name for name in names if name not in there]:
        yield TargetStep(partial(install_debian_packages, names=missing, units=units))


def install_debian_packages(remote: Remote, names: list[str], units: tuple[str, ...]) -> None:
    """Installs, with the units masked meanwhile: with a package's own settings some would listen to everyone.

    Raises NotInstalled with apt's words.
    """
    try:
        run_apt(remote, units, f"apt-get update -q {QUICK} >/dev/null; apt-get {INSTALL} {QUICK} {shell_words(names)}")
    except RemoteCommandFailed as error:
        if store := store_for(remote):
            install_from_store(remote, names, units, store)
            return
        raise NotInstalled(
            f"{', '.join(names)} cannot be installed ({str(error).splitlines()[-1]}): this host needs a source of "
            "Debian's packages, or a bundle here that holds them, or install them there by hand, then run again"
        ) from None


def run_apt(remote: Remote, units: tuple[str, ...], command: str) -> None:
    """Runs apt, with the units masked meanwhile. Raises RemoteCommandFailed."""
    masked = shell_words(units)
    hold = (
        f"systemctl mask -q --runtime {masked}; trap 'systemctl unmask -q --runtime {masked}' EXIT; " if units else ""
    )
    remote.run(f"{hold}export DEBIAN_FRONTEND=noninteractive; {noting(f'{command} >/dev/null')}")


def noting(command: str) -> str:
    """The command, which leaves the names of the packages that it has installed for `boardllama uninstall`.

    It succeeds when the command does.
    """
    there, note = "dpkg-query -W -f '${Package}\\n' | sort -u", PLACES.packages
    return (
        f"before=$({there}); {command} && mkdir -p {note.parent} &&"
        f' {there} | {{ grep -vxF "$before" >>{note} || test $? = 1; }}'
    )


def store_for(remote: Remote) -> DebStore | None:
    """The packages on this controller for the host's release of Debian; None where there are none."""
    release, architecture = remote.run(
        '. /etc/os-release; echo "$VERSION_CODENAME-" $(dpkg --print-architecture)'
    ).split()
    store = DebStore(release.rstrip("-"), architecture)
    return store if store.is_here else None


def install_from_store(remote: Remote, names: list[str], units: tuple[str, ...], store: DebStore) -> None:
    """Brings the packages that the host lacks, and installs them. Raises NotInstalled."""
    index = {
        INDEX: (store.folder / INDEX).read_bytes(),
        "sources.list": f"deb [trusted=yes] file:{BROUGHT} ./\n".encode(),
    }
    unpack = f"mkdir -p {BROUGHT}/lists/partial && tar -xf - -C {BROUGHT}"
    apt = f"apt-get {FROM_BROUGHT}"
    try:
        remote.feed([pack_tar(index)], unpack)
        told = remote.run(f"{apt} update -qq >/dev/null && {apt} {INSTALL} --print-uris {shell_words(names)}")
        wanted = WANTED.findall(told)
        remote.say(f"its apt reaches no network: {len(wanted)} packages come from here")
        remote.feed([pack_tar({name: (store.folder / name).read_bytes() for name in wanted})], unpack)
        run_apt(remote, units, f"{apt} {INSTALL} {shell_words(names)}")
    except RemoteCommandFailed as error:
        raise NotInstalled(
            f"{', '.join(names)} cannot be installed from {store.folder} ({str(error).splitlines()[-1]}): make the "
            "bundle anew, or install them there by hand, then run again"
        ) from None
    finally:
        remote.run(f"rm -rf {shlex.quote(BROUGHT)}")
