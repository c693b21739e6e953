"""Publishes the release of a kind of boards: its packages, its models, then the signed index that names them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial

from pyinfra.api.host import Host

from deploy.controller.progress import Say
from deploy.fleet.channel.debs import build_deb, release_deb
from deploy.fleet.channel.destination import Destination, destination_of
from deploy.fleet.channel.phases import next_record, phase_sentence, read_reports
from deploy.fleet.channel.record import ChannelRecord, KindRecord, Offering, index_hash, read_record, write_record
from deploy.fleet.channel.repository import IN_RELEASE, add_models, add_packages, drop_unneeded, sign_index
from deploy.hosts.offer import Offer
from deploy.hosts.release import release_time
from deploy.hosts.remote import Remote
from deploy.hosts.target import role_settings_of
from deploy.models.file_turn import take_turn
from deploy.paths import user_path
from deploy.setting_fields import ChannelFields


def publish_release(host: Host, offer: Offer) -> Callable[[Remote], None] | None:
    """The step that has the channel of the host's settings offer it; None when the channel is as it should be.

    Raises BoardllamaError, OSError.
    """
    told = role_settings_of(host, ChannelFields)
    if not told.channel_dest:
        host.log(f"{offer.kind}: {offer.release.id} is published nowhere: DEST= or channel_dest names a folder")
        return None
    place, now = destination_of(told.channel_dest), release_time()
    place.folder.mkdir(parents=True, exist_ok=True)
    with turn_at(place, host.log):
        place.catch_up()
    wanted = wanted_record(place, offer, told, now)
    host.log(phase_sentence(offer.kind, wanted, told))
    if is_settled(place, offer.kind, wanted, told, now):
        return None
    return partial(publish_there, place=place, offer=offer, told=told, now=now)


def wanted_record(place: Destination, offer: Offer, told: ChannelFields, now: datetime) -> KindRecord:
    """What the boards of the offer's kind are to be offered."""
    time = now.isoformat(timespec="seconds")
    debs = (build_deb(offer).file_name, release_deb(offer, time).file_name)
    models = tuple(file.sha256 for file in offer.models)
    new = Offering(release=offer.release.id, created=time, debs=debs, models=models, phase=0, since=time)
    reports = read_reports(user_path("channel_reports", told.channel_reports)) if told.channel_reports else ()
    record = next_record(read_record(place.folder).kinds.get(offer.kind), new, told, reports)
    return record.model_copy(update={"share": told.share_of(record.offering.phase)})


def is_settled(place: Destination, kind: str, wanted: KindRecord, told: ChannelFields, now: datetime) -> bool:
    """Whether the channel offers that already, to readers too, and is signed for at least half of its time yet."""
    there = read_record(place.folder)
    if there.kinds.get(kind) != wanted or not there.is_of(place.folder) or not place.is_uploaded:
        return False
    return now - datetime.fromisoformat(there.signed) < timedelta(days=told.channel_valid_days / 2)


def turn_at(place: Destination, say: Say) -> AbstractContextManager[None]:
    """Makes the block the only one that works on the folder, of all runs on this controller."""
    return take_turn(place.folder / ".lock", place.folder / IN_RELEASE, say)


def publish_there(remote: Remote, place: Destination, offer: Offer, told: ChannelFields, now: datetime) -> None:
    """Writes what is new, signs it, and uploads it. Raises BoardllamaError, OSError."""
    place.folder.mkdir(parents=True, exist_ok=True)
    with turn_at(place, remote.say):
        place.catch_up()
        wanted = wanted_record(place, offer, told, now)
        add_packages(place.folder, [build_deb(offer), release_deb(offer, wanted.offering.created)])
        add_models(place.folder, offer.models)
        there = read_record(place.folder)
        if not there.index:
            write_record(place.folder, there)  # a channel never is without one, wherever a run is cut
        kinds = there.kinds | {offer.kind: wanted}
        sign_index(place.folder, shares_of(kinds), told.channel_valid_days)
        signed, index = now.isoformat(timespec="seconds"), index_hash(place.folder)
        write_record(place.folder, ChannelRecord(kinds=kinds, signed=signed, index=index))
        place.upload(drop_unneeded(place.folder, models_of_kinds(kinds)))
    remote.say(phase_sentence(offer.kind, wanted, told))


def shares_of(kinds: dict[str, KindRecord]) -> dict[str, int]:
    """Per cent of the boards by the file names of the packages that are offered. Programs are for all."""
    found: dict[str, int] = {}
    for record in kinds.values():
        for offering in record.offered:
            *builds, release = offering.debs
            share = record.share if offering == record.offering else 100
            found |= dict.fromkeys(builds, 100) | {release: share}
    return found


def models_of_kinds(kinds: dict[str, KindRecord]) -> set[str]:
    """The sha256 of each model that some release in the channel has."""
    offerings = [one for record in kinds.values() for one in (record.offering, record.before) if one]
    return {sha256 for one in offerings for sha256 in one.models}
