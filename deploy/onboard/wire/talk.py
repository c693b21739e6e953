"""Talks over sockets: generators that yield what they wait for.

One thread of the front holds a thousand of them (front/loop.py), and a thread of Ollama's API holds one by itself
(`hold_talk`): so both read and write by the same functions, and refuse the same.
"""

import errno
import math
import os
import select
import socket
import time
from collections.abc import Generator
from contextlib import suppress
from typing import NamedTuple, TypeVar

HERE = "127.0.0.1"
CONNECT_SECONDS = 5.0
PIECE_BYTES = 64 << 10


class ClientGone(Exception):
    """Nobody is there any more to be answered."""


class Wait(NamedTuple):
    """What a talk waits for: until one of the sockets can be read or written to, or until the time `deadline`."""

    reading: tuple[socket.socket, ...] = ()
    writing: tuple[socket.socket, ...] = ()
    deadline: float = math.inf  # time.monotonic()


Result = TypeVar("Result")
# A talk is given the socket that is ready, or None when another talk wakes it. It meets TimeoutError at its deadline.
Ready = socket.socket | None
Talk = Generator[Wait, Ready, None]


def soon(seconds: float) -> float:
    """The deadline in so many seconds."""
    return time.monotonic() + seconds


def hold_talk(talk: Generator[Wait, Ready, Result], watched: socket.socket | None = None) -> Result:
    """What a talk returns, which this thread waits for. Raises ClientGone when the socket `watched` ends meanwhile."""
    try:
        wait = next(talk)
        while True:
            ready = await_socket(wait, watched)
            wait = talk.send(ready) if ready else talk.throw(TimeoutError("the other side is silent"))
    except StopIteration as end:
        found: Result = end.value
        return found


def await_socket(wait: Wait, watched: socket.socket | None) -> socket.socket | None:
    """The socket that is ready; None at the deadline. Raises ClientGone."""
    waiting, sockets = select.poll(), {one.fileno(): one for one in (*wait.reading, *wait.writing)}
    if watched:
        waiting.register(watched, select.POLLRDHUP)
    for one in sockets.values():
        waiting.register(one, select.POLLIN if one in wait.reading else select.POLLOUT)
    seconds = wait.deadline - time.monotonic()
    seen = dict(waiting.poll(None if seconds == math.inf else max(0.0, seconds * 1000)))
    if watched and watched.fileno() in seen:
        raise ClientGone
    return sockets[next(iter(seen))] if seen else None


def prepare_socket(connection: socket.socket) -> None:
    """Makes a connection one that talks wait for, whose packets do not wait for each other."""
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def connect_server(port: int) -> Generator[Wait, Ready, socket.socket]:
    """A connection to a server on this machine. Raises OSError when nothing listens there."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        prepare_socket(server)
        error = server.connect_ex((HERE, port))
        if error == errno.EINPROGRESS:
            yield Wait(writing=(server,), deadline=soon(CONNECT_SECONDS))
            error = server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
    except BaseException:
        server.close()
        raise
    return server


def send_all(to: socket.socket, content: bytes | bytearray | memoryview, deadline: float) -> Talk:
    """Sends everything. Raises OSError when the other side is gone, or takes nothing until the deadline."""
    rest = memoryview(content)
    while rest:
        with suppress(BlockingIOError):
            rest = rest[to.send(rest) :]
            continue
        yield Wait(writing=(to,), deadline=deadline)


def receive_some(source: socket.socket, deadline: float, most: int = PIECE_BYTES) -> Generator[Wait, Ready, bytes]:
    """The next bytes that come; b"" when the other side has ended. Raises OSError."""
    while True:
        with suppress(BlockingIOError):
            return source.recv(most)
        yield Wait(reading=(source,), deadline=deadline)


def linger(connection: socket.socket, deadline: float) -> Talk:
    """Takes what a client still sends before its connection is closed: else it is reset, with the answer unread."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while (yield from receive_some(connection, deadline)):
            pass
