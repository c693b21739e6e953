"""One board's line of a run: what it is, what it has, what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyinfra.api.host import Host
from pyinfra.api.state import State

from deploy.hosts.run_record import RunRecord, record_of

GROUP = "targets"


@dataclass(frozen=True)
class Row:
    """`verdict`: one or two words. `reason`: all lines on why the board is not good, and what to do.

    `good`: False for a board to be tried again.
    """

    board: str
    record: RunRecord
    verdict: str
    reason: str
    good: bool

    @property
    def release_change(self) -> str:
        """The release on the board: "before → after" where the run has changed it."""
        before, after = self.record.before, self.record.after
        return before if before == after else f"{before} → {after}"

    def table_cells(self) -> dict[str, str]:
        """The board's line of the table, by column; of a reason its first line."""
        rate = self.record.tokens_per_second
        told = {
            "board": self.board,
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
        """The board's values in the JSON report, by name."""
        told = {name: getattr(self.record, name) for name in ("cpu", "build", "model", "tokens_per_second")}
        releases = {"release_before": self.record.before, "release_after": self.record.after}
        ended = {"verdict": self.verdict, "reason": self.reason, "good": self.good}
        return {"board": self.board, **told, **releases, **ended, "seconds": round(self.record.seconds, 1)}

    @staticmethod
    def from_json(told: Mapping[str, Any]) -> "Row":
        """The row of which a report says `json_values`."""
        record = RunRecord(**{name: told[name] for name in ("cpu", "build", "model", "tokens_per_second", "seconds")})
        record.before, record.after = told["release_before"], told["release_after"]
        return Row(told["board"], record, told["verdict"], told["reason"], told["good"])


def rows_of(state: State, last_words: dict[str, str]) -> list[Row]:
    """A row for each target of the run, in the inventory's order. `last_words`: the last error by the host's name."""
    targets = [host for host in state.inventory if GROUP in host.groups and state.is_host_in_limit(host)]
    return [row_of(state, host, last_words.get(host.name, "")) for host in targets]


def row_of(state: State, host: Host, last_words: str) -> Row:
    """The row of a host: of all that can become of it, the first that holds."""
    record = record_of(host)
    if record.unreachable:
        return Row(host.name, record, "unreachable", record.unreachable, False)
    if record.reason:
        return Row(host.name, record, record.verdict, record.reason, False)
    if host in state.failed_hosts:
        return Row(host.name, record, "failed", last_words or "look above for why", False)
    if not state.is_executing:
        return expected_row(state, host, record)
    done = [data.operation_meta for data in state.ops[host].values()]
    if not all(one.is_complete() for one in done):
        return unfinished_row(host, record)
    changed = "switched" if record.before != record.after else "changed"
    word = changed if any(one.did_change() for one in done) else "no change"
    return Row(host.name, record, record.verdict or word, "", True)


def unfinished_row(host: Host, record: RunRecord) -> Row:
    """The row of a host that the run did not come to the end with: what is missing there is unknown."""
    return Row(host.name, record, "not finished", "the run ended before: run again", False)


def expected_row(state: State, host: Host, record: RunRecord) -> Row:
    """The row of a host in a run that was only prepared: what the run would do there."""
    if not record.prepared:
        return unfinished_row(host, record)
    if record.expected:
        return Row(host.name, record, "would be refused", record.expected, False)
    changing = any(data.operation_meta.will_change for data in state.ops[host].values())
    return Row(host.name, record, "would change" if changing else "no change", "", True)
