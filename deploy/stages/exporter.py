"""The node exporter of a board: what a monitor sees of it beside its server."""

import shlex
from collections.abc import Collection
from functools import partial

from pyinfra import host, logger
from pyinfra.api import operation

from deploy.controller.templates import render_template
from deploy.hosts.addresses import addresses_elsewhere
from deploy.hosts.facts import UnitState
from deploy.hosts.facts.target import record_path
from deploy.hosts.lock import TargetStep
from deploy.hosts.packages import install_debian_packages
from deploy.hosts.remote import Commands, Remote
from deploy.hosts.snapshot import snapshot_of
from deploy.hosts.target import board_of
from deploy.hosts.text_files import TextFile, text_files
from deploy.onboard.places import EXPORTER_UNIT, PLACES
from deploy.settings import Settings

PACKAGE, UNIT, DROP_IN = "prometheus-node-exporter", EXPORTER_UNIT, PLACES.exporter
OPEN = (
    "node_exporter is True, and this board runs none: its kernel has no CONFIG_CGROUP_BPF or no unified cgroups, so "
    "IPAddressAllow= does nothing and everyone would read the exporter; give the board another kernel, or say "
    "node_exporter False"
)
# What a monitor asks for; the others cost memory, and some a process.
COLLECTORS = "cpu filesystem hwmon loadavg meminfo netdev stat textfile thermal_zone time timex vmstat".split()


def configure_exporter(settings: Settings) -> None:
    """Has the exporter there and on, for the inventory's monitors alone; or off."""
    board = board_of(host)
    if not board.systemd:
        return
    clients = addresses_elsewhere(host, "monitors") if settings.node_exporter else []
    is_open = bool(clients) and not board.filters_addresses
    if is_open:
        host.log(OPEN, logger.warning)
    if settings.node_exporter and not is_open:
        text_files(name="Write what the exporter is told", files=(drop_in(clients),), conflict=settings.config_conflict)
        run_exporter(name="Have the exporter run")
    elif str(DROP_IN) in snapshot_of(host).texts:
        end_exporter(name="End the exporter")


def drop_in(clients: Collection[str]) -> TextFile:
    """What is added to the unit of Debian's package. `clients`: the addresses that reach the exporter.

    Without any, the exporter listens on the loopback alone.
    """
    text = render_template(
        DROP_IN.name,
        address="" if clients else "127.0.0.1",
        program=PLACES.public_bin / "boardllama",
        figures=PLACES.figures,
        collectors=" ".join(f"--collector.{name}" for name in COLLECTORS),
        clients=" ".join(["localhost", *clients]),
    )
    return TextFile(str(DROP_IN), text)


@operation()
def run_exporter() -> Commands:
    """Installs the exporter where it is missing, and restarts it where it is down, or what it is told has changed."""
    found = snapshot_of(host).units.get(UNIT, UnitState())
    if not found.installed:
        yield TargetStep(partial(install_debian_packages, names=[PACKAGE], units=(UNIT,)))
    if not found.active or found.stale:
        yield TargetStep(restart_exporter)


@operation()
def end_exporter() -> Commands:
    """Stops the exporter, which serves nobody then. Its package stays."""
    yield TargetStep(remove_exporter)


def restart_exporter(remote: Remote) -> None:
    """Starts it with what it is told now."""
    remote.run(f"systemctl daemon-reload && systemctl enable -q {UNIT} && systemctl restart {UNIT}")


def remove_exporter(remote: Remote) -> None:
    """Ends it, and removes what a deploy brought for it."""
    gone = " ".join(map(shlex.quote, (str(DROP_IN), record_path(DROP_IN))))
    remote.run(f"systemctl disable -q --now {UNIT}; rm -rf {gone} {PLACES.figures}; systemctl daemon-reload")
