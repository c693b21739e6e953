"""The node exporter of a board: what a monitor sees of it beside its server."""

import shlex
from collections.abc import Iterable
from functools import partial

from pyinfra import host
from pyinfra.api import FactBase, operation

from deploy.controller.templates import render_template
from deploy.hosts.addresses import addresses_of_groups
from deploy.hosts.facts.target import record_path
from deploy.hosts.lock import TargetStep
from deploy.hosts.packages import install_debian_packages
from deploy.hosts.remote import Commands, Remote
from deploy.hosts.snapshot import snapshot_of
from deploy.hosts.target import board_of
from deploy.hosts.text_files import TextFile, text_files
from deploy.onboard.places import PLACES
from deploy.settings import Settings

PACKAGE, UNIT, DROP_IN = "prometheus-node-exporter", "prometheus-node-exporter.service", PLACES.exporter
# What a monitor asks for; the others cost memory, and some a process.
COLLECTORS = "cpu filesystem hwmon loadavg meminfo netdev stat textfile thermal_zone time timex vmstat".split()
RUNS = ["installed", "active", "no"]


def configure_exporter(settings: Settings) -> None:
    """Has the exporter there and on, for the inventory's monitors alone; or off."""
    if not board_of(host).systemd:
        return
    if settings.node_exporter:
        added = drop_in(addresses_of_groups(host, "monitors"))
        text_files(name="Write what the exporter is told", files=(added,), conflict=settings.config_conflict)
        run_exporter(name="Have the exporter run")
    elif str(DROP_IN) in snapshot_of(host).texts:
        end_exporter(name="End the exporter")


def drop_in(clients: Iterable[str]) -> TextFile:
    """What is added to the unit of Debian's package. `clients`: the addresses that reach the exporter."""
    text = render_template(
        DROP_IN.name,
        program=PLACES.public_bin / "boardllama",
        figures=PLACES.figures,
        collectors=" ".join(f"--collector.{name}" for name in COLLECTORS),
        clients=" ".join(["localhost", *clients]),
    )
    return TextFile(str(DROP_IN), text)


class ExporterState(FactBase[list[str]]):
    """The package's state, and of the unit whether it is active, and whether its files changed since its start.

    ["installed", "active", "no"]
    """

    @staticmethod
    def default() -> list[str]:
        return []

    def command(self) -> str:
        return (
            f"dpkg-query -W -f '${{db:Status-Status}}\\n' {PACKAGE} 2>/dev/null;"
            f" systemctl show --value -p ActiveState -p NeedDaemonReload {UNIT} | sed '/^$/d'; true"
        )

    def process(self, output: list[str]) -> list[str]:
        return output


@operation()
def run_exporter() -> Commands:
    """Installs the exporter where it is missing, and restarts it where it is down, or what it is told has changed."""
    found = host.get_fact(ExporterState)
    if found[:1] != RUNS[:1]:
        yield TargetStep(partial(install_debian_packages, names=[PACKAGE], units=(UNIT,)))
    if found != RUNS:
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
