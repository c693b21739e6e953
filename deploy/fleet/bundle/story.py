"""The bundle of a run: what all kinds of boards are offered, written once, when each kind has its offer."""

from functools import partial
from pathlib import Path

from pyinfra import host, inventory
from pyinfra.api import operation

from deploy.build.artifact import LICENCES
from deploy.controller.files import sha256_of
from deploy.debian.deb_store import RELEASES, DebStore
from deploy.errors import BoardllamaError
from deploy.fleet.bundle.bundle_file import IMAGES, list_of, read_bundle_list, write_bundle
from deploy.hosts.offer import noted_offer
from deploy.hosts.remote import Commands, HostStep, Remote
from deploy.hosts.stage_decorator import stage
from deploy.hosts.store import BigFile
from deploy.hosts.target import role_settings_of
from deploy.paths import cache_dir, dist_dir, user_path
from deploy.setting_fields import ChannelFields

# Beside an image that a bundle has brought.
RECEIPT = ".receipt.json"
STORES = tuple(map(DebStore, RELEASES))


@stage("Bundle")
def bundle_offers() -> None:
    """Writes the bundle where the settings name one."""
    if told := role_settings_of(host, ChannelFields).channel_bundle:
        keep_bundle(name="Write the bundle", path=user_path("OUT", told).absolute())


@operation()
def keep_bundle(path: Path) -> Commands:
    """The first kind that has an offer writes for all. No change when the bundle holds exactly that."""
    offering = [one for one in inventory.get_active_hosts() if noted_offer(one)]
    if not host.state.is_executing or offering[:1] == [host]:
        if holds_offers(path):
            host.noop("the bundle is as it should be")
        else:
            yield HostStep(partial(write_for_all, path=path))


def write_for_all(remote: Remote, path: Path) -> None:
    """Writes the bundle. Raises BoardllamaError, OSError."""
    for store in STORES:
        store.fetch()
    files = bundled_files()
    write_bundle(path, files)
    remote.say(f"{path}: {len(files)} files, {sum(file.size for file in files.values()) // 1_000_000} MB")


def bundled_files() -> dict[str, BigFile]:
    """All that goes into the bundle, by its names there: offers, Debian's packages, images. Raises OSError."""
    found = {str(path.relative_to(cache_dir())): path for store in STORES for path in store.files}
    images = [path for path in dist_dir().glob("boardllama-*") if not path.name.endswith(RECEIPT)]
    found |= {f"{IMAGES}/{path.name}": path for path in images}
    files = {name: BigFile(path, "", sha256_of(path), path.stat().st_size) for name, path in sorted(found.items())}
    return offered_files() | files


def offered_files() -> dict[str, BigFile]:
    """The files of the run's offers by their paths in the cache. Raises BoardllamaError for one that lies elsewhere.

    The licences are not among them: every controller has them.
    """
    found = {}
    for one in inventory.get_active_hosts():
        offer = noted_offer(one)
        files = (*offer.programs, *offer.models) if offer else ()
        for file in (file for file in files if file.source != LICENCES):
            if not file.source.is_relative_to(cache_dir()):
                raise BoardllamaError(f"{file.source} is a file of your own: a bundle holds what the cache holds")
            found[str(file.source.relative_to(cache_dir()))] = file
    return found


def holds_offers(path: Path) -> bool:
    """Whether the bundle there holds exactly what this run would write."""
    try:
        is_whole = bool(offered_files()) and not any(store.lacks() for store in STORES)
        return is_whole and read_bundle_list(path) == list_of(bundled_files())
    except (BoardllamaError, OSError):
        return False
