"""What a deploy does to a monitor: packages, keys of the boards, configuration, and programs that run with it."""

import json
from collections.abc import Mapping
from pathlib import PurePath

from pyinfra import host, inventory
from pyinfra.api.host import Host
from pyinfra.context import ctx_inventory

from deploy.controller.templates import render_template
from deploy.fleet.monitor.applied import SERVERS, TIMER, Configuration, apply_configuration
from deploy.fleet.monitor.board_keys import bring_board_keys
from deploy.fleet.monitor.fleet_file import leave_boards
from deploy.fleet.monitor.monitor_places import FLEET, FOLDER, OWNER, PAGE, PROGRAMS, SECRETS, UNITS
from deploy.fleet.monitor.monitor_settings import USER, MonitorSettings
from deploy.fleet.monitor.watched_boards import WatchedBoard, target_groups, watched_boards
from deploy.hosts.addresses import LOOPBACK, name_of
from deploy.hosts.packages import debian_packages
from deploy.hosts.secret_files import SecretFile, secret_files
from deploy.hosts.stage_decorator import stage
from deploy.hosts.target import role_settings_of
from deploy.hosts.text_files import TextFile, text_files
from deploy.onboard.gateway.gateway_places import GATEWAY_PLACES
from deploy.onboard.server.config import host_port, reaching_address
from deploy.paths import PACKAGE
from deploy.setting_fields import GatewayFields

RULES = PACKAGE / "fleet/monitor/boardllama.rules.yml"
ONBOARD = PACKAGE / "onboard"
# What is added to the units of the packages, and the units of the page.
UNIT_FILES = (
    "prometheus.service.d/prometheus-boardllama.conf",
    "prometheus-alertmanager.service.d/prometheus-alertmanager-boardllama.conf",
    "boardllama-fleet-page.service",
    TIMER,
)
PACKAGES = ("prometheus", "prometheus-alertmanager", "curl")


@stage("Monitor")
def configure_monitor() -> None:
    """Makes the host the monitor of the inventory's boards."""
    settings, boards = role_settings_of(host, MonitorSettings), watched_boards(host)
    say_unseen(boards)
    debian_packages(name="Install Prometheus", names=PACKAGES, units=SERVERS)
    bring_board_keys(name="Bring the boards' keys", boards=tuple(boards))
    secret_files(name="Write the passwords", folder=SECRETS, wanted=monitor_secrets(settings))
    files = (*texts_of(settings, boards, host.name, gateway_targets(host)), *page_files(settings), *units_of(settings))
    text_files(name="Write the configuration", files=files, conflict=settings.config_conflict)
    leave_boards(name="Leave what the page says of the boards", boards=tuple(boards))
    apply_configuration(name="Run with it", wanted=Configuration.of_files(files), address=asked_address(settings))


def say_unseen(boards: list[WatchedBoard]) -> None:
    """Says which boards' servers a monitor cannot ask."""
    if unseen := [board.name for board in boards if not board.port]:
        host.log(
            f"the servers of {', '.join(unseen)} listen on their loopback alone, so the monitor sees nothing of them: "
            "set server_host and api_key there"
        )


def monitor_secrets(settings: MonitorSettings) -> tuple[SecretFile, ...]:
    """The passwords, for root and the programs of the monitor."""
    return tuple(
        SecretFile(f"{SECRETS}/{name}", f"{secret.get_secret_value()}\n", "640", OWNER)
        for name, secret in settings.secrets.items()
    )


def asked_address(settings: MonitorSettings) -> str:
    """Where Prometheus is asked on the monitor itself."""
    return host_port(reaching_address(settings.monitor_host), settings.monitor_port)


def texts_of(
    settings: MonitorSettings, boards: list[WatchedBoard], name: str, gateways: Mapping[str, str]
) -> tuple[TextFile, ...]:
    """What the programs read, each with the check that the monitor's own programs make of it.

    `gateways`: where the figures of each are read, by name.
    """
    login = {"username": USER, "password_file": f"{SECRETS}/page-password"} if settings.password else None
    prometheus = render_template(
        "prometheus.yml",
        folder=FOLDER,
        address=asked_address(settings),
        login=login,
        keyed=[board for board in boards if board.is_keyed],
        gateways=gateways,
    )
    users = {USER: settings.password_hash(name)} if settings.password else {}
    alerts = render_template("alertmanager.yml", receivers=settings.receivers(f"{SECRETS}/mail-password"))
    told = {
        "servers.json": (target_groups(boards, "llama"), "python3 -m json.tool"),
        "exporters.json": (target_groups(boards, "exporter"), "python3 -m json.tool"),
        "boardllama.rules.yml": (RULES.read_text(), "promtool check rules"),
        "web.yml": (render_template("web.yml", users=users), "promtool check web-config"),
        "alertmanager.yml": (alerts, "amtool check-config"),
        "prometheus.yml": (prometheus, "promtool check config"),
    }
    return tuple(
        TextFile(f"{FOLDER}/{file}", text, "640", OWNER, f"{CHECKED} {check}", file in SECRET)
        for file, (text, check) in told.items()
    )


# The hash of a password, and addresses that let whoever knows them post there.
SECRET = ("web.yml", "alertmanager.yml")
# What the checks say is told, wherever they say it: some write to standard output.
CHECKED = "sh -c '\"$@\" >&2' checked"


def units_of(settings: MonitorSettings) -> tuple[TextFile, ...]:
    """How systemd starts the programs: in addition to the units of their packages."""
    values = {
        "folder": FOLDER,
        "page": PAGE,
        "programs": PROGRAMS,
        "config": f"{FOLDER}/page.json",
        "days": settings.monitor_days,
        "address": host_port(settings.monitor_host, settings.monitor_port),
    }
    return tuple(TextFile(f"{UNITS}/{place}", render_template(PurePath(place).name, **values)) for place in UNIT_FILES)


def gateways_of_inventory() -> list[Host]:
    """The inventory's gateways; none where no run is under way."""
    return list(inventory.groups.get("gateways", [])) if ctx_inventory.isset() else []


def gateway_targets(monitor: Host) -> dict[str, str]:
    """Where a monitor reads the figures of each gateway, by the gateways' names."""
    names = {
        one.name: LOOPBACK if name_of(one) == name_of(monitor) else name_of(one) for one in gateways_of_inventory()
    }
    return {name: host_port(place, GATEWAY_PLACES.metrics_port) for name, place in names.items()}


def certificate_addresses() -> list[str]:
    """Where the inventory's gateways show their certificates, as host:port."""
    told = ((name_of(one), role_settings_of(one, GatewayFields)) for one in gateways_of_inventory())
    return [f"{name}:{fields.gateway_port}" for name, fields in told if fields.gateway_tls != "off"]


def page_files(settings: MonitorSettings) -> tuple[TextFile, ...]:
    """The page's program, and what it is told."""
    told = {
        "address": asked_address(settings),
        "user": USER,
        "password_file": f"{SECRETS}/page-password" if settings.password else "",
        "left": FLEET,
        "certificates": certificate_addresses(),
    }
    shared = [ONBOARD / name for name in ("__init__.py", "files.py", "json_parts.py")]
    own = [*shared, *sorted((ONBOARD / "monitor").iterdir())]
    programs = {path.relative_to(ONBOARD.parent): path.read_text() for path in own if path.is_file()}
    return (
        TextFile(f"{FOLDER}/page.json", json.dumps(told, indent=1) + "\n", "640", OWNER),
        *(TextFile(f"{PROGRAMS}/{name}", text) for name, text in programs.items()),
    )
