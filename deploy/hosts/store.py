"""Brings large files to a target: resumed after a cut, proven by hash, and put in place in one step.

On the target, beside the destination and so on its own file system: `.<name>.<sha256>.part` while it arrives, then a
rename, then `.<name>.receipt`, which lets the next run trust the file without reading it.
"""

import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath

from pyinfra import host
from pyinfra.api import operation

from deploy.controller.progress import Progress
from deploy.errors import BoardllamaError
from deploy.hosts.carriage import AS_EVER, Carriage, NotThisWay
from deploy.hosts.facts import Stored
from deploy.hosts.facts.target import shell_words
from deploy.hosts.lock import TargetStep
from deploy.hosts.receipt import receipt_format, receipt_path
from deploy.hosts.remote import Commands, Remote, Talk
from deploy.hosts.snapshot import snapshot_of

RECEIVER = Path(__file__).with_name("receive.sh")
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
    def part_path(self) -> str:
        """Where the file arrives. The name holds the hash: a part of other content is never continued."""
        place = PurePosixPath(self.dest)
        return str(place.with_name(f".{place.name}.{self.sha256[:16]}.part"))

    @property
    def receiver_words(self) -> tuple[str, ...]:
        """The arguments of receive.sh for this file, in their order."""
        proof = receipt_path(self.dest), receipt_format(self.sha256)
        return (self.dest, self.part_path, *proof, self.sha256, str(self.size), self.mode, self.owner)

    def is_at(self, stored: Stored | None) -> bool:
        """True when the target's file is proven to be this one, with this mode and owner."""
        return stored is not None and (stored.sha256, stored.mode, stored.owner) == (self.sha256, self.mode, self.owner)


@operation()
def big_files(files: tuple[BigFile, ...], carriage: Carriage = AS_EVER) -> Commands:
    """Makes the target hold `files`. Reads none of them when their receipts still hold."""
    held = snapshot_of(host).stored
    if wanting := [file for file in files if not file.is_at(held.get(file.dest))]:
        yield TargetStep(partial(deliver_files, files=wanting, carriage=carriage))
    else:
        host.noop("every file is there, as its receipt says")


def deliver_files(remote: Remote, files: Iterable[BigFile], carriage: Carriage = AS_EVER) -> None:
    """Brings files one after the other, in one conversation. Raises StoreError, OSError."""
    told = shell_words(word for file in files for word in file.receiver_words)
    talk = remote.talk(f"sh -c {shlex.quote(RECEIVER.read_text())} receive {told}")
    try:
        for file in files:
            Transfer(remote, talk, file, carriage).answer_target()
    finally:
        talk.end()


@dataclass
class Transfer:
    """One file, as the target asks for it. `offset`: the first byte that was sent the last time.

    `before`: who brought what lies before it, in words. `said`: the target's lines about what went wrong.
    """

    remote: Remote
    talk: Talk
    file: BigFile
    carriage: Carriage = AS_EVER
    offset: int = 0
    before: str = "an earlier run"
    said: list[str] = field(default_factory=list)

    def answer_target(self) -> None:
        """Answers the target until the file is in its place. Raises StoreError, OSError."""
        heard: dict[str, Callable[..., None]]
        heard = {
            "room": self.send_missing,
            "checking": self.say_checking,
            "damaged": self.begin_again,
            "alive": lambda: None,
        }
        while (line := self.talk.line()) != "stored":
            if not line:
                raise StoreError(f"{self.file.dest}: {self.end_reason()}")
            word, *numbers = line.split(" ")
            if word in heard:
                heard[word](*numbers)
            else:
                self.said.append(line)

    def end_reason(self) -> str:
        """Why the transfer ended before the file was stored."""
        if self.said:
            return f"the target could not write it: {'; '.join(self.said)}"
        return "the connection ended; what has arrived stays there, and the next run goes on with it"

    def send_missing(self, arrived: str, free_kib: str) -> None:
        """Has the bytes come that are missing. Raises StoreError when there is no room for them."""
        self.offset = int(arrived) if int(arrived) <= self.file.size else 0
        missing, free = self.file.size - self.offset, 1024 * int(free_kib)
        if missing + SPARE > free:
            raise StoreError(
                f"{self.file.dest}: {missing // MEGABYTE} MB to bring and {free // MEGABYTE} MB free on the "
                f"target, of which {SPARE // MEGABYTE} must stay free; make room there"
            )
        with self.carriage.turns.turn_of(self.remote.host):
            self.fetch_by_way()
            self.send_rest()

    def fetch_by_way(self) -> None:
        """Has the target fetch all of the file by the carriage's way, once: what comes so may be damaged."""
        way, self.carriage = self.carriage.way, replace(self.carriage, way=None)
        if way is None or self.offset == self.file.size:
            return
        try:
            way.fetch_file(self.remote, self.file)
        except NotThisWay as reason:
            self.offset = 0
            self.say(f"not from {way.origin}, but over SSH: {reason}")
        else:
            self.offset, self.before = self.file.size, way.origin
            self.say(f"came from {way.origin}")

    def send_rest(self) -> None:
        """Sends all from `offset` on."""
        if 0 < self.offset < self.file.size:
            self.say(f"{self.offset // MEGABYTE} of {self.file.size // MEGABYTE} MB are there already")
        for block in chain([f"{self.offset}\n".encode()], self.missing_chunks()):
            try:
                self.talk.send(block)
            except TimeoutError:
                raise
            except OSError:
                return  # The target takes no more: why, it says now.

    def missing_chunks(self) -> Iterator[bytes]:
        """The bytes from `offset` on, with lines of progress. Raises StoreError, OSError."""
        progress, sent, size = Progress(self.file.name, self.remote.say), self.offset, self.file.size
        with self.file.source.open("rb") as source:
            source.seek(sent)
            while chunk := source.read(min(CHUNK, size - sent)):
                self.carriage.pace.wait_for(len(chunk))
                yield chunk
                sent += len(chunk)
                progress.still(f"{sent // MEGABYTE} of {size // MEGABYTE} MB, {100 * sent // size} %")
        if sent < size:
            raise StoreError(f"{self.file.source} holds {sent} bytes and should {size}: it changed; run again")

    def say_checking(self) -> None:
        """Says that the target checks the file, which takes a while."""
        self.say("checking")

    def begin_again(self) -> None:
        """Says that all is sent again, since the part on the target was damaged.

        Raises StoreError when all of the part came in this run.
        """
        if not self.offset:
            file = self.file
            raise StoreError(
                f"{file.dest}: what arrived is not what {file.source} held (sha256 {file.sha256}); run again"
            )
        self.say(f"what {self.before} had brought was damaged; bringing all of it")

    def say(self, line: str) -> None:
        """Says a line of progress, with the file's name."""
        self.remote.say(f"{self.file.name}: {line}")
