"""What a target has: everything that a deploy compares, asked in one round trip and kept until it may have changed."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from pyinfra.api import FactBase
from pyinfra.api.host import Host

from deploy.hosts.facts import (
    Board,
    BoardInfo,
    KeyFile,
    KeyInfo,
    Links,
    ReleaseFiles,
    Status,
    StatusInfo,
    Stored,
    StoredFiles,
    Text,
    Texts,
)
from deploy.hosts.facts.combined import Questions, apart, together
from deploy.hosts.facts.target import record_path
from deploy.hosts.record import record_of
from deploy.onboard.places import PLACES, PRISTINE, PROGRAMS
from deploy.onboard.service import SERVICES, Service

PROGRAM = f"{PLACES.current}/boardllama"
LINKS = (
    *(f"{PLACES.public_bin}/{name}" for name in PROGRAMS),
    *(str(service.key_enabled(PLACES)) for service in SERVICES),
)
DECLARED = (PLACES.sysusers, PLACES.tmpfiles, *(service.public_key_unit(PLACES) for service in SERVICES))
STORES = tuple(map(str, dict.fromkeys((PLACES.builds, *(service.model_store for service in SERVICES)))))


def pristine_of(service: Service, path: Path) -> str:
    """Where the committed release keeps an editable file of a service as it was deployed."""
    return str(PLACES.current / PRISTINE / service.folder / path.name)


def editable_of(service: Service) -> dict[str, str]:
    """Its files that an operator may edit, and where each is as it was deployed."""
    return {str(path): pristine_of(service, path) for path in (service.config, service.public_unit(PLACES))}


TEXTS = (
    *(text for path in DECLARED for text in (str(path), record_path(path))),
    *(text for service in SERVICES for pair in editable_of(service).items() for text in pair),
)


@dataclass(frozen=True)
class ReleaseThere:
    """A release on a target: its files as ReleaseFiles says, and what its own program says of the target."""

    files: dict[str, str] = field(default_factory=dict)
    status: StatusInfo = field(default_factory=StatusInfo)


def of_release(folder: str) -> Questions:
    """What makes a ReleaseThere."""
    return {"files": (ReleaseFiles(), {"folder": folder}), "status": (Status(), {"program": f"{folder}/boardllama"})}


class ReleaseOnTarget(FactBase[ReleaseThere]):
    """One release, whether it is the committed one or not."""

    @staticmethod
    def default() -> ReleaseThere:
        return ReleaseThere()

    def command(self, folder: str) -> str:
        return together(of_release(folder))

    def process(self, output: list[str]) -> ReleaseThere:
        return ReleaseThere(**apart(of_release(""), output))


@dataclass(frozen=True)
class Snapshot:
    """`current`: the committed release. `texts`: of the paths that were asked for. `keys` by the services' names."""

    board: BoardInfo = field(default_factory=BoardInfo)
    links: dict[str, str | None] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)
    texts: dict[str, Text] = field(default_factory=dict)
    keys: dict[str, KeyInfo | None] = field(default_factory=dict)
    current: ReleaseThere = field(default_factory=ReleaseThere)

    @property
    def status(self) -> StatusInfo:
        """What the committed release's program says of the target."""
        return self.current.status


def of_target(texts: tuple[str, ...]) -> Questions:
    """What makes a Snapshot."""
    return {
        "board": (Board(), {}),
        "links": (Links(), {"paths": LINKS}),
        "stored": (StoredFiles(), {"stores": STORES}),
        "texts": (Texts(), {"paths": texts}),
        **{f"key {service.name}": (KeyFile(), {"path": str(service.api_key)}) for service in SERVICES},
        **of_release(str(PLACES.current)),
    }


class Everything(FactBase[Snapshot]):
    """What a deploy compares, but for a release that is not the committed one."""

    @staticmethod
    def default() -> Snapshot:
        return Snapshot()

    def command(self, texts: tuple[str, ...]) -> str:
        return together(of_target(texts))

    def process(self, output: list[str]) -> Snapshot:
        answers = apart(of_target(()), output)
        current = ReleaseThere(answers.pop("files"), answers.pop("status"))
        keys = {service.name: answers.pop(f"key {service.name}") for service in SERVICES}
        return Snapshot(current=current, keys=keys, **answers)


# What someone does on a target while others of the run get their gigabytes is seen after so many seconds.
FRESH_SECONDS = 60.0
HELD = "boardllama_snapshot"


@dataclass
class Memory:
    """What is known of one host. `first` is what it had when the run began; `asked` the small files to ask for."""

    lock: Lock = field(default_factory=Lock)
    asked: set[str] = field(default_factory=lambda: set(TEXTS))
    first: Snapshot | None = None
    last: Snapshot | None = None
    releases: dict[str, ReleaseThere] = field(default_factory=dict)
    taken: float = 0.0

    def known(self, paths: tuple[str, ...]) -> Snapshot | None:
        """The last snapshot, when it is young and has these small files."""
        fresh = time.monotonic() - self.taken < FRESH_SECONDS
        return self.last if fresh and self.asked.issuperset(paths) else None

    def learn(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot, as the last one."""
        self.last, self.taken = snapshot, time.monotonic()
        self.first = self.first or snapshot
        return snapshot


def memory_of(host: Host) -> Memory:
    """The host's, for this run."""
    memory: Memory = host.connector_data.setdefault(HELD, Memory())
    return memory


def seen(host: Host, *paths: str) -> Snapshot:
    """What the host has, with the small files of `paths` too. The builder's part of the run may ask at the same time
    as the host's own: one of them waits.
    """
    memory = memory_of(host)
    with memory.lock:
        known = memory.known(paths)
        if known is None:
            memory.asked.update(paths)
            known = memory.learn(host.get_fact(Everything, texts=tuple(sorted(memory.asked))))
            if known.status.current:
                record_of(host).found(known.status.current)
        return known


def release_seen(host: Host, id: str) -> ReleaseThere:
    """The release of that id, as the host has it."""
    memory = memory_of(host)
    snapshot = memory.known(())
    if snapshot and snapshot.status.current == id:
        return snapshot.current
    if id not in memory.releases:
        memory.releases[id] = host.get_fact(ReleaseOnTarget, folder=f"{PLACES.releases}/{id}")
    return memory.releases[id]


def forget(host: Host) -> None:
    """Something may have changed there."""
    memory = memory_of(host)
    memory.last = None
    memory.releases.clear()
