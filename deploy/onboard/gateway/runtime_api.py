"""haproxy's runtime API: what its servers do now, in the workers of this configuration and of earlier ones."""

import csv
import socket
from collections import Counter
from pathlib import Path

from .gateway_places import KEYS_MAP, GatewayPlaces

SECONDS = 10.0
Counters = dict[str, str]


def ask_haproxy(at: Path, command: str) -> str:
    """What haproxy says to the command. Raises OSError when nobody answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(str(at))
        connection.sendall(f"{command}\n".encode())
        connection.shutdown(socket.SHUT_WR)  # the master waits for another command otherwise
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")


def server_rows(places: GatewayPlaces) -> list[Counters]:
    """A row of counters for each server and backend (haproxy's management guide, "Statistics"). Raises OSError."""
    return rows_in(ask_haproxy(places.worker_socket, "show stat -1 6 -1"))


def rows_in(text: str) -> list[Counters]:
    """The rows of the answer to `show stat`."""
    return list(csv.DictReader(text.lstrip("# ").splitlines()))


def former_workers(places: GatewayPlaces) -> list[str]:
    """Process numbers of the workers that only finish what they have. Raises OSError."""
    _, _, former = ask_haproxy(places.master_socket, "show proc").partition("# old workers\n")
    return [line.split()[0] for line in former.partition("#")[0].splitlines() if line.strip()]


def requests_by_board(places: GatewayPlaces) -> Counter[str]:
    """How many requests each board has, by its label, those of earlier configurations too. Raises OSError."""
    rows = server_rows(places)
    for worker in former_workers(places):
        rows += rows_in(ask_haproxy(places.master_socket, f"@!{worker} show stat -1 4 -1"))
    held: Counter[str] = Counter()
    for row in rows:
        if is_pool_server(row):
            held[row["svname"]] += int(row["scur"]) + int(row["qcur"])
    return held


def is_pool_server(row: Counters) -> bool:
    """Whether the row is of a board as a server of a model."""
    return row["pxname"].startswith("model-") and row["svname"] not in ("FRONTEND", "BACKEND")


def board_counters(rows: list[Counters], label: str) -> Counters:
    """The row of a board itself. Raises KeyError for a board that haproxy does not know."""
    for row in rows:
        if (row["pxname"], row["svname"]) == (board_backend(label), BOARD_SERVER):
            return row
    raise KeyError(label)


BOARD_SERVER = "server"


def board_backend(label: str) -> str:
    """haproxy's backend of a board."""
    return f"board-{label}"


def board_place(row: Counters) -> str:
    """Where haproxy asks a board, as `host_port` says it; "" for a board without an address."""
    return row["addr"]


def set_place(places: GatewayPlaces, label: str, address: str, port: int) -> None:
    """Has haproxy ask the board at this IP address, until it reads its configuration again. Raises OSError."""
    server = f"{board_backend(label)}/{BOARD_SERVER}"
    ask_haproxy(places.worker_socket, f"set server {server} addr {address} port {port}")


def set_board_key(places: GatewayPlaces, label: str, key: str) -> None:
    """Has haproxy give the board this key, whether it had one or none. Raises OSError."""
    for command in (f"del map {KEYS_MAP} {label}", f"add map {KEYS_MAP} {label} {key}"):
        ask_haproxy(places.worker_socket, command)


def set_rotation(places: GatewayPlaces, label: str, state: str) -> None:
    """Has haproxy give the board requests (`ready`), or no new ones (`drain`). Raises OSError."""
    ask_haproxy(places.worker_socket, f"set server {board_backend(label)}/{BOARD_SERVER} state {state}")
