"""Takes boards out of the rotation for a deploy, and puts them back: one conversation for all boards of a run.

A line of input is a word and the label of a board: `out LABEL`, or `back LABEL SHA256 KEY`, which brings the key that
the board has now. An empty line is a sign of life. Lines of output begin with the label: `wait N`, `draining N`, `out`,
`back`, `missing STATE`, `unknown`. When the input ends, the leases end by themselves.
"""

import os
import select
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ..files import write_file
from .board_table import BoardTable, table_from_json
from .gateway_places import GATEWAY_PLACES, KEYS_MAP, GatewayPlaces
from .leases import LEASE_SECONDS, OUT, RETURNING, Leases
from .runtime_api import ask_haproxy, board_counters, requests_by_board, server_rows, set_rotation
from .token_question import why_closed

# Seconds. A controller gives a sign of life more often than SILENCE. haproxy looks at a board every two seconds, so it
# sees one that passed its gate long before RETURN_SECONDS. After SETTLING the keeper has answered whatever it was asked
# before the board's lease was written.
TICK, SETTLING, SILENCE, RETURN_SECONDS = 0.5, 1.0, 30.0, 60.0
WAITING, DRAINING, PROVING = "waiting", "draining", "proving"


@dataclass
class DrainTurn:
    """A board that a deploy asked for. `since`: when its phase began (time.monotonic)."""

    label: str
    phase: str = WAITING
    since: float = field(default_factory=time.monotonic)
    said: str = ""

    def enter(self, phase: str) -> None:
        self.phase, self.since = phase, time.monotonic()


class RotationRun:
    """The boards of one run. `say` takes a line of output. `known`: what the gateway knew when the last tick began."""

    def __init__(self, places: GatewayPlaces, say: Callable[[str], object]) -> None:
        self.places, self.say = places, say
        self.leases = Leases(places.leases, LEASE_SECONDS)
        self.turns: dict[str, DrainTurn] = {}
        self.known = BoardTable()

    def table(self) -> BoardTable:
        """What the gateway knows. Raises OSError, ValueError."""
        return table_from_json(self.places.table.read_text())

    def hear(self, line: str) -> None:
        """Takes a line of input."""
        word, _, rest = line.partition(" ")
        label, _, given = rest.partition(" ")
        if word == "out":
            if label in {board.label for board in self.table().boards}:
                self.turns[label] = DrainTurn(label)
            else:
                self.say(f"{label} unknown")
        elif word == "back" and label in self.turns:
            if given:
                self.learn_key(label, *given.split(" ", 1))
            self.turns[label].enter(PROVING)

    def learn_key(self, label: str, digest: str, key: str) -> None:
        """Keeps the key that a board has now, on the disk and in haproxy."""
        table, held = self.table(), read_board_keys(self.places)
        if held.get(label) != key:
            write_keys(self.places, held | {label: key})
            ask_haproxy(self.places.worker_socket, f"set map {KEYS_MAP} {label} {key}")
        known = tuple(replace(one, key=digest) if one.label == label else one for one in table.boards)
        if known != table.boards:
            write_file(self.places.table, replace(table, boards=known).to_json().encode())

    def tick(self) -> None:
        """Moves every board on by a step, where it can go on."""
        steps: dict[str, Callable[[DrainTurn], object]]
        steps = {WAITING: self.try_out, DRAINING: self.watch_drain, OUT: self.renew, PROVING: self.prove}
        steps |= {RETURNING: self.watch_return}
        self.known = self.table()
        for turn in list(self.turns.values()):
            steps[turn.phase](turn)

    def try_out(self, turn: DrainTurn) -> None:
        """Takes the board out when few enough others are."""
        pools = [pool for pool in self.known.pools if turn.label in {board.label for board in pool.offers}]

        def may_go(others: Collection[str]) -> bool:
            out = ([board.label for board in pool.offers if board.label in others] for pool in pools)
            return all(len(gone) < pool.most_out(self.known.out_share) for pool, gone in zip(pools, out, strict=True))

        if self.leases.take_lease(turn.label, may_go):
            set_rotation(self.places, turn.label, "drain")
            turn.enter(DRAINING)
        else:
            self.say_once(turn, f"wait {len(self.leases.phases())}")

    def watch_drain(self, turn: DrainTurn) -> None:
        """Says that the board is out when it has no request any more, or has them for too long."""
        drained = self.renew(turn)
        left, seconds = requests_by_board(self.places)[turn.label], time.monotonic() - turn.since
        if seconds < SETTLING or ((left or not drained) and seconds < self.known.drain_seconds):
            self.say_once(turn, f"draining {left}")
        else:
            turn.enter(OUT)
            self.say(f"{turn.label} out {left}")

    def renew(self, turn: DrainTurn) -> bool:
        """Keeps the board out for a while longer. Returns whether haproxy gave it no new requests."""
        self.leases.write_lease(turn.label, OUT)
        drained = not board_counters(server_rows(self.places), turn.label)["status"].startswith("UP")
        if not drained:  # the keeper was asked before the lease was written, and answered after
            set_rotation(self.places, turn.label, "drain")
        return drained

    def prove(self, turn: DrainTurn) -> None:
        """Gives the board back when it lets this gateway in: haproxy's last look may be older than its restart."""
        self.renew(turn)
        board = next(one for one in self.known.boards if one.label == turn.label)
        if why := why_closed(board, read_board_keys(self.places).get(turn.label, "")):
            return self.give_up(turn, why)
        set_rotation(self.places, turn.label, "ready")
        return turn.enter(RETURNING)

    def watch_return(self, turn: DrainTurn) -> None:
        """Says that the board is back when haproxy gives it requests again."""
        self.leases.write_lease(turn.label, RETURNING)
        row = board_counters(server_rows(self.places), turn.label)
        if row["status"].startswith("UP"):
            self.end_turn(turn, "back")
        else:
            self.give_up(turn, f"{row['status']} {row['last_chk']}".strip())

    def give_up(self, turn: DrainTurn, why: str) -> None:
        """Says that the board does not come back, after a while."""
        if time.monotonic() - turn.since > RETURN_SECONDS:
            self.end_turn(turn, f"missing {why}")

    def end_turn(self, turn: DrainTurn, said: str) -> None:
        self.leases.drop_lease(turn.label)
        del self.turns[turn.label]
        self.say(f"{turn.label} {said}")

    def say_once(self, turn: DrainTurn, line: str) -> None:
        """Says a line of progress that was not said last."""
        if turn.said != line:
            turn.said = line
            self.say(f"{turn.label} {line}")


def read_board_keys(places: GatewayPlaces) -> dict[str, str]:
    """The boards' keys by label."""
    with suppress(FileNotFoundError):
        return dict(line.split(" ", 1) for line in places.keys.read_text().splitlines() if " " in line)
    return {}


def write_keys(places: GatewayPlaces, keys: dict[str, str]) -> None:
    """Keeps the boards' keys, for root alone."""
    write_file(places.keys, "".join(f"{label} {key}\n" for label, key in keys.items()).encode(), 0o600)


def run_rotation(places: GatewayPlaces = GATEWAY_PLACES) -> int:
    """Listens on standard input until it ends, or is silent. Returns the exit status: 1 after a line that says why."""
    run = RotationRun(places, lambda line: print(line, flush=True))
    heard, came = time.monotonic(), b""
    try:
        while time.monotonic() - heard < SILENCE:
            if select.select([0], [], [], TICK)[0]:
                piece = os.read(0, 65536)
                if not piece:
                    return 0
                heard = time.monotonic()
                *lines, came = (came + piece).split(b"\n")
                for line in lines:
                    run.hear(line.decode())
            run.tick()
    except (OSError, ValueError, KeyError) as error:
        print(f"failed {type(error).__name__}: {error}", flush=True)
        return 1
    return 0
