"""The bundle of a run: what all kinds of boards are offered, written once, when each kind has its offer."""

from functools import partial
from pathlib import Path

from pyinfra import host, inventory
from pyinfra.api import operation

from deploy.errors import BoardllamaError
from deploy.fleet.bundle.bundle_file import list_of, read_bundle_list, write_bundle
from deploy.hosts.offer import noted_offer
from deploy.hosts.remote import Commands, HostStep, Remote
from deploy.hosts.stage_decorator import stage
from deploy.hosts.store import BigFile
from deploy.hosts.target import role_settings_of
from deploy.paths import cache_dir, user_path
from deploy.setting_fields import ChannelFields


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
    files = offered_files()
    write_bundle(path, files)
    remote.say(f"{path}: {len(files)} files, {sum(file.size for file in files.values()) // 1_000_000} MB")


def offered_files() -> dict[str, BigFile]:
    """The files of the run's offers by their paths in the cache. Raises BoardllamaError for one that lies elsewhere."""
    found = {}
    for one in inventory.get_active_hosts():
        offer = noted_offer(one)
        for file in (*offer.programs, *offer.models) if offer else ():
            if not file.source.is_relative_to(cache_dir()):
                raise BoardllamaError(f"{file.source} is a file of your own: a bundle holds what the cache holds")
            found[str(file.source.relative_to(cache_dir()))] = file
    return found


def holds_offers(path: Path) -> bool:
    """Whether the bundle there holds exactly the files of the run's offers."""
    try:
        files = offered_files()
        return bool(files) and read_bundle_list(path) == list_of(files)
    except (BoardllamaError, OSError):
        return False
