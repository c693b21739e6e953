"""Takes boards out of the rotation for a deploy, and puts them back: one conversation for all boards of a run.

A line of input is a word and the label of a board: `out LABEL`, `back LABEL TOLD`, or `gone LABEL` for a board that no
gateway reaches any more. TOLD is what the board is now (`told_json`); without it the board is as it was. Lines of
output begin with the label: `wait N`, `draining N`, `out`, `back`, `missing STATE`, `unknown`. An empty line is a sign
of life, and answered with `alive`, so that neither side takes a drain of an hour for a dead connection. When the input
ends, the leases end by themselves.
"""

import fcntl
import os
import select
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from ..files import write_file
from .board_names import first_address
from .board_table import BoardEntry, BoardTable, board_told, table_from_json
from .gateway_places import GATEWAY_PLACES, GatewayPlaces
from .leases import LEASE_SECONDS, OUT, RETURNING, Leases
from .runtime_api import board_counters, requests_by_board, server_rows, set_board_key, set_place, set_rotation
from .token_question import why_closed

# Seconds. A controller gives a sign of life more often than SILENCE. haproxy looks at a board every two seconds, so it
# sees one that passed its gate long before RETURN_SECONDS. After SETTLING the keeper has answered whatever it was asked
# before the board's lease was written. haproxy may be away for TROUBLE: another deploy has it start again.
TICK, SETTLING, SILENCE, RETURN_SECONDS, TROUBLE = 0.5, 1.0, 30.0, 60.0, 60.0
WAITING, DRAINING, PROVING = "waiting", "draining", "proving"


@dataclass
class DrainTurn:
    """A board that a deploy asked for. `since`: when its phase began (time.monotonic). `told`: what it is now."""

    label: str
    phase: str = WAITING
    since: float = field(default_factory=time.monotonic)
    said: str = ""
    told: tuple[BoardEntry, str] | None = None

    def enter(self, phase: str) -> None:
        self.phase, self.since = phase, time.monotonic()


class RotationRun:
    """The boards of one run. `say` takes a line of output. `known`: what the gateway knew when the last tick began."""

    def __init__(self, places: GatewayPlaces, say: Callable[[str], object]) -> None:
        self.places, self.say = places, say
        self.leases = Leases(places.leases, LEASE_SECONDS)
        self.turns: dict[str, DrainTurn] = {}
        self.waiting, self.well = list[str](), time.monotonic()
        self.known = BoardTable()

    def table(self) -> BoardTable:
        """What the gateway knows. Raises OSError, ValueError."""
        return table_from_json(self.places.table.read_text())

    def go_on(self, lines: list[str]) -> None:
        """Takes lines of input, and moves every board on. Raises OSError when haproxy is away for long, and as `hear`.

        While another deploy loads, haproxy and its files may be away for a moment.
        """
        self.waiting += lines
        try:
            while self.waiting:
                self.hear(self.waiting[0])
                del self.waiting[0]
            self.tick()
            self.well = time.monotonic()
        except OSError:
            if time.monotonic() - self.well > TROUBLE:
                raise

    def hear(self, line: str) -> None:
        """Takes a line of input. Raises OSError, ValueError, KeyError, TypeError."""
        word, _, rest = line.partition(" ")
        label, _, given = rest.partition(" ")
        if word == "out":
            if label in {board.label for board in self.table().boards}:
                self.turns[label] = DrainTurn(label)
            else:
                self.say(f"{label} unknown")
        elif word == "back" and label in self.turns:
            self.turns[label].told = board_told(given) if given else None
            self.turns[label].enter(PROVING)
        elif word == "gone" and label in self.turns:
            self.leases.drop_lease(label)
            del self.turns[label]
        elif not word:
            self.say("alive")

    def learn(self, board: BoardEntry, key: str) -> bool:
        """Keeps what the board is now, and its key, on the disk and in haproxy. Returns False while others load."""
        with held_alone(self.places) as alone:
            if alone:
                table, held = self.table(), read_board_keys(self.places)
                if key and held.get(board.label) != key:
                    set_board_key(self.places, board.label, key)
                    write_keys(self.places, held | {board.label: key})
                known = tuple(board if one.label == board.label else one for one in table.boards)
                if known != table.boards:
                    write_file(self.places.table, replace(table, boards=known).to_json().encode())
                with suppress(OSError, UnicodeError):  # a name that nobody knows now: the keeper asks again
                    set_place(self.places, board.label, first_address(board.address), board.port)
            return alone

    def tick(self) -> None:
        """Moves every board on by a step, where it can go on. Raises OSError, ValueError."""
        steps: dict[str, Callable[[DrainTurn], object]]
        steps = {WAITING: self.try_out, DRAINING: self.watch_drain, OUT: self.renew, PROVING: self.prove}
        steps |= {RETURNING: self.watch_return}
        self.known = self.table()
        for turn in list(self.turns.values()):
            try:
                steps[turn.phase](turn)
            except KeyError:  # haproxy.cfg, which an operator may have changed, does not name it
                self.end_turn(turn, "unknown")

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
        """Gives the board back when it lets this gateway in: haproxy's last look may be older than its restart.

        After a switch that was refused the board may be as it was, whatever the deploy has read in its files.
        """
        self.renew(turn)
        as_it_was = self.known.by_label[turn.label], read_board_keys(self.places).get(turn.label, "")
        whys = []
        for board, key in filter(None, (turn.told, as_it_was)):
            if not (why := why_closed(board, key)):
                return self.give_back(turn, board, key)
            whys.append(why)
        return self.give_up(turn, whys[0])

    def give_back(self, turn: DrainTurn, board: BoardEntry, key: str) -> None:
        """Lets haproxy give the board requests, as soon as haproxy knows what the board is now."""
        if self.learn(board, key):
            self.leases.write_lease(turn.label, RETURNING)
            set_rotation(self.places, turn.label, "ready")
            turn.enter(RETURNING)

    def watch_return(self, turn: DrainTurn) -> None:
        """Says that the board is back when haproxy gives it requests again, and no answer of the keeper's from before
        its return can take it out once more: the board after it goes then.
        """
        self.leases.write_lease(turn.label, RETURNING)
        row = board_counters(server_rows(self.places), turn.label)
        if not row["status"].startswith("UP"):
            self.give_up(turn, f"{row['status']} {row['last_chk']}".strip())
        elif time.monotonic() - turn.since >= SETTLING:
            self.end_turn(turn, "back")

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


@contextmanager
def held_alone(places: GatewayPlaces) -> Iterator[bool]:
    """Whether nobody else changes the gateway's files; if so, nobody does during the block."""
    with places.lock.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def run_rotation(places: GatewayPlaces = GATEWAY_PLACES) -> int:
    """Listens on standard input until it ends, or is silent. Returns the exit status: 1 after a line that says why."""
    run, lines, came = RotationRun(places, lambda line: print(line, flush=True)), list[bytes](), b""
    heard = time.monotonic()
    try:
        while time.monotonic() - heard < SILENCE:
            if select.select([0], [], [], TICK)[0]:
                piece = os.read(0, 65536)
                if not piece:
                    return 0
                heard = time.monotonic()
                *lines, came = (came + piece).split(b"\n")
            run.go_on([line.decode() for line in lines])
            lines.clear()
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"failed {type(error).__name__}: {error}", flush=True)
        return 1
    return 0
