"""A gateway that runs: real haproxy and the real keeper on the loopback, before boards that say who they are."""

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from deploy.fleet.gateway.gateway_settings import GatewaySettings
from deploy.fleet.gateway.haproxy_files import haproxy_files
from deploy.hosts.release import sha256_hex
from deploy.onboard.gateway.board_table import BoardEntry, BoardTable, ServedModel
from deploy.onboard.gateway.gateway_places import GatewayPlaces
from deploy.onboard.gateway.runtime_api import board_counters, server_rows
from deploy.paths import REPO
from deploy.setting_fields import role_settings
from deploy.vm.ports import free_ports
from tests.unit.gateway_board import Board
from tests.unit.hurried_gateway import hurried
from tests.unit.test_settings import ALL

CLIENT_KEY = "ann-has-this-key-of-hers"
NAMES = ("localhost", "127.0.0.1")
SECONDS = 20
KEEP = "from tests.unit.hurried_gateway import keep; keep({!r}, {!r}, {})"


def gateway_settings(folder: Path, **told: Any) -> GatewaySettings:
    """The settings of a gateway with one client, but for what is told."""
    clients = folder / "clients"
    if not clients.exists():
        clients.write_text(f"# who may ask\nann {CLIENT_KEY}\n")
    own = {"gateway_clients": str(clients), "gateway_tls": "off", "gateway_host": "127.0.0.1"}
    return role_settings(GatewaySettings, ALL | own | told)


def entry(board: Board, *offers: ServedModel) -> BoardEntry:
    """The board as a gateway knows it: with a chat model unless others are named."""
    return BoardEntry(
        board.name,
        "127.0.0.1",
        board.port,
        sha256_hex(f"{board.key}\n".encode()),
        offers or (chat("smol", board.slots),),
    )


def chat(model: str, slots: int = 2, **more: Any) -> ServedModel:
    """A chat model."""
    return ServedModel(model, f"{model}.gguf", "chat", slots, **more)


class RunningGateway:
    """haproxy and its keeper. `log`: what haproxy has written."""

    def __init__(self, folder: Path, boards: list[Board], table: BoardTable, **told: Any) -> None:
        self.port, keeper, metrics, challenge, certbot = free_ports(5)
        etc, lib, run, acme, lineage = (folder / name for name in ("etc", "lib", "run", "acme", "lineage"))
        self.places = GatewayPlaces(etc, lib, run, keeper, metrics, challenge, certbot, acme, lineage)
        self.settings = gateway_settings(folder, gateway_port=self.port, **told)
        self.log = folder / "log"
        for made in (self.places.config, self.places.runtime):
            made.mkdir()
        self.places.keys.write_text("".join(f"{board.name} {board.key}\n" for board in boards))
        self.processes: list[subprocess.Popen[bytes]] = []
        self.load(table)
        master, config = str(self.places.master_socket), str(self.places.config)
        self.begin("/usr/sbin/haproxy", "-W", "-S", master, "-C", config, "-f", "haproxy.cfg")
        self.keep()
        await_true(lambda: self.is_up([board.name for board in boards]))

    def load(self, table: BoardTable) -> None:
        """Writes haproxy's files. Checks come more often than they do, and a busy machine may fail some of them."""
        user = pwd.getpwuid(os.getuid()).pw_name
        for name, text in haproxy_files(self.settings, table, self.places, NAMES, user).items():
            (self.places.config / name).write_bytes(hurried(text))

    def keep(self) -> None:
        """Starts the keeper."""
        words = KEEP.format(str(self.places.config), str(self.places.runtime), self.places.keeper_port)
        self.begin(sys.executable, "-c", words)

    def begin(self, *words: str) -> None:
        with self.log.open("ab") as log:
            self.processes.append(subprocess.Popen(words, stdout=log, stderr=log, cwd=REPO))

    def state_of(self, name: str) -> str:
        """What haproxy says of a board; "" as long as it says nothing."""
        with suppress(OSError, KeyError):
            return board_counters(server_rows(self.places), name)["status"]
        return ""

    @property
    def queued(self) -> int:
        """How many requests wait for a slot."""
        return sum(int(row["qcur"] or 0) for row in server_rows(self.places))

    def is_up(self, names: list[str]) -> bool:
        """Whether haproxy gives requests to these boards."""
        return all(self.state_of(name).startswith("UP") for name in names)

    @property
    def url(self) -> str:
        return f"http{'' if self.settings.gateway_tls == 'off' else 's'}://127.0.0.1:{self.port}"

    def ask(self, path: str, body: Any = None, key: str = CLIENT_KEY, **options: Any) -> requests.Response:
        """GET, or POST of a body."""
        headers = {"Authorization": f"Bearer {key}"} | options.pop("headers", {})
        method = "GET" if body is None else "POST"
        options = {"timeout": SECONDS} | options
        return requests.request(method, self.url + path, json=body, headers=headers, **options)

    def answered_by(self, model: str, **options: Any) -> str:
        """The name of the board that answers."""
        said = self.ask("/v1/chat/completions", {"messages": [], "model": model, "max_tokens": 1}, **options).json()
        return str(said["choices"][0]["text"])

    def end(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            process.wait()


@contextmanager
def running(boards: list[Board], table: BoardTable | None = None, **told: Any) -> Iterator[RunningGateway]:
    """A gateway until the end of the block, for boards of one chat model unless a table says otherwise."""
    with TemporaryDirectory(prefix="gw-", dir="/tmp") as folder:
        gateway = RunningGateway(Path(folder), boards, table or BoardTable(tuple(map(entry, boards))), **told)
        try:
            yield gateway
        finally:
            gateway.end()
            for board in boards:
                board.stop()
            print(gateway.log.read_text())  # pytest shows it when the test fails


def await_true(what: Callable[[], Any], seconds: float = SECONDS) -> None:
    """Returns when it is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)
