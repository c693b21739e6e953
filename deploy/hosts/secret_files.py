"""Secrets in files of a host: carried as standard input, compared by hash, and shown nowhere."""

import hashlib
import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from pyinfra import host
from pyinfra.api import FactBase, operation

from deploy.hosts.facts.target import shell_words
from deploy.hosts.lock import TargetStep
from deploy.hosts.remote import Commands, Remote


@dataclass(frozen=True)
class SecretFile:
    """`owner` is user:group, `mode` octal digits. `content` is not shown where the object is printed."""

    path: str
    content: str
    mode: str
    owner: str

    def __repr__(self) -> str:
        return f"SecretFile({self.path})"

    @property
    def stamp(self) -> str:
        """What SecretStamps finds on a host that has the file."""
        return f"{hashlib.sha256(self.content.encode()).hexdigest()} {self.mode} {self.owner}"


class SecretStamps(FactBase[dict[str, str]]):
    """Hash, mode and owner of files by path: {"/etc/…/page-password": "1f… 600 root:root"}."""

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def command(self, folder: str) -> str:
        # sha256sum of nothing but the path's content: a name may hold what sha256sum would escape.
        return (
            f'find {shlex.quote(folder)} -type f -exec sh -c \'for file; do echo "$(sha256sum <"$file" | cut -c -64)'
            ' $(stat -c "%a %U:%G" "$file") $file"; done\' sh {} + 2>/dev/null; true'
        )

    def process(self, output: list[str]) -> dict[str, str]:
        rows = [line.split(" ", 3) for line in output]
        return {row[3]: " ".join(row[:3]) for row in rows if len(row) == 4}


@operation()
def secret_files(folder: str, wanted: tuple[SecretFile, ...]) -> Commands:
    """Makes the host hold these secrets in a folder of theirs."""
    there = host.get_fact(SecretStamps, folder=folder)
    if missing := [file for file in wanted if there.get(file.path) != file.stamp]:
        yield TargetStep(partial(write_secrets, files=missing))


def write_secrets(remote: Remote, files: list[SecretFile]) -> None:
    """Writes one after the other, each beside its place and then renamed."""
    steps = ("set -e; umask 077", *map(secret_command, files))
    remote.feed([file.content.encode() for file in files], "; ".join(steps))


def secret_command(file: SecretFile) -> str:
    """The shell command that takes a secret from its input. Its folder is as closed as the file."""
    path, new, folder = map(shlex.quote, (file.path, f"{file.path}.new", str(PurePosixPath(file.path).parent)))
    user, group = file.owner.split(":")
    return (
        f"test -d {folder} || install -d -m 750 -o {user} -g {group} {folder};"
        f" head -c {len(file.content.encode())} > {new}; chown {file.owner} {new}; chmod {file.mode} {new}; sync {new};"
        f" mv -T {new} {path}"
    )


def remove_files(remote: Remote, paths: list[str]) -> None:
    """Removes secrets that nothing asks for any more."""
    remote.run(f"rm -f {shell_words(paths)}")
