"""What an operator edits on the target: it becomes part of the release that it changed, and can be undone there."""

from collections.abc import Iterable
from itertools import count
from pathlib import Path

from .. import places
from ..files import link, sha256_of, write
from .releases import Release, current

# Where a release keeps its editable files as they were when it was judged good.
JUDGED = "judged"


def editable(release: Release) -> list[tuple[Path, Path]]:
    """The public name of each file that may be edited, and its place in the release."""
    return [(path, release.folder / path.name) for path in (places.CONFIG, places.PUBLIC_UNIT)]


def adopt() -> None:
    """A file that an operator put in the place of a public name becomes part of the release that it changed.

    What is served stays the same at every moment, and from here on one rename changes all of it.
    """
    release = current()
    for public, own in editable(release) if release else ():
        if public.is_file() and not public.is_symlink():
            write(own, public.read_bytes())
            link(public, places.CURRENT / public.name)


def remember(release: Release) -> None:
    """Notes the files as they are good."""
    for _, own in editable(release):
        write(release.folder / JUDGED / own.name, own.read_bytes())


def undo_edits(release: Release) -> list[tuple[Path, Path]]:
    """Puts back what was committed. Returns the place of each edited file, and where it is kept, beside its name."""
    undone = []
    for public, own in editable(release):
        committed, now = as_committed(release, own.name), own.read_bytes() if own.exists() else b""
        if committed is not None and committed != now:
            aside = free_name(public)
            write(aside, now)
            write(own, committed)
            undone.append((own, aside))
    return undone


def redo_edits(undone: Iterable[tuple[Path, Path]]) -> None:
    """Takes that back."""
    for own, aside in undone:
        write(own, aside.read_bytes())
        aside.unlink()


def as_committed(release: Release, name: str) -> bytes | None:
    """What a file was when the release was judged good; None where that is not known.

    Releases from before this was noted have it when no edit was in them: what was deployed is what the manifest names.
    """
    judged, deployed = release.folder / JUDGED / name, release.folder / "pristine" / name
    if judged.exists():
        return judged.read_bytes()
    key = "config" if name == places.CONFIG.name else "unit"
    unedited = deployed.exists() and sha256_of(deployed) == release.manifest.get(key)
    return deployed.read_bytes() if unedited else None


def free_name(public: Path) -> Path:
    """Where an edited file can be kept; an earlier one stays."""
    names = (public.with_name(f"{public.name}.edited{number or ''}") for number in count())
    return next(path for path in names if not path.exists())
