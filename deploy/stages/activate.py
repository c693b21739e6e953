"""Activate: the target switches to its release by itself, under the gate; here it is asked to, and listened to."""

import json
import shlex
from functools import partial
from typing import Any

from pyinfra import host, inventory
from pyinfra.api import FactBase, operation

from deploy.build.artifact import Build
from deploy.errors import BoardllamaError
from deploy.hosts.facts import StatusInfo
from deploy.hosts.lock import TargetStep
from deploy.hosts.release import WantedRelease
from deploy.hosts.remote import Commands, Lost, Remote, RemoteCommandFailed, refuse, why_lost
from deploy.hosts.rotation import out_of_rotation
from deploy.hosts.run_record import RunRecord, record_of
from deploy.hosts.snapshot import PROGRAM, release_seen, snapshot_of
from deploy.hosts.stage_decorator import stage
from deploy.hosts.target import board_of
from deploy.onboard.json_parts import parse_json
from deploy.onboard.places import PLACES, SWITCH_UNIT
from deploy.onboard.release.follow import Listener
from deploy.onboard.release.release_table import aligned_lines
from deploy.onboard.release.verdict import Outcome
from deploy.settings import Settings
from deploy.stages.service import prepared_release

# A line every two seconds at most, and the last one with the verdict: what systemd says of the switch, and all that the
# switch itself has said. systemd is asked first: what is read after the end of a switch is all that it has said.
REPORTS = (
    f"while :; do for _ in 1 2 3 4 5; do grep -qs outcome {PLACES.verdict} && break; sleep 0.4; done;"
    f" alive=$(systemctl is-active {SWITCH_UNIT}); said=$(cat {PLACES.verdict} 2>/dev/null);"
    " printf '%s %s\\n' $alive \"$said\";"
    ' case "$alive $said" in inactive*|failed*|*\'"outcome"\'*) exit ;; esac; done'
)
# How often a target may go away during a switch, which goes on there meanwhile.
RETURNS = 5
PASSED = "boardllama_passed"


class NotServed(BoardllamaError):
    """The target does not serve the release that it should serve. The message says what it does instead."""

    verdict = "rejected"


@stage("Activate")
def activate_release(settings: Settings, build: Build | None) -> None:
    """Has the target try, judge and commit its release: first the canaries, then, when they all passed, the others."""
    if build is None:
        return
    first = canary_names(settings)
    if host.name in first:
        switch_to(name="Switch the canary to its release")
    else:
        switch_to(name="Switch to the release", after=first)


def canary_names(settings: Settings) -> tuple[str, ...]:
    """Names of the first targets of the inventory, as many as `canary` says, that can be reached."""
    reachable = inventory.get_active_hosts()
    targets = [one.name for one in inventory.get_group("targets") if one in reachable]
    return tuple(targets[: settings.canary])


@operation()
def switch_to(after: tuple[str, ...] = ()) -> Commands:
    """Switches unless exactly this release runs. Refused while one of the hosts in `after` has not passed."""
    missing = [name for name in after if not inventory.get_host(name).connector_data.get(PASSED)]
    if missing and host.state.is_executing:
        yield refuse(f"the canary {', '.join(missing)} did not pass: this host keeps the release that it has")
        return
    release = prepared_release(host)
    if release is None:
        host.noop("there is no release for it")
        return
    status = release_seen(host, release.id).status
    note_status(record_of(host), status)
    host.connector_data[PASSED] = is_served(status, release)
    if not is_served(status, release):
        yield TargetStep(partial(switch_release if board_of(host).systemd else commit_in_tree, release=release))
    elif status.strays:
        yield TargetStep(partial(prune_target, release=release))


def note_status(record: RunRecord, status: StatusInfo) -> None:
    """Keeps what runs on the host now, for the table at the end of the run."""
    record.note_found(status.current)
    record.tokens_per_second = status.tokens_per_second


def is_served(status: StatusInfo, release: WantedRelease) -> bool:
    """True when the release is committed and runs, or waits for the model that an operator brings."""
    committed = status.current == release.id and not status.tried and status.linked
    return committed and (status.waiting or not board_of(host).systemd or (status.active and status.fresh))


def switch_release(remote: Remote, release: WantedRelease) -> None:
    """Has the target switch, out of rotation, and repeats what the target says until its verdict.

    Raises NotServed, RemoteCommandFailed, Lost, and as `out_of_rotation`.
    """
    with out_of_rotation(remote):
        follow_target(remote, f"{release.program} switch {release.id}")
    remote.host.connector_data[PASSED] = True


def follow_target(remote: Remote, begin: str) -> None:
    """Begins a switch with the command `begin`, and listens until its verdict. Raises as `switch_release` does."""
    refused = "printf 'refused %s\\n' \"$(printf %s \"$said\" | tr '\\n' ' ')\""
    command, listener = f"said=$({begin} 2>&1) || {{ {refused}; exit; }}; echo begun; {REPORTS}", Listener(remote.say)
    for _ in range(RETURNS):
        if verdict := hear_verdict(remote, command, listener):
            return take_verdict(record_of(remote.host), Outcome[verdict["outcome"]], verdict)
        remote.say(f"{why_lost(remote.host)}; it goes on by itself, connecting again")
        remote.reconnect()
        command = REPORTS
    raise Lost(f"it went away {RETURNS} times during its switch, which it goes on with by itself: run again")


def hear_verdict(remote: Remote, command: str, listener: Listener) -> dict[str, Any] | None:
    """The verdict, as it comes over one connection; None when the connection breaks.

    Raises NotServed, RemoteCommandFailed, Lost.
    """
    talk, heard = remote.talk(command), command == REPORTS
    try:
        while line := talk.line():
            alive, _, text = line.partition(" ")
            if alive == "refused":
                raise RemoteCommandFailed(text.strip() or "no output")
            heard = True
            if alive != "begun" and (verdict := listener.hear(text)):
                return verdict
            if alive in ("inactive", "failed"):
                break
    finally:
        talk.end()
    if not why_lost(remote.host):
        raise NotServed(f"the switch ended without a verdict: see journalctl -u {SWITCH_UNIT} there, and run again")
    if not heard:
        raise Lost(why_lost(remote.host))
    return None


def take_verdict(record: RunRecord, outcome: Outcome, verdict: Any) -> None:
    """Keeps a good verdict in the host's record. Raises NotServed with the reason for any other."""
    if not outcome.is_good:
        raise NotServed(f"release {verdict['release']} is {outcome.value}: {verdict['reason']}")
    record.verdict = outcome.value if outcome is Outcome.WAITING else ""
    record.tokens_per_second = verdict.get("tokens_per_second")
    record.note_serving(verdict["release"])


def commit_in_tree(remote: Remote, release: WantedRelease) -> None:
    """Commits without a gate: in a root tree nothing runs that could be judged. The first boot will judge."""
    remote.run(f"{release.program} commit {release.id}")
    remote.host.connector_data[PASSED] = True


def prune_target(remote: Remote, release: WantedRelease) -> None:
    """Removes what no release needs: the rest of a deploy that was cut, or of a release that was rejected."""
    for line in remote.run(f"{release.program} prune").splitlines():
        remote.say(line)


def rollback(to: str = "") -> None:
    """`pyinfra -y INVENTORY deploy.stages.activate.rollback [to=ID]`: to the release before, or to that one."""
    if "targets" in host.groups:
        go_back(name="Go back to the release before" if not to else f"Go to release {to}", to=to)
        record_of(host).prepared = True


@operation()
def go_back(to: str) -> Commands:
    """Goes to a release on the target under the gate, as a deploy does. No change when the release named runs."""
    status = snapshot_of(host).status
    note_status(record_of(host), status)
    if to and status.current == to and status.linked and status.active and status.fresh and not status.tried:
        host.noop(f"{to} is what runs")
    else:
        yield TargetStep(partial(switch_back, to=to))


def switch_back(remote: Remote, to: str) -> None:
    """Has the target switch back. Raises as `switch_release`; RemoteCommandFailed when there is no such release."""
    with out_of_rotation(remote):
        follow_target(remote, f"{PROGRAM} begin-rollback {shlex.quote(to)}")


class ReleaseTable(FactBase[list[dict[str, str]]]):
    """Rows of `boardllama releases`: [{"id": …, "when": …, "build": …, "model": …, "state": "current"}]."""

    @staticmethod
    def default() -> list[dict[str, str]]:
        return []

    def command(self) -> str:
        return f"test ! -x {PROGRAM} || {PROGRAM} releases --json"

    def process(self, output: list[str]) -> list[dict[str, str]]:
        return list(parse_json("".join(output) or "[]"))


def releases(as_json: bool = False) -> None:
    """`pyinfra INVENTORY deploy.stages.activate.releases`: a line for each release of each target, on stdout.

    `as_json`: a line for each target, {"host": "kitchen", "releases": […]} with rows as `ReleaseTable` has them.
    """
    if "targets" in host.groups:
        rows = host.get_fact(ReleaseTable)
        lines = aligned_lines([{"host": host.name, **row} for row in rows]) or [f"{host.name}  has no release yet"]
        print(json.dumps({"host": host.name, "releases": rows}) if as_json else "\n".join(lines), flush=True)
