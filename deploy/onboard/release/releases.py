"""Releases on the target: what each is made of, which one is committed, which may go.

A release is a folder of its own: manifest.json, config.json, the unit, these programs, and links to the binaries and
the model, which lie in stores by their content. `current` names the committed one. `previous` in a release names the
one that it took over from.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .. import places


@dataclass(frozen=True)
class Release:
    """One folder of RELEASES."""

    folder: Path

    @property
    def id(self) -> str:
        """The letter r and 11 hexadecimal digits over all that is in it."""
        return self.folder.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What it is made of. Raises OSError and ValueError."""
        return dict(json.loads((self.folder / "manifest.json").read_text()))

    @property
    def model(self) -> str | None:
        """File name of the model that it brings; None when the operator brings one."""
        model = self.manifest["model"]
        return str(model["name"]) if model else None

    @property
    def pin(self) -> str:
        """The commit of its llama.cpp; "" when its source says none."""
        return str(self.manifest.get("pins", {}).get("llama.cpp", {}).get("commit", ""))

    @property
    def is_current(self) -> bool:
        """True when it is the committed one."""
        return current() == self

    @property
    def is_tried(self) -> bool:
        """True while its unit stands in for the committed one's."""
        return places.TRIAL.is_file() and f"{self.folder}/" in places.TRIAL.read_text()

    def trial_unit(self) -> str:
        """Its unit, started from its own folder instead of the current release's."""
        return (self.folder / places.UNIT).read_text().replace(f"{places.CURRENT}/", f"{self.folder}/")

    @property
    def previous(self) -> "Release | None":
        """The release that was current before this one."""
        return named_by(self.folder / "previous")

    @property
    def rejected(self) -> str | None:
        """Why its last trial ended badly."""
        return self.note.read_text().strip() if self.note.is_file() else None

    @property
    def note(self) -> Path:
        """Where the reason of a rejection is kept."""
        return self.folder / "rejected"

    def place(self, public: Path) -> Path:
        """An editable file as this release means it: before its commit the one in its own folder."""
        return public if self.is_current else self.folder / public.name

    def public_names(self) -> dict[Path, Path]:
        """Every public name, and where it leads as long as this release is current."""
        named = [places.PUBLIC_BIN / name for name in (*places.PROGRAMS, "boardllama")]
        named += [places.CONFIG, places.PUBLIC_UNIT]
        named += [places.MODELS / self.model] if self.model else []
        others = {places.DOCTOR: places.CURRENT / "boardllama", places.ENABLED: places.PUBLIC_UNIT}
        return {path: places.CURRENT / path.name for path in named} | others


def own() -> Release:
    """The release that this program lies in."""
    folder = Path(__file__).resolve().parents[2]
    return named_by(folder) or Release(folder)


def current() -> Release | None:
    """The committed release."""
    return named_by(places.CURRENT)


def named_by(link: Path) -> Release | None:
    """The release that a link names, when it is there. RELEASES itself may lead to another disk."""
    folder = Path(os.path.realpath(link))
    there = folder.parent == Path(os.path.realpath(places.RELEASES)) and folder.is_dir()
    return Release(places.RELEASES / folder.name) if there else None


def everyone() -> list[Release]:
    """Every release that is there whole."""
    folders = places.RELEASES.glob("*") if places.RELEASES.is_dir() else iter(())
    return [Release(folder) for folder in sorted(folders) if not folder.name.startswith(".")]


def find(name: str) -> Release:
    """The release with that id or beginning of an id. Raises LookupError with what is there."""
    found = [release for release in everyone() if release.id.startswith(name)]
    if len(found) != 1 or not name:
        there = ", ".join(release.id for release in everyone()) or "none"
        raise LookupError(f"{name or 'an empty name'} names {len(found) or 'no'} release here: there are {there}")
    return found[0]


def lineage() -> Iterator[Release]:
    """The current release, the one before it, and so on."""
    seen: set[str] = set()
    release = current()
    while release and release.id not in seen:
        yield release
        seen.add(release.id)
        release = release.previous


def running() -> str | None:
    """Id of the release that the running server was started from."""
    try:
        return places.STARTED.read_text().splitlines()[1].split()[1]
    except (OSError, IndexError):
        return None


def state(release: Release) -> str:
    """One word for a table, and the reason of a rejection."""
    lines = [one.id for one in lineage()]
    if release.is_current:
        return "current"
    if release.is_tried:
        return "trial"
    if release.id in lines:
        return "previous" if lines.index(release.id) == 1 else "kept"
    return f"rejected: {release.rejected}" if release.rejected else "prepared"


def table() -> list[dict[str, str]]:
    """A row for each release: the current one, those before it, the others."""
    order = [release.id for release in lineage()]
    rows = []
    for release in sorted(everyone(), key=lambda one: order.index(one.id) if one.id in order else len(order)):
        try:
            made = release.manifest
            about = {"when": made["created"], "build": made["build"]["name"], "model": release.model or "-"}
        except (OSError, ValueError, KeyError):
            about = {"when": "", "build": "", "model": "its manifest cannot be read"}
        rows.append({"id": release.id, **about, "state": state(release)})
    return rows


def as_table(rows: list[dict[str, str]]) -> list[str]:
    """Lines of aligned columns under a heading."""
    rows = [{name: name for name in rows[0]}, *rows]
    wide = {name: max(len(row[name]) for row in rows) for name in rows[0]}
    return ["  ".join(f"{value:{wide[name]}}" for name, value in row.items()).rstrip() for row in rows]


def strays(keep: int, spared: Release | None = None) -> list[Path]:
    """What nothing needs: releases beyond the `keep` last committed ones, and what only they had in the stores.

    What runs, what is tried and `spared` stay, whatever their age.
    """
    kept = {release.id for _, release in zip(range(keep), lineage(), strict=False)} | {running()}
    kept |= {release.id for release in everyone() if release.is_tried or release == spared}
    needed = {part for release in everyone() if release.id in kept for part in stored(release)}
    folders = [place for store in (places.BUILDS, places.MODEL_STORE) if store.is_dir() for place in store.iterdir()]
    unfinished = list(places.RELEASES.glob(".*")) if places.RELEASES.is_dir() else []
    return [
        *(release.folder for release in everyone() if release.id not in kept),
        *unfinished,
        *(place for place in folders if Path(os.path.realpath(place)) not in needed),
    ]


def stored(release: Release) -> set[Path]:
    """The folders of the stores that a release's links lead into."""
    return {Path(os.path.realpath(path)).parent for path in release.folder.iterdir() if path.is_symlink()}


def prune(keep: int, spared: Release | None = None) -> list[Path]:
    """Removes what nothing needs. Returns what went."""
    import shutil  # a tenth of a second at every start of the service, which needs none of it

    gone = strays(keep, spared)
    for path in gone:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    # A public name of a model that the current release does not have leads nowhere.
    for name in places.MODELS.glob("*.gguf"):
        if name.is_symlink() and name.readlink().parent == places.CURRENT and not name.exists():
            name.unlink()
    return gone
