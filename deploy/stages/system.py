"""The operating system: what it costs in speed is given back by a unit of ours, or was never touched."""

import shlex

from pyinfra import host
from pyinfra.api import operation

from deploy.build.artifact import Build
from deploy.controller.templates import render_template
from deploy.hosts.facts.target import record_path
from deploy.hosts.lock import TargetStep
from deploy.hosts.remote import Commands, Remote
from deploy.hosts.snapshot import snapshot_of
from deploy.hosts.stage_decorator import stage
from deploy.hosts.target import board_of
from deploy.hosts.text_files import TextFile, text_files
from deploy.onboard.places import PLACES
from deploy.settings import Settings
from deploy.stages.exporter import configure_exporter

UNIT, ENABLED = PLACES.system_unit, PLACES.system_enabled


@stage("System")
def configure_system(settings: Settings, build: Build | None) -> None:
    """Has the unit there and on, or away. It runs the committed release's program, so it comes after the switch."""
    if build is None:
        return
    configure_exporter(settings)
    if settings.tune_system:
        unit = TextFile(str(UNIT), render_template(UNIT.name, release=PLACES.current))
        text_files(name="Write the unit of the system's settings", files=(unit,), conflict=settings.config_conflict)
        begin_unit(name="Have the system's settings set")
    elif has_unit():
        end_unit(name="Put the system's settings back")


def has_unit() -> bool:
    """Whether an earlier deploy left the unit on the host. Most hosts never had it, and get no operation for it."""
    snapshot = snapshot_of(host)
    return str(UNIT) in snapshot.texts or str(ENABLED) in snapshot.links


@operation()
def begin_unit() -> Commands:
    """No change when the unit is enabled: systemd has started it then, and starts it at every boot."""
    if snapshot_of(host).links.get(str(ENABLED)) != str(UNIT):
        yield TargetStep(enable_unit)
    else:
        host.noop("they are set at every start")


@operation()
def end_unit() -> Commands:
    """Puts back what the unit has set, and removes it."""
    yield TargetStep(remove_unit)


def enable_unit(remote: Remote) -> None:
    """Starts the unit where systemd runs, then enables it: a deploy that was cut begins again."""
    if board_of(remote.host).systemd:
        remote.run(f"systemctl daemon-reload && systemctl restart {UNIT.name}")
    remote.run(f"systemctl enable {UNIT.name}")


def remove_unit(remote: Remote) -> None:
    """Stops the unit, which puts back what was there, then removes it."""
    record = shlex.quote(record_path(UNIT))
    if board_of(remote.host).systemd:
        remote.run(f"systemctl stop {UNIT.name}")
    remote.run(f"rm -f {ENABLED} {UNIT} {record}")
    if board_of(remote.host).systemd:
        remote.run("systemctl daemon-reload")
