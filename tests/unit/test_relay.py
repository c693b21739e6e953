"""The relay that a network cut is made with: it carries, goes silent, resets."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.faults.relay import Relay


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield int(listener.getsockname()[1])


def serve(listener: socket.socket) -> None:
    """One connection."""
    try:
        connection, _ = listener.accept()
        with connection:
            while block := connection.recv(1 << 16):
                connection.sendall(block)
    except OSError:
        pass


def receive(client: socket.socket, count: int) -> bytes:
    """Exactly so many bytes."""
    found = b""
    while len(found) < count:
        found += client.recv(count - len(found))
    return found


def test_it_carries_both_ways_and_passes_the_end_on(echo: int) -> None:
    with Relay(echo) as relay, socket.create_connection(("127.0.0.1", relay.port), timeout=5) as client:
        client.sendall(b"x" * 100_000)
        assert receive(client, 100_000) == b"x" * 100_000
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert relay.carried == 200_000


def test_silence_is_neither_an_answer_nor_an_end(echo: int) -> None:
    with Relay(echo) as relay, socket.create_connection(("127.0.0.1", relay.port), timeout=5) as client:
        client.sendall(b"before")
        assert receive(client, 6) == b"before"
        relay.blackhole()
        client.sendall(b"after")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_a_reset_is_felt_at_once(echo: int) -> None:
    with Relay(echo) as relay, socket.create_connection(("127.0.0.1", relay.port), timeout=5) as client:
        client.sendall(b"before")
        assert receive(client, 6) == b"before"
        relay.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
