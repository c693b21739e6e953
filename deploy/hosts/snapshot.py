"""What a target has: everything that a deploy compares, asked in one round trip and kept until it may have changed."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from pyinfra.api import FactBase
from pyinfra.api.host import Host

from deploy.hosts import facts
from deploy.hosts.facts.combined import Questions, combined_command, split_answers
from deploy.hosts.facts.target import record_path
from deploy.hosts.run_record import record_of
from deploy.onboard.channel.subscription import APT, KEY, LIST, TOLD
from deploy.onboard.gateway.gateway_places import SHARED_LOADED, SHARED_UNIT
from deploy.onboard.places import EXPORTER_UNIT, PLACES, PRISTINE, PROGRAMS
from deploy.onboard.service import SERVICES, Service

PROGRAM = f"{PLACES.current}/boardllama"
LINKS = (
    *(f"{PLACES.public_bin}/{name}" for name in PROGRAMS),
    *(str(service.key_enabled(PLACES)) for service in SERVICES),
    str(PLACES.system_enabled),
    str(PLACES.channel_enabled),
)
DECLARED = (
    PLACES.sysusers,
    PLACES.tmpfiles,
    PLACES.system_unit,
    PLACES.channel_service,
    PLACES.channel_timer,
    *(PLACES.channel / name for name in (TOLD, KEY, LIST, APT)),
    PLACES.exporter,
    *(service.public_key_unit(PLACES) for service in SERVICES),
)
# Units that a deploy keeps running, and the files of ours without which it has none there.
UNITS = {
    str(PLACES.channel_timer): PLACES.channel_timer.name,
    str(PLACES.exporter): EXPORTER_UNIT,
    SHARED_LOADED: SHARED_UNIT,
}
STORES = tuple(map(str, dict.fromkeys((PLACES.builds, *(service.model_store for service in SERVICES)))))


def pristine_of(service: Service, path: Path) -> str:
    """Where the committed release keeps an editable file of a service as it was deployed."""
    return str(PLACES.current / PRISTINE / service.folder / path.name)


def editable_of(service: Service) -> dict[str, str]:
    """The files of a service that an operator may edit, and where each is kept as it was deployed."""
    return {str(path): pristine_of(service, path) for path in (service.config, service.public_unit(PLACES))}


TEXTS = (
    *(text for path in DECLARED for text in (str(path), record_path(path))),
    *(text for service in SERVICES for pair in editable_of(service).items() for text in pair),
)


@dataclass(frozen=True)
class ReleaseThere:
    """A release on a target: its files as facts.ReleaseFiles says, and what its own program says of the target."""

    files: dict[str, str] = field(default_factory=dict)
    status: facts.StatusInfo = field(default_factory=facts.StatusInfo)


def of_release(folder: str) -> Questions:
    """The questions whose answers make a ReleaseThere."""
    return {
        "files": (facts.ReleaseFiles(), {"folder": folder}),
        "status": (facts.Status(), {"program": f"{folder}/boardllama"}),
    }


class ReleaseOnTarget(FactBase[ReleaseThere]):
    """A release of the target, committed or not."""

    @staticmethod
    def default() -> ReleaseThere:
        return ReleaseThere()

    def command(self, folder: str) -> str:
        return combined_command(of_release(folder))

    def process(self, output: list[str]) -> ReleaseThere:
        return ReleaseThere(**split_answers(of_release(""), output))


@dataclass(frozen=True)
class Snapshot:
    """What a deploy compares. `current`: the committed release. `texts`: by path. `keys`: by the services' names.

    `units`: those of UNITS whose file is there.
    """

    board: facts.BoardInfo = field(default_factory=facts.BoardInfo)
    links: dict[str, str | None] = field(default_factory=dict)
    stored: dict[str, facts.Stored] = field(default_factory=dict)
    texts: dict[str, facts.Text] = field(default_factory=dict)
    keys: dict[str, facts.KeyInfo | None] = field(default_factory=dict)
    units: dict[str, facts.UnitState] = field(default_factory=dict)
    current: ReleaseThere = field(default_factory=ReleaseThere)

    @property
    def status(self) -> facts.StatusInfo:
        """What the committed release's program says of the target."""
        return self.current.status


def of_target(texts: tuple[str, ...]) -> Questions:
    """The questions whose answers make a Snapshot."""
    return {
        "board": (facts.Board(), {}),
        "links": (facts.Links(), {"paths": LINKS}),
        "stored": (facts.StoredFiles(), {"stores": STORES}),
        "texts": (facts.Texts(), {"paths": texts}),
        "units": (facts.Units(), {"units": UNITS}),
        **{f"key {service.name}": (facts.KeyFile(), {"path": str(service.api_key)}) for service in SERVICES},
        **of_release(str(PLACES.current)),
    }


class Everything(FactBase[Snapshot]):
    """All that a deploy compares, but for a release that is not the committed one."""

    @staticmethod
    def default() -> Snapshot:
        return Snapshot()

    def command(self, texts: tuple[str, ...]) -> str:
        return combined_command(of_target(texts))

    def process(self, output: list[str]) -> Snapshot:
        answers = split_answers(of_target(()), output)
        current = ReleaseThere(answers.pop("files"), answers.pop("status"))
        keys = {service.name: answers.pop(f"key {service.name}") for service in SERVICES}
        return Snapshot(current=current, keys=keys, **answers)


# Until a change that somebody makes on a target is seen, while other hosts of the run get their gigabytes.
FRESH_SECONDS = 60.0
HELD = "boardllama_snapshot"


@dataclass
class HostMemory:
    """What is known of one host. `first`: what the host had when the run began; `asked`: the small files to ask for."""

    lock: Lock = field(default_factory=Lock)
    asked: set[str] = field(default_factory=lambda: set(TEXTS))
    first: Snapshot | None = None
    last: Snapshot | None = None
    releases: dict[str, ReleaseThere] = field(default_factory=dict)
    taken: float = 0.0

    def fresh_snapshot(self, paths: tuple[str, ...]) -> Snapshot | None:
        """The last snapshot; None when it is too old, or lacks one of these small files."""
        fresh = time.monotonic() - self.taken < FRESH_SECONDS
        return self.last if fresh and self.asked.issuperset(paths) else None

    def keep_snapshot(self, snapshot: Snapshot) -> Snapshot:
        """Keeps the snapshot as the last one, and returns it."""
        self.last, self.taken = snapshot, time.monotonic()
        self.first = self.first or snapshot
        return snapshot


def memory_of(host: Host) -> HostMemory:
    """What this run knows of the host."""
    memory: HostMemory = host.connector_data.setdefault(HELD, HostMemory())
    return memory


def snapshot_of(host: Host, *paths: str) -> Snapshot:
    """What the host has, with the small files of `paths`: the last snapshot while it is fresh, else a new one.

    The builder's part of the run may ask at the same time as the host's own: one of the two waits.
    """
    memory = memory_of(host)
    with memory.lock:
        known = memory.fresh_snapshot(paths)
        if known is None:
            memory.asked.update(paths)
            known = memory.keep_snapshot(host.get_fact(Everything, texts=tuple(sorted(memory.asked))))
            if known.status.current:
                record_of(host).note_found(known.status.current)
        return known


def first_snapshot(host: Host) -> Snapshot:
    """What the host had when the run came to it."""
    snapshot_of(host)
    return memory_of(host).first or Snapshot()


def release_seen(host: Host, id: str) -> ReleaseThere:
    """The release of that id on the host; asked once until `forget_snapshot`."""
    memory = memory_of(host)
    snapshot = memory.fresh_snapshot(())
    if snapshot and snapshot.status.current == id:
        return snapshot.current
    if id not in memory.releases:
        memory.releases[id] = host.get_fact(ReleaseOnTarget, folder=f"{PLACES.releases}/{id}")
    return memory.releases[id]


def forget_snapshot(host: Host) -> None:
    """Drops what is known of the host, where something may have changed."""
    memory = memory_of(host)
    memory.last = None
    memory.releases.clear()
