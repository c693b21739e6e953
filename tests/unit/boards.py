"""Boards that fail, on the loopback: SSH servers of paramiko's own, and ports without any."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from deploy.paths import REPO

PASSWORD = "sesame"


class Board(paramiko.ServerInterface):
    """Lets in who knows the password, and runs commands on this machine; `hang` ones have no end."""

    def __init__(self) -> None:
        self.hang = threading.Event()
        self.end = threading.Event()

    def check_auth_password(self, username: str, password: str) -> int:
        return AUTH_SUCCESSFUL if password == PASSWORD else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self.run, args=(channel, command), daemon=True).start()
        return True

    def run(self, channel: paramiko.Channel, command: bytes) -> None:
        """Gives the command's output and status, unless it hangs."""
        if self.hang.is_set():
            self.end.wait()
            return
        done = subprocess.run(["sh", "-c", command.decode()], capture_output=True, check=False)
        channel.sendall(done.stdout)
        channel.sendall_stderr(done.stderr)
        channel.send_exit_status(done.returncode)
        channel.shutdown_write()
        # The client closes it. Whoever closes it here may do so before paramiko's own thread has said that the command
        # was taken, and the client is told of a closed channel.
        while channel.recv(1):
            pass


class Hanging(Board):
    """Takes no command: as an sshd without a processor, whose kernel goes on acknowledging."""

    def check_channel_request(self, kind: str, chanid: int) -> int:
        self.end.wait()
        return OPEN_SUCCEEDED


class Server:
    """Serves one board on a port of its own; `cut` ends its connections as a pulled plug that was put back would."""

    def __init__(self, board: Board, listening: socket.socket) -> None:
        self.board = board
        self.listening = listening
        self.key = paramiko.ECDSAKey.generate()
        self.transports: list[paramiko.Transport] = []
        self.port: int = listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        """Every connection gets a session."""
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.key)
            self.transports.append(transport)
            transport.start_server(threading.Event(), self.board)

    def cut(self) -> None:
        """New connections are let in again."""
        while self.transports:
            self.transports.pop().close()


@contextmanager
def serving(board: Board, port: int = 0) -> Iterator[Server]:
    """A server for the time of the block."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        server = Server(board, listening)
        try:
            yield server
        finally:
            board.end.set()
            server.cut()


@contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and never greets."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


# Nothing here is so short that a busy machine could not keep it: what must answer gets some seconds.
HASTE = """
from pyinfra import config
from deploy.hosts.ssh import connection as boards, keepalive as pulse
boards.TRYING_SECONDS = 0
boards.QUIET_SECONDS, boards.SILENT_EXECUTING, pulse.PULSE_SECONDS, pulse.TICK_SECONDS = 0.8, 10, 0.3, 0.1
config.CONNECT_TIMEOUT = 8
"""


def hasty_config(folder: Path) -> str:
    """The repository's config.py for pyinfra, with less patience for boards that boot or are silent."""
    path = folder / "hasty.py"
    path.write_text((REPO / "config.py").read_text() + HASTE)
    return str(path)


def closed() -> int:
    """A port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
