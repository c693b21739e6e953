"""Debian packages of a host: installed where they are missing, and not started before their settings are there."""

from functools import partial

from pyinfra import host
from pyinfra.api import FactBase, operation

from deploy.errors import BoardllamaError
from deploy.hosts.facts.target import shell_words
from deploy.hosts.lock import TargetStep
from deploy.hosts.remote import Commands, Remote, RemoteCommandFailed

INSTALLED = "installed"


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
    masked = shell_words(units)
    try:
        remote.run(
            f"systemctl mask -q --runtime {masked}; trap 'systemctl unmask -q --runtime {masked}' EXIT;"
            " export DEBIAN_FRONTEND=noninteractive; apt-get update -q >/dev/null;"
            f" apt-get install -qq -y --no-install-recommends {shell_words(names)} >/dev/null"
        )
    except RemoteCommandFailed as error:
        raise NotInstalled(
            f"{', '.join(names)} cannot be installed ({str(error).splitlines()[-1]}): this host needs a source of "
            "Debian's packages, or install them there by hand, then run again"
        ) from None
