"""A board that no longer answers holds no run for ever. The SSH server is paramiko's own, on the loopback."""

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import paramiko
import pytest
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED
from pyinfra.api.host import Host
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.sshuserclient import SSHClient

from deploy import target

HANGS_SECONDS = 20


class Hanging(paramiko.ServerInterface):
    """Lets anyone in, and takes no command: as an sshd without a processor, whose kernel goes on acknowledging."""

    def __init__(self) -> None:
        self.end = threading.Event()

    def check_auth_none(self, username: str) -> int:
        return AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        self.end.wait(HANGS_SECONDS)
        return OPEN_SUCCEEDED


@pytest.fixture
def hanging() -> Iterator[paramiko.Transport]:
    """The client's end of a connection to such a server."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname(), timeout=10)
        theirs, _ = listening.accept()
    server, client, board = paramiko.Transport(theirs), paramiko.Transport(ours), Hanging()
    server.add_server_key(paramiko.ECDSAKey.generate())
    server.start_server(threading.Event(), board)
    client.start_client(timeout=10)
    client.auth_none("root")
    yield client
    board.end.set()
    client.close()
    server.close()


def test_a_command_that_the_board_does_not_take_is_given_up(
    hanging: paramiko.Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "SILENT_SECONDS", 1)
    connector = object.__new__(SSHConnector)
    connector.client = cast(SSHClient, SimpleNamespace(get_transport=lambda: hanging))
    target.keep_alive(cast(Host, SimpleNamespace(connector=connector)))
    with pytest.raises(paramiko.SSHException, match="Timeout opening channel"):
        hanging.open_session()
