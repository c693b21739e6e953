"""Releases on the target: what each is made of, which one is committed, which may go.

A release is a folder of its own: manifest.json, these programs, links to the binaries, and for each of its services
config.json, the unit, and a link to the model. Binaries and models lie in stores by their content. `current` names the
committed release. `previous` in a release names the one that it took over from.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..json_parts import parse_json
from ..places import PLACES, PROGRAMS, Places
from ..service import OLLAMA, SERVICES, Service


class DamagedManifest(ValueError):
    """The manifest of a release is missing, torn, or lacks a value. The message says which manifest, and what to do."""


@dataclass(frozen=True)
class Release:
    """A folder of `places.releases`."""

    folder: Path
    places: Places = PLACES

    @property
    def id(self) -> str:
        """The letter r and 11 hexadecimal digits over all that is in it."""
        return self.folder.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """manifest.json, as deploy/hosts/release_manifest.py describes it. Raises DamagedManifest."""
        try:
            return dict(parse_json((self.folder / "manifest.json").read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise self.damaged(error) from None

    def damaged(self, error: Exception) -> DamagedManifest:
        """The error for a manifest in which `error` was met."""
        return DamagedManifest(f"{self.folder}/manifest.json is damaged ({error!r}): deploy again")

    def stated(self, *names: str) -> Any:
        """The value of the manifest to which the names lead, one below the other. Raises DamagedManifest."""
        value: Any = self.manifest
        try:
            for name in names:
                value = value[name]
        except (KeyError, TypeError) as error:
            raise self.damaged(error) from None
        return value

    @cached_property
    def served(self) -> dict[Service, dict[str, Any]]:
        """Its services, each with its model and the hashes of config and unit. Raises DamagedManifest.

        A manifest without a version is of a release that served OLLAMA alone: the manifest itself is that service's
        entry.
        """
        if "version" not in self.manifest:
            return {OLLAMA: {"model": self.stated("model"), **self.manifest}}
        try:
            entries = {Service.from_json(entry["service"]): entry for entry in self.manifest["services"]}
            return {service: {"model": entry["model"], **entry} for service, entry in entries.items()}
        except (KeyError, TypeError) as error:
            raise self.damaged(error) from None

    @property
    def services(self) -> tuple[Service, ...]:
        """Its services. The release is judged by all of them."""
        return tuple(self.served)

    def model(self, service: Service) -> str | None:
        """File name of the model that the release brings for a service; None when the operator brings one."""
        files = self.model_files(service)
        return str(files[0]["name"]) if files else None

    def model_files(self, service: Service) -> list[dict[str, Any]]:
        """The files of that model, as ModelFileEntry in deploy/hosts/release_manifest.py. Raises DamagedManifest.

        A manifest from before it had a list of them is of a model that is one file of weights.
        """
        model = self.served[service]["model"]
        try:
            return [{"kind": "weights", **file} for file in model.get("files", [model])] if model else []
        except (AttributeError, TypeError) as error:
            raise self.damaged(error) from None

    @property
    def models(self) -> str:
        """The names of the models that the release brings, for a table; "-" without a model."""
        return " ".join(name for service in self.services if (name := self.model(service))) or "-"

    @property
    def pin(self) -> str:
        """The commit of its llama.cpp; "" when its source says none."""
        return str(self.manifest.get("pins", {}).get("llama.cpp", {}).get("commit", ""))

    @property
    def is_current(self) -> bool:
        return current_release(self.places) == self

    @property
    def is_tried(self) -> bool:
        """True while a unit of this release stands in for the committed one."""
        units = (service.trial_unit(self.places) for service in services_of(self))
        return any(unit.is_file() and f"{self.folder}/" in unit.read_text() for unit in units)

    def trial_text(self, service: Service) -> str:
        """The unit of a service, started from this release's own folder instead of the current release's."""
        text = (self.folder_of(service) / service.unit).read_text()
        return text.replace(f"{self.places.current}/", f"{self.folder}/")

    @property
    def previous(self) -> "Release | None":
        """The release that was current before this one."""
        return named_by(self.folder / "previous", self.places)

    @property
    def rejected(self) -> str | None:
        """Why its last trial ended badly; None when it has not."""
        return self.note.read_text().strip() if self.note.is_file() else None

    @property
    def note(self) -> Path:
        """The file with the reason of a rejection."""
        return self.folder / "rejected"

    def folder_of(self, service: Service) -> Path:
        """Where a service's config, unit and model lie in this release."""
        return self.folder / service.folder

    def place(self, service: Service, public: Path) -> Path:
        """Where this release has an editable file: at its public name once committed, before that in its own folder."""
        return public if self.is_current else self.folder_of(service) / public.name

    def config(self, service: Service) -> Path:
        """The config that a start of this release reads."""
        return self.place(service, service.config)

    def public_names(self) -> dict[Path, Path]:
        """Every public name, and where it leads as long as this release is current."""
        places = self.places
        programs = [places.public_bin / name for name in (*PROGRAMS, "boardllama")]
        led = {path: places.current / path.name for path in programs}
        for service in self.services:
            unit = service.public_unit(places)
            models = (service.models / file["name"] for file in self.model_files(service))
            named = [service.config, unit, *models]
            led |= {path: places.current / service.folder / path.name for path in named}
            led[service.enabled(places)] = unit
        return led | {places.doctor: places.current / "boardllama"}


def own_release(places: Places = PLACES) -> Release:
    """The release in whose folder this program lies."""
    folder = Path(__file__).resolve().parents[2]
    return named_by(folder, places) or Release(folder, places)


def current_release(places: Places) -> Release | None:
    """The committed release; None before the first."""
    return named_by(places.current, places)


def named_by(link: Path, places: Places) -> Release | None:
    """The release that a link leads to; None without one. The folder of releases may be a link to another disk."""
    folder = Path(os.path.realpath(link))
    there = folder.parent == Path(os.path.realpath(places.releases)) and folder.is_dir()
    return Release(places.releases / folder.name, places) if there else None


def all_releases(places: Places) -> list[Release]:
    """Every release that is there whole, by id."""
    folders = places.releases.glob("*") if places.releases.is_dir() else iter(())
    return [Release(folder, places) for folder in sorted(folders) if not folder.name.startswith(".")]


def find_release(name: str, places: Places) -> Release:
    """The release with that id, or whose id alone begins so. Raises LookupError with the ids that are there."""
    found = [release for release in all_releases(places) if release.id.startswith(name)]
    if len(found) != 1 or not name:
        there = ", ".join(release.id for release in all_releases(places)) or "none"
        raise LookupError(f"{name or 'an empty name'} names {len(found) or 'no'} release here: there are {there}")
    return found[0]


def lineage(places: Places) -> Iterator[Release]:
    """The current release, then the release that each took over from."""
    seen: set[str] = set()
    release = current_release(places)
    while release and release.id not in seen:
        yield release
        seen.add(release.id)
        release = release.previous


def services_of(release: Release | None) -> tuple[Service, ...]:
    """The services of a release; SERVICES without a release, or when its manifest is damaged."""
    with suppress(DamagedManifest):
        return release.services if release else SERVICES
    return SERVICES


def all_services(releases: Iterable[Release]) -> list[Service]:
    """The services of the releases, each once."""
    return list(dict.fromkeys(service for release in releases for service in services_of(release)))


def running_release(service: Service) -> str | None:
    """Id of the release that the running server was started from; None when no server runs."""
    try:
        return service.started.read_text().splitlines()[1].split()[1]
    except (OSError, IndexError):
        return None


def release_state(release: Release) -> str:
    """One of "current", "trial", "previous", "kept", "rejected: WHY" and "prepared"."""
    lines = [one.id for one in lineage(release.places)]
    if release.is_current:
        return "current"
    if release.is_tried:
        return "trial"
    if release.id in lines:
        return "previous" if lines.index(release.id) == 1 else "kept"
    return f"rejected: {release.rejected}" if release.rejected else "prepared"
