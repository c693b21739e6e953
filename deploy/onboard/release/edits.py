"""What an operator edits on the target: it becomes part of the release that it changed, and can be undone there."""

from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import NamedTuple

from ..files import replace_link, sha256_of, write_file
from ..places import PRISTINE, Places
from ..service import Service
from .releases import Release, current_release, services_of

# The folder of a release with its editable files as they were when it was judged good.
JUDGED = "judged"


class Editable(NamedTuple):
    """A file that may be edited. `public`: its public name. `own`: its place in the release. `key`: the name of its
    hash in the manifest's entry of `service`.
    """

    service: Service
    public: Path
    own: Path
    key: str


def editable_files(release: Release) -> list[Editable]:
    """The config and the unit of each service."""
    return [
        Editable(service, public, release.folder_of(service) / public.name, key)
        for service in services_of(release)
        for public, key in ((service.config, "config"), (service.public_unit(release.places), "unit"))
    ]


def adopt_edits(places: Places) -> None:
    """Moves each file that an operator put in the place of a public name into the committed release, and links to it.

    What is served stays the same at every moment, and from here on one rename changes all public names.
    """
    release = current_release(places)
    for file in editable_files(release) if release else ():
        if file.public.is_file() and not file.public.is_symlink():
            write_file(file.own, file.public.read_bytes())
            replace_link(file.public, places.current / file.service.folder / file.public.name)


def carry_edits(release: Release) -> None:
    """Gives a release that no deploy has made for this board what an operator edited in the committed one."""
    before = current_release(release.places)
    if before is None or before == release:
        return
    adopt_edits(release.places)
    wanted = {file.public: file for file in editable_files(release)}
    for file in editable_files(before):
        deployed = kept_aside(before, PRISTINE, file)
        if file.public in wanted and deployed.exists() and deployed.read_bytes() != file.own.read_bytes():
            write_file(wanted[file.public].own, file.own.read_bytes())


def keep_judged_files(release: Release) -> None:
    """Copies the editable files of a release that was judged good, for `undo_edits`."""
    for file in editable_files(release):
        write_file(kept_aside(release, JUDGED, file), file.own.read_bytes())


def undo_edits(release: Release) -> list[tuple[Path, Path]]:
    """Puts back the files as they were committed.

    Returns the place of each edited file, and the file beside its public name where the edit is kept.
    """
    undone = []
    for file in editable_files(release):
        committed, now = as_committed(release, file), file.own.read_bytes() if file.own.exists() else b""
        if committed is not None and committed != now:
            aside = free_name(file.public)
            write_file(aside, now)
            write_file(file.own, committed)
            undone.append((file.own, aside))
    return undone


def redo_edits(undone: Iterable[tuple[Path, Path]]) -> None:
    """Puts the edits back that `undo_edits` took away."""
    for own, aside in undone:
        write_file(own, aside.read_bytes())
        aside.unlink()


def kept_aside(release: Release, store: str, file: Editable) -> Path:
    """Where the release keeps an editable file in another state: as judged (JUDGED) or as deployed (PRISTINE)."""
    return release.folder / store / file.service.folder / file.public.name


def as_committed(release: Release, file: Editable) -> bytes | None:
    """What a file held when the release was judged good; None where that is not known.

    A release from before JUDGED has the deployed file alone, which counts when the manifest has its hash: then nothing
    was edited.
    """
    judged, deployed = (kept_aside(release, store, file) for store in (JUDGED, PRISTINE))
    if judged.exists():
        return judged.read_bytes()
    unedited = deployed.exists() and sha256_of(deployed) == release.served[file.service].get(file.key)
    return deployed.read_bytes() if unedited else None


def free_name(public: Path) -> Path:
    """A name beside the public one that is still free: an edit that was kept earlier stays."""
    names = (public.with_name(f"{public.name}.edited{number or ''}") for number in count())
    return next(path for path in names if not path.exists())
