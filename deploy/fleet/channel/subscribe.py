"""Has a target follow a channel: what its apt is told for that, and the timer that looks. Part of no release."""

import json
import shlex
from collections.abc import Collection

from pyinfra import host
from pyinfra.api import operation
from pyinfra.api.host import Host

from deploy.build.artifact import Build
from deploy.controller import openpgp
from deploy.controller.templates import render_template
from deploy.errors import BoardllamaError
from deploy.hosts.facts import UnitState
from deploy.hosts.facts.target import record_path
from deploy.hosts.lock import TargetStep
from deploy.hosts.remote import Commands, Remote
from deploy.hosts.snapshot import snapshot_of
from deploy.hosts.stage_decorator import stage
from deploy.hosts.target import board_of
from deploy.hosts.text_files import TextFile, text_files
from deploy.onboard.channel.subscription import APT, KEY, LIST, TOLD
from deploy.onboard.places import PLACES, Places
from deploy.settings import Settings

SERVICE, TIMER, ENABLED = PLACES.channel_service, PLACES.channel_timer, PLACES.channel_enabled
# apt reads it without a complaint; the last word is the path.
CHECK = "sh -c 'APT_CONFIG=$0 apt-config dump >/dev/null'"


@stage("Channel")
def follow_channel(settings: Settings, build: Build | None, boards: Collection[str]) -> None:
    """Has the timer there and on, or away. It runs the committed release's program, so it comes after the switch.

    `boards`: names of kinds of boards, which groups of the inventory may have.
    """
    if build is None:
        return
    if settings.channel_url:
        files = subscription_files(settings, kind_of_board(host, settings, boards))
        text_files(name="Write what the board is told of its channel", files=files, conflict=settings.config_conflict)
        begin_looking(name="Have the board look at its channel")
    elif str(TIMER) in snapshot_of(host).texts:
        end_looking(name="Have the board leave its channel")


def kind_of_board(target: Host, settings: Settings, boards: Collection[str]) -> str:
    """Whose releases the target gets. Raises BoardllamaError where neither its settings nor its groups say it."""
    kinds = [settings.channel_kind] if settings.channel_kind else sorted({*target.groups} & {*boards})
    if len(kinds) != 1:
        seen = f"the groups {', '.join(kinds)}" if kinds else "no group that is named as a board"
        raise BoardllamaError(f"{target.name} is in {seen}: channel_kind must say whose releases it gets")
    return kinds[0]


def subscription_files(settings: Settings, kind: str, places: Places = PLACES) -> tuple[TextFile, ...]:
    """The files, the timer last. Raises BoardllamaError, OSError."""
    folder, url = places.channel, settings.channel_url.rstrip("/")
    told = {"url": url, "kind": kind, "canary": settings.channel_canary} | {
        "report": settings.channel_report,
        "older": settings.channel_older,
    }
    apt = render_template(APT, folder=folder, state=places.channel_state)
    return (
        TextFile(f"{folder}/{TOLD}", f"{json.dumps(told, indent=1)}\n"),
        TextFile(f"{folder}/{KEY}", openpgp.public_key()),
        TextFile(f"{folder}/{LIST}", render_template(LIST, folder=folder, url=url)),
        TextFile(f"{folder}/{APT}", apt, before=CHECK),
        TextFile(str(SERVICE), render_template(SERVICE.name, release=PLACES.current)),
        TextFile(str(TIMER), render_template(TIMER.name, minutes=settings.channel_minutes)),
    )


@operation()
def begin_looking() -> Commands:
    """No change when the timer is enabled: systemd has started it then, and starts it at every boot."""
    known = snapshot_of(host)
    is_enabled = known.links.get(str(ENABLED)) == str(TIMER)
    if not is_enabled or known.units.get(TIMER.name, UnitState()).stale:
        yield TargetStep(enable_timer)
    else:
        host.noop("its timer is on")


@operation()
def end_looking() -> Commands:
    """Stops the timer and removes what the board was told. Its releases stay."""
    yield TargetStep(remove_subscription)


def enable_timer(remote: Remote) -> None:
    """Starts the timer where systemd runs, then enables it: a deploy that was cut begins again."""
    if board_of(remote.host).systemd:
        remote.run(f"systemctl daemon-reload && systemctl restart {TIMER.name}")
    remote.run(f"systemctl enable {TIMER.name}")


def remove_subscription(remote: Remote) -> None:
    """Ends the looks, then removes files and records, the timer last: a deploy that was cut finds it, and goes on."""
    running = board_of(remote.host).systemd
    if running:
        remote.run(f"systemctl stop {TIMER.name}")
    files = [*(f"{PLACES.channel}/{name}" for name in (TOLD, KEY, LIST, APT)), str(SERVICE), str(TIMER)]
    gone = [path for file in files for path in (record_path(file), file)]
    remote.run(f"rm -rf {PLACES.channel_state} {ENABLED} && rm -f {' '.join(map(shlex.quote, gone))}")
    if running:
        remote.run("systemctl daemon-reload")
