"""One host's line of a run: what it is, what it has, what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pyinfra.api.host import Host
from pyinfra.api.state import State

from deploy.hosts.run_record import RunRecord, record_of

BOARD = "board"
# What a host of these groups is. What becomes of a builder is in the rows of those that it builds for.
ROLES = {"targets": BOARD, "gateways": "gateway", "monitors": "monitor", "channels": "channel"}


class Ending(NamedTuple):
    """`verdict`: one or two words. `reason`: all lines on why the host is not good, and what to do.

    `good`: False for a host to be tried again.
    """

    verdict: str
    reason: str = ""
    good: bool = False


@dataclass(frozen=True)
class Row:
    """`verdict`, `reason`, `good`: as of Ending. `roles`: words of ROLES."""

    host: str
    record: RunRecord
    verdict: str
    reason: str
    good: bool
    roles: tuple[str, ...] = (BOARD,)

    @property
    def release_change(self) -> str:
        """The release on the board: "before → after" where the run has changed it."""
        before, after = self.record.before, self.record.after
        return before if before == after else f"{before} → {after}"

    def table_cells(self) -> dict[str, str]:
        """The host's line of the table, by column; of a reason its first line."""
        rate = self.record.tokens_per_second
        told = {
            "host": self.host,
            "CPU": self.record.cpu,
            "build": self.record.build,
            "model": self.record.model,
            "tokens/s": "" if rate is None else f"{rate:.1f}",
            "release": self.release_change,
            "s": f"{self.record.seconds:.1f}",
        }
        said = f"{self.verdict}: {self.reason.splitlines()[0]}" if self.reason else self.verdict
        return {name: value or "-" for name, value in told.items()} | {"verdict": said}

    def json_values(self) -> dict[str, Any]:
        """The host's values in the JSON report, by name."""
        told = {name: getattr(self.record, name) for name in ("cpu", "build", "model", "tokens_per_second")}
        releases = {"release_before": self.record.before, "release_after": self.record.after}
        ended = {"verdict": self.verdict, "reason": self.reason, "good": self.good}
        about = {"host": self.host, "roles": list(self.roles)}
        return {**about, **told, **releases, **ended, "seconds": round(self.record.seconds, 1)}

    @staticmethod
    def from_json(told: Mapping[str, Any]) -> "Row":
        """The row of which a report says `json_values`."""
        record = RunRecord(**{name: told[name] for name in ("cpu", "build", "model", "tokens_per_second", "seconds")})
        record.before, record.after = told["release_before"], told["release_after"]
        return Row(told["host"], record, told["verdict"], told["reason"], told["good"], tuple(told["roles"]))


def roles_of(host: Host) -> tuple[str, ...]:
    """What the inventory makes of a host; nothing for one that builds alone."""
    return tuple(role for group, role in ROLES.items() if group in host.groups)


def rows_of(state: State, last_words: dict[str, str]) -> list[Row]:
    """A row for each host of the run with a role, in the inventory's order. `last_words`: the last error by name."""
    hosts = {host: roles_of(host) for host in state.inventory if state.is_host_in_limit(host)}
    return [
        Row(host.name, record_of(host), *ending_of(state, host, last_words.get(host.name, "")), roles)
        for host, roles in hosts.items()
        if roles
    ]


def ending_of(state: State, host: Host, last_words: str) -> Ending:
    """What became of a host: of all that can, the first that holds."""
    record = record_of(host)
    if record.unreachable:
        return Ending("unreachable", record.unreachable)
    if record.reason:
        return Ending(record.verdict, record.reason)
    if host in state.failed_hosts:
        return Ending("failed", last_words or "look above for why")
    if not state.is_executing:
        return expected_ending(state, host, record)
    done = [data.operation_meta for data in state.ops[host].values()]
    if not all(one.is_complete() for one in done):
        return UNFINISHED
    changed = "switched" if record.before != record.after else "changed"
    word = changed if any(one.did_change() for one in done) else "no change"
    return Ending(record.verdict or word, good=True)


# The run did not come to the end with the host: what is missing there is unknown.
UNFINISHED = Ending("not finished", "the run ended before: run again")


def expected_ending(state: State, host: Host, record: RunRecord) -> Ending:
    """What a run that was only prepared would do on a host."""
    if not record.prepared:
        return UNFINISHED
    if record.expected:
        return Ending("would be refused", record.expected)
    changing = any(data.operation_meta.will_change for data in state.ops[host].values())
    return Ending("would change" if changing else "no change", good=True)
