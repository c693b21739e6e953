"""What an operator edits on the target: it becomes part of the release that it changed, and can be undone there."""

from pathlib import Path

from . import places
from .files import link, write
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


def undo_edits(release: Release) -> list[str]:
    """Puts back what was judged good, and keeps what was edited beside the public names. Returns where."""
    kept = []
    for public, own in editable(release):
        judged = release.folder / JUDGED / own.name
        if judged.exists() and judged.read_bytes() != own.read_bytes():
            aside = public.with_name(f"{public.name}.edited")
            write(aside, own.read_bytes())
            write(own, judged.read_bytes())
            kept.append(str(aside))
    return kept
