"""What deploy.py tells of gateways: boards say what they offer, then each gateway serves what it knows of them all."""

from contextlib import suppress
from functools import cache, partial

from pydantic import SecretStr
from pyinfra import host, inventory, logger
from pyinfra.api import DeployError, operation
from pyinfra.api.host import Host

from deploy.build.artifact import Build
from deploy.controller.templates import render_template
from deploy.errors import BoardllamaError
from deploy.fleet.gateway.acme import ACME_PACKAGES, ACME_TEXTS, hold_certificate, trust_files
from deploy.fleet.gateway.gateway_files import BACKEND, GatewayFiles, TableChanged, load_files
from deploy.fleet.gateway.gateway_settings import GatewaySettings
from deploy.fleet.gateway.haproxy_files import CONFIG, haproxy_files
from deploy.fleet.gateway.offers import config_paths, entry_of, offered_entry
from deploy.fleet.gateway.shared_address import CONF, configure_shared_address
from deploy.hosts.addresses import addresses_elsewhere, addresses_of, name_of
from deploy.hosts.board_key import read_board_key
from deploy.hosts.lock import TargetStep
from deploy.hosts.packages import debian_packages
from deploy.hosts.release import files_digest, programs_of_role, sha256_hex
from deploy.hosts.remote import Commands, HostStep, Remote, refuse
from deploy.hosts.snapshot import Snapshot, forget_snapshot, snapshot_of
from deploy.hosts.stage_decorator import stage
from deploy.hosts.target import role_settings_of
from deploy.hosts.text_files import TextFile, is_edited, report_edit, show_diff, text_files
from deploy.onboard.gateway.board_table import BoardEntry, BoardTable, table_from_json
from deploy.onboard.gateway.gateway_places import GATEWAY_PLACES, SHARED_LOADED
from deploy.settings import Settings

GROUP, MONITORS = "gateways", "monitors"
ENTRY, UNNAMED = "boardllama_gateway_entry", "boardllama_gateway_unnamed"
PACKAGES = ("haproxy",)
KEEPER = "boardllama-keeper.service"
DROP_IN = "/etc/systemd/system/haproxy.service.d/50-boardllama.conf"
UNITS = "/etc/systemd/system"
# How often a load begins anew when other runs tell the gateway of boards meanwhile.
ATTEMPTS = 5


def gateways_of_run() -> list[Host]:
    """The gateways that this run reaches."""
    return [one for one in inventory.get_active_hosts() if GROUP in one.groups]


@stage("Offer")
def offer_board(settings: Settings, build: Build | None) -> None:
    """Has the board tell the gateways of this run what it offers, and its key."""
    if build and gateways_of_run():
        note_board(name="Tell the gateways what is served", settings=settings)


@operation()
def note_board(settings: Settings) -> Commands:
    """No change when every gateway knows the board as it is."""
    try:
        entry = entry_of(host, settings, snapshot_of(host, *config_paths(settings)))
    except BoardllamaError as error:
        host.log(str(error))
        return
    if entry is None and snapshot_of(host).status.waiting:
        host.noop("it has no model yet")
    elif entry is None or not all(entry in known_table(one).boards for one in gateways_of_run()):
        yield HostStep(partial(read_offer, settings=settings))


def read_offer(remote: Remote, settings: Settings) -> None:
    """Keeps what the board offers, with its key, for the gateways of this run."""
    if entry := entry_of(remote.host, settings, snapshot_of(remote.host, *config_paths(settings))):
        remote.host.connector_data[ENTRY] = entry, SecretStr(read_board_key(remote))


def known_table(gateway: Host) -> BoardTable:
    """What a gateway knows of its boards. Nothing where it has no table that can be read."""
    text = snapshot_of(gateway, *gateway_texts()).texts.get(str(GATEWAY_PLACES.table))
    return parsed_table(text.content) if text else BoardTable()


@cache
def parsed_table(content: bytes) -> BoardTable:
    """The table of a file; an empty one for a file that is none. Each board of a run asks for it."""
    try:
        return table_from_json(content.decode())
    except ValueError:
        return BoardTable()


def gateway_texts() -> tuple[str, ...]:
    """The small files of a gateway that a deploy compares: none of them is secret."""
    config, own = haproxy_file(""), (GATEWAY_PLACES.table, GATEWAY_PLACES.loaded)
    return *map(str, own), config.dest, config.record, CONF, SHARED_LOADED, *ACME_TEXTS


def haproxy_file(text: str) -> TextFile:
    """haproxy.cfg with that text."""
    return TextFile(str(GATEWAY_PLACES.config / CONFIG), text)


@stage("Gateway")
def serve_boards() -> None:
    """Makes the host a gateway: haproxy, what it runs beside it, and the table of boards."""
    settings = role_settings_of(host, GatewaySettings)
    names = settings.acme_names(name_of(host))
    debian_packages(
        name="Install haproxy", names=(*PACKAGES, *(ACME_PACKAGES if names else ())), units=("haproxy.service",)
    )
    files = (*unit_files(), *trust_files(settings))
    text_files(name="Write the units", files=files, conflict=settings.config_conflict)
    load_gateway(name="Have haproxy serve the boards", settings=settings)
    configure_shared_address(settings)
    # The last: an authority that refuses ends the work on this gateway.
    hold_certificate(name="Have a certificate by ACME", settings=settings, names=names)


def unit_files() -> tuple[TextFile, ...]:
    """The keeper's unit, and what haproxy's own unit is told."""
    runtime = GATEWAY_PLACES.runtime.name
    keeper = render_template(KEEPER, programs=GATEWAY_PLACES.programs, runtime=runtime)
    drop_in = render_template(
        "haproxy.service.conf",
        master_socket=GATEWAY_PLACES.master_socket,
        config=GATEWAY_PLACES.config,
        runtime=runtime,
    )
    return TextFile(f"{UNITS}/{KEEPER}", keeper), TextFile(DROP_IN, drop_in)


@operation()
def load_gateway(settings: GatewaySettings) -> Commands:
    """No change when haproxy has loaded exactly these files."""
    if host.state.is_executing:
        forget_snapshot(host)  # the run itself may have told it of boards
    try:
        snapshot, files = gateway_files(settings)
    except BoardllamaError as error:
        yield refuse(error)
        return
    loaded = snapshot.texts.get(str(GATEWAY_PLACES.loaded))
    if loaded and loaded.content.decode().strip() == files.digest:
        host.noop(f"it serves {len(files.labels)} boards already")
    else:
        yield TargetStep(partial(load_what_is_known, settings=settings))


def load_what_is_known(remote: Remote, settings: GatewaySettings) -> None:
    """Has the gateway load what is known of the boards now. Other runs may tell it of boards at the same time.

    Raises BoardllamaError, TableChanged.
    """
    for left in reversed(range(ATTEMPTS)):
        try:
            load_files(remote, gateway_files(settings)[1])
            return
        except TableChanged:
            forget_snapshot(remote.host)
            if not left:
                raise


def gateway_files(settings: GatewaySettings) -> tuple[Snapshot, GatewayFiles]:
    """What the gateway has, and is to have, with an operator's changes of haproxy.cfg. Raises BoardllamaError."""
    snapshot = snapshot_of(host, *gateway_texts())
    table = wanted_table(settings)
    if not table.boards:
        raise BoardllamaError("no board of the inventory offers anything to gateways yet: deploy the boards with it")
    monitors = addresses_elsewhere(host, MONITORS) if inventory.get_group(MONITORS, []) else None
    others = addresses_elsewhere(host, GROUP) if settings.gateway_tls == "acme" else []
    texts = haproxy_files(settings, table, GATEWAY_PLACES, names_of(host), monitors=monitors, others=others)
    config = haproxy_file(texts[CONFIG].decode())
    there, record = snapshot.texts.get(config.dest), snapshot.texts.get(config.record)
    kept = there.content if there and is_edited(config, there, record) and settings.config_conflict == "keep" else None
    if kept is not None:
        report_edit(config, there)
        say_unknown(kept, table)
    elif not config.is_at(there):
        show_diff(config, there)
    known = snapshot.texts.get(str(GATEWAY_PLACES.table))
    return snapshot, GatewayFiles(
        texts=texts,
        kept=kept,
        programs=programs_of_role("gateway"),
        units=files_digest({file.dest: file.content_bytes for file in unit_files()}),
        keys={entry.label: key for entry, key in noted_offers() if key.get_secret_value()},
        seen=sha256_hex(known.content if known else b""),
    )


def names_of(gateway: Host) -> tuple[str, ...]:
    """By which the controller reaches the gateway: its name, and the addresses of the name."""
    name = name_of(gateway)
    with suppress(BoardllamaError):  # only a jump host knows it
        return (name, *addresses_of(gateway))
    return (name,)


def say_unknown(kept: bytes, table: BoardTable) -> None:
    """Says once in a run which boards get no requests, since an operator's own haproxy.cfg does not name them."""
    told: set[str] = host.connector_data.setdefault(UNNAMED, {label.decode() for label in BACKEND.findall(kept)})
    if unknown := [board.name for board in table.boards if board.label not in told]:
        told.update(board.label for board in table.boards)
        host.log(
            f"{', '.join(unknown)} get no requests: {CONFIG} was edited there and does not name them; add the lines "
            "that the difference shows, or let config_conflict overwrite it",
            logger.warning,
        )


def wanted_table(settings: GatewaySettings) -> BoardTable:
    """What the gateway is to know: boards of this run as they are now, others of the inventory as it knew them."""
    known = {board.name: board for board in known_table(host).boards}
    known |= {board.name: board for board in offered_now()}
    boards = (known[one.name] for one in inventory.get_group("targets", []) if one.name in known)
    return BoardTable(
        boards=tuple(boards),
        ask_seconds=settings.gateway_ask_seconds,
        out_share=settings.gateway_out_share,
        drain_seconds=settings.gateway_drain_seconds,
    )


def offered_now() -> list[BoardEntry]:
    """What the boards of this run offer: as they have told, or, while the run is prepared, as they are."""
    if host.state.is_executing:
        return [entry for entry, _ in noted_offers()]
    boards = [one for one in inventory.get_active_hosts() if "targets" in one.groups]
    return [entry for one in boards if (entry := offer_seen(one))]


def offer_seen(board: Host) -> BoardEntry | None:
    """What a board offers before the run changes it; None for a board that cannot be asked, or reached."""
    try:
        return offered_entry(board)
    except (BoardllamaError, DeployError):
        return None


def noted_offers() -> list[tuple[BoardEntry, SecretStr]]:
    """What boards have told in this run, with their keys."""
    return [one.connector_data[ENTRY] for one in inventory.get_active_hosts() if ENTRY in one.connector_data]
