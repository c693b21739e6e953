"""Brings large files to a target: resumed after a cut, proven by hash, and put in place in one step.

On the target, beside the destination and so on its own file system: `.<name>.<sha256>.part` while it arrives, then a
rename, then `.<name>.receipt`, which lets the next run trust the file without reading it.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from pyinfra import host
from pyinfra.api import operation

from deploy.errors import BoardllamaError
from deploy.facts import IDENTITY, Stored, receipt_of
from deploy.lock import TargetStep
from deploy.remote import CommandFailed, Commands, Remote, every
from deploy.snapshot import seen

CHUNK = 1 << 18
MEGABYTE = 1_000_000
# Left free on the target's file system beyond what is brought, so that its journal and logs can go on.
SPARE = 32 * MEGABYTE


class StoreError(BoardllamaError):
    """A file could not be brought to a target; what was there before is untouched."""


@dataclass(frozen=True)
class BigFile:
    """A file of the controller and its place on the target. `sha256` is of the content, `size` in bytes."""

    source: Path
    dest: str
    sha256: str
    size: int
    mode: str = "644"
    owner: str = "root:root"

    @property
    def name(self) -> str:
        """File name on the target."""
        return PurePosixPath(self.dest).name

    @property
    def part(self) -> str:
        """Where it arrives. The name holds the hash: a rest of another content is never continued."""
        place = PurePosixPath(self.dest)
        return str(place.with_name(f".{place.name}.{self.sha256[:16]}.part"))

    def is_at(self, stored: Stored | None) -> bool:
        """True when the target's file is proven to be this one, with this mode and owner."""
        return stored is not None and (stored.sha256, stored.mode, stored.owner) == (self.sha256, self.mode, self.owner)


@operation()
def big_files(files: tuple[BigFile, ...]) -> Commands:
    """Makes the target hold `files`. Reads none of them when their receipts still hold."""
    held = seen(host).stored
    wanting = [file for file in files if not file.is_at(held.get(file.dest))]
    if not wanting:
        host.noop("every file is there, as its receipt says")
    for file in wanting:
        yield TargetStep(partial(deliver, file=file))


def deliver(remote: Remote, file: BigFile) -> None:
    """Brings one file. Raises StoreError, and CommandFailed for what the target's own tools said."""
    if not is_whole(remote, file.dest, file):
        offset, free = room(remote, file)
        if file.size - offset + SPARE > free:
            raise StoreError(
                f"{file.dest}: {(file.size - offset) // MEGABYTE} MB to bring and {free // MEGABYTE} MB free on the "
                f"target, of which {SPARE // MEGABYTE} must stay free; make room there"
            )
        begin(remote, file, offset)
        bring(remote, file, offset)
    remote.run(put_in_place(file))


def begin(remote: Remote, file: BigFile, offset: int) -> None:
    """Says what is about to be brought, when it is enough to wait for."""
    if offset:
        share = f"{offset // MEGABYTE} of {file.size // MEGABYTE} MB are there already"
        remote.say(f"{PurePosixPath(file.dest).name}: {share}")


def room(remote: Remote, file: BigFile) -> tuple[int, int]:
    """Bytes of the file that already arrived, and bytes free beside it. Drops rests of other contents."""
    place = PurePosixPath(file.dest)
    folder, part = shlex.quote(str(place.parent)), shlex.quote(file.part)
    answer = remote.run(
        f"set -e; umask 022; mkdir -p {folder};"
        f" find {folder} -maxdepth 1 -name {shlex.quote(f'.{place.name}.*.part')} ! -path {part} -delete;"
        f" stat -c %s {part} 2>/dev/null || echo 0; df -Pk {folder} | awk 'END {{print $4}}'"
    )
    arrived, free_kib = (int(line) for line in answer.split())
    return arrived, free_kib * 1024


def bring(remote: Remote, file: BigFile, offset: int) -> None:
    """Transfers from `offset` on and proves the whole; begins again once when what had arrived turns out bad."""
    if offset > file.size:
        offset = 0
    redirect = ">>" if offset else ">"
    part = shlex.quote(file.part)
    try:
        remote.feed(chunks(remote, file, offset), f"umask 077; cat {redirect} {part} && sync {part}")
    except CommandFailed as error:
        # A full disk must not stay full of our half file; after any other cut it is what the next run continues.
        if "space" in str(error):
            remote.run(f"rm -f {part}")
        raise StoreError(f"{file.dest}: the target could not write it: {error}") from None
    if is_whole(remote, file.part, file):
        return
    remote.run(f"rm -f {part}")
    if offset == 0:
        raise StoreError(f"{file.dest}: what arrived is not what {file.source} held (sha256 {file.sha256}); run again")
    remote.say(f"{file.dest}: what an earlier run had brought was damaged; bringing all of it")
    bring(remote, file, 0)


def chunks(remote: Remote, file: BigFile, offset: int) -> Iterator[bytes]:
    """The bytes from `offset` on, with a line of progress every five seconds."""
    due = every(5)
    with file.source.open("rb") as source:
        sent = source.seek(offset)
        while chunk := source.read(CHUNK):
            yield chunk
            sent += len(chunk)
            if due():
                share = f"{sent // MEGABYTE} of {file.size // MEGABYTE} MB, {100 * sent // file.size} %"
                remote.say(f"{PurePosixPath(file.dest).name}: {share}")


def is_whole(remote: Remote, path: str, file: BigFile) -> bool:
    """True when the target's `path` has the size, and then the sha256, of `file`."""
    if file.size > 100 * MEGABYTE:
        remote.say(f"{PurePosixPath(file.dest).name}: checking")
    # Not `sha256sum --check`: in its lists a backslash in a name is more than one.
    size, hashed = f"stat -c %s {shlex.quote(path)}", f"sha256sum < {shlex.quote(path)}"
    test = f"test $({size}) = {file.size} && test \"$({hashed})\" = '{file.sha256}  -'"
    return remote.run(f"if {{ {test}; }} 2>/dev/null; then echo whole; fi") == "whole"


def put_in_place(file: BigFile) -> str:
    """The shell command that gives the part its name, durably, and then writes the receipt."""
    part, dest, receipt = (shlex.quote(path) for path in (file.part, file.dest, receipt_of(file.dest)))
    folder = shlex.quote(str(PurePosixPath(file.dest).parent))
    return (
        f"set -e; f={dest}; test ! -e {part} || f={part};"
        f' chmod {file.mode} "$f"; chown {file.owner} "$f"; sync "$f";'
        f' test "$f" = {dest} || mv -T "$f" {dest}; sync {folder};'
        f" stat -c 'receipt {file.sha256} {IDENTITY} %n' {dest} > {receipt}.new; mv -T {receipt}.new {receipt}"
    )
