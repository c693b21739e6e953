"""The keeper: haproxy asks it every two seconds for each board whether the board should get requests (agent-check).

It tells haproxy where boards.json has each board, which may have moved since haproxy read its configuration.
A board gets none while a deploy has it out, and when it produces no tokens. A board that answers real requests is not
asked for any; one that nobody asks is asked for a single token now and then, which costs it less than a second of work
in a minute. When the keeper does not run, haproxy leaves every board as it is.
"""

import socketserver
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from ..server.config import host_port
from .board_names import BoardNames
from .board_table import BoardEntry, BoardTable, Pool, table_from_json
from .gateway_places import GATEWAY_PLACES, WAIT_MAP, GatewayPlaces
from .leases import OUT, Leases
from .rotate import read_board_keys
from .runtime_api import Counters, ask_haproxy, board_counters, board_place, server_rows, set_place
from .token_question import why_no_token

# Seconds between two looks at haproxy's counters, and before a board without tokens is asked again.
LOOK_SECONDS, AGAIN_SECONDS = 2.0, 10.0
ASKERS = 8
# Seconds for an answer. A board that does nothing else answers soon; a slow one that reads a long prompt in another
# slot answers between two parts of the prompt, each of which may take minutes.
IDLE_SECONDS, BUSY_SECONDS = 60.0, 300.0
# Seconds that a client is told to wait for a model of which no request was seen, and at most.
FIRST_GUESS, LONGEST_WAIT = 10, 600


@dataclass
class Seen:
    """A board as it was last seen. `well`: when it last gave an answer (time.monotonic). `counts`: good answers, bad
    ones, bytes. `fault`: why it gives no tokens. `asking`: a question is under way.
    """

    well: float
    counts: tuple[int, int, int] = (0, 0, 0)
    fault: str = ""
    asked: float = 0.0
    asking: bool = False

    def note_counts(self, row: Counters, now: float) -> None:
        """Takes new counters. Bytes are a sign of tokens unless they are of errors."""
        good, size = int(row["hrsp_2xx"] or 0), int(row["bout"])
        bad = int(row["hrsp_4xx"] or 0) + int(row["hrsp_5xx"] or 0)
        before, self.counts = self.counts, (good, bad, size)
        if good > before[0] or (size > before[2] and bad == before[1]):
            self.well = now


class Keeper:
    """What is known of the boards. `ask`: why a board gives no tokens."""

    def __init__(self, places: GatewayPlaces, ask: Callable[[BoardEntry, str, float], str] = why_no_token) -> None:
        self.places, self.ask = places, ask
        self.leases, self.seen = Leases(places.leases), dict[str, Seen]()
        self.askers, self.names = ThreadPoolExecutor(ASKERS), BoardNames()

    def words_for(self, label: str) -> str:
        """What haproxy is told of a board, in the words of its agent checks."""
        if self.leases.phases().get(label) == OUT:
            return "drain up"
        fault = self.seen[label].fault if label in self.seen else ""
        return f"ready down #no tokens: {fault}" if fault else "ready up"

    def look(self) -> None:
        """Looks at haproxy's counters once. Says where boards are, begins the questions that are due, and says when
        clients may come again.

        Raises OSError, ValueError.
        """
        table, rows = table_from_json(self.places.table.read_text()), server_rows(self.places)
        for board in table.boards:
            with suppress(KeyError):  # haproxy has not loaded the newest table yet
                row = board_counters(rows, board.label)
                self.follow(board, board_place(row))
                self.look_at(board, row, table.ask_seconds)
        for label in self.seen.keys() - {board.label for board in table.boards}:
            del self.seen[label]
        self.tell_waits(table, rows)

    def follow(self, board: BoardEntry, place: str) -> None:
        """Tells haproxy where the board is, when haproxy has another place."""
        address = self.names.address_of(board.address)
        if address and place != host_port(address, board.port):
            set_place(self.places, board.label, address, board.port)

    def look_at(self, board: BoardEntry, row: Counters, ask_seconds: float) -> None:
        """Notes the counters of a board, and has it asked when a question is due."""
        now = time.monotonic()
        seen = self.seen.setdefault(board.label, Seen(now - ask_seconds))
        seen.note_counts(row, now)
        if self.leases.phases().get(board.label) == OUT:
            seen.fault, seen.well = "", now
        elif is_due(seen, board, row, ask_seconds, now):
            seen.asking, seen.asked = True, now
            self.askers.submit(self.ask_now, board, seen, BUSY_SECONDS if int(row["scur"]) else IDLE_SECONDS)

    def ask_now(self, board: BoardEntry, seen: Seen, seconds: float) -> None:
        """Asks a board, and keeps its fault."""
        try:
            fault = self.ask(board, read_board_keys(self.places).get(board.label, ""), seconds).replace("\n", " ")
            if bool(fault) != bool(seen.fault):
                print(f"{board.name} {f'gives no tokens: {fault}' if fault else 'gives tokens again'}", flush=True)
            seen.fault = fault
            seen.well = seen.well if fault else time.monotonic()
        finally:
            seen.asking = False

    def tell_waits(self, table: BoardTable, rows: list[Counters]) -> None:
        """Has haproxy say to clients that it cannot serve now when they may come again."""
        backends = {row["pxname"]: row for row in rows if row["svname"] == "BACKEND"}
        for pool in table.pools:
            if pool.label in backends:
                seconds = wait_seconds(pool, backends[pool.label])
                ask_haproxy(self.places.worker_socket, f"set map {WAIT_MAP} {pool.label} {seconds}")


def is_due(seen: Seen, board: BoardEntry, row: Counters, ask_seconds: float, now: float) -> bool:
    """Whether the board is to be asked for a token: it listens, has a free slot, and gave no answer for so long."""
    if not ask_seconds or seen.asking or row["check_status"] not in ("L7OK", "L7OKC"):
        return False
    if seen.fault:
        return now - seen.asked >= AGAIN_SECONDS
    busy = int(row["scur"]) >= sum(offer.slots for offer in board.offers)
    return not busy and now - max(seen.well, seen.asked) >= ask_seconds


def wait_seconds(pool: Pool, row: Counters) -> int:
    """Until a request that comes now would have a slot: by those before it, and what requests took lately."""
    slots = sum(offer.slots for offer in pool.offers.values())
    usual = int(row["ttime"] or 0) / 1000
    seconds = usual * (int(row["qcur"]) + 1) / slots if usual else FIRST_GUESS
    return max(1, min(LONGEST_WAIT, round(seconds)))


class AgentServer(socketserver.ThreadingTCPServer):
    """Answers haproxy's agent checks: a connection for each, with the board's label as its only line."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, keeper: Keeper) -> None:
        class Answer(socketserver.StreamRequestHandler):
            timeout = 5.0

            def handle(self) -> None:
                with suppress(OSError):
                    label = self.rfile.readline(300).decode(errors="replace").strip()
                    self.wfile.write(f"{keeper.words_for(label)}\n".encode())

        super().__init__(("127.0.0.1", keeper.places.keeper_port), Answer)


def run_keeper(places: GatewayPlaces = GATEWAY_PLACES) -> int:
    """Answers haproxy until it is ended."""
    keeper, told = Keeper(places), ""
    threading.Thread(target=AgentServer(keeper).serve_forever, daemon=True).start()
    while True:
        try:
            keeper.look()
            told = ""
        except (OSError, ValueError) as error:
            if told != (told := f"{type(error).__name__}: {error}"):
                print(f"haproxy's counters cannot be read ({told}): trying again", file=sys.stderr, flush=True)
        time.sleep(LOOK_SECONDS)
