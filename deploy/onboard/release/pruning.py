"""Which releases and stored files nothing needs any more, and their removal."""

import os
from pathlib import Path

from ..files import leads_into
from ..places import Places
from ..service import Service
from .releases import Release, all_releases, all_services, lineage, running_release


def releases_kept(release: Release) -> int:
    """How many committed releases the target keeps, by the policy of this one."""
    return int(release.stated("policy", "releases_kept"))


def find_strays(places: Places, keep: int, spared: Release | None = None) -> list[Path]:
    """Folders that nothing needs: releases beyond the `keep` last committed ones, and what only they have in the
    stores.

    A release that runs, that is on trial, or that is `spared` stays, whatever its age.
    """
    there = all_releases(places)
    services = all_services(there)
    kept = {release.id for _, release in zip(range(keep), lineage(places), strict=False)}
    kept |= {release.id for release in there if release.is_tried or release == spared}
    kept |= {id for service in services if (id := running_release(service))}
    needed = {part for release in there if release.id in kept for part in stored_folders(release)}
    stores = dict.fromkeys((places.builds, *(service.model_store for service in services)))
    folders = [place for store in stores if store.is_dir() for place in store.iterdir()]
    # What is in the stores goes first: the releases that are left after a cut still say which stores there are.
    return [
        *(place for place in folders if Path(os.path.realpath(place)) not in needed),
        *places.releases.glob(".*"),
        *(release.folder for release in there if release.id not in kept),
    ]


def stored_folders(release: Release) -> set[Path]:
    """The folders of the stores that a release's links lead into."""
    links = (path for path in release.folder.rglob("*") if path.is_symlink() and path.name != "previous")
    return {Path(os.path.realpath(path)).parent for path in links}


def prune_releases(places: Places, keep: int, spared: Release | None = None) -> list[Path]:
    """Removes the strays, and public names that lead nowhere. Returns the strays."""
    import shutil  # a tenth of a second at every start of the service, which needs none of it

    gone, services = find_strays(places, keep, spared), all_services(all_releases(places))
    for path in gone:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for service in services:
        remove_dead_names(places, service)
    return gone


def remove_dead_names(places: Places, service: Service) -> None:
    """Removes public names of models that the current release does not have: they lead nowhere."""
    here = places.current / service.folder
    for name in service.models.glob("*.gguf"):
        if leads_into(name, here) and not name.exists():
            name.unlink()
