"""A board far away: a relay on the controller's address that holds back what it carries.

The kernel's own delay (netem) is not in every kernel, and this relay is.
"""

import queue
import socket
import threading
import time
from contextlib import suppress

from tests.faults.relay import BLOCK

# Blocks under way at once; at 64 kB each they are what a connection over such a distance has in flight.
UNDER_WAY = 64


class FarLink:
    """Context manager: 127.0.0.1:`port` leads to `address`:22, and a round trip takes `seconds` longer."""

    def __init__(self, address: str, seconds: float) -> None:
        self.address, self.delay = address, seconds / 2
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])

    def __enter__(self) -> "FarLink":
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def accept(self) -> None:
        """Takes connections until the listener is closed."""
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection((self.address, 22), timeout=10)
                far.settimeout(None)
                for source, sink in ((near, far), (far, near)):
                    self.carry(source, sink)

    def carry(self, source: socket.socket, sink: socket.socket) -> None:
        """Carries one direction from now on."""
        blocks: queue.Queue[tuple[float, bytes]] = queue.Queue(UNDER_WAY)
        for work in (take_blocks, give_blocks):
            ends = (source, blocks, self.delay) if work is take_blocks else (sink, blocks)
            threading.Thread(target=work, args=ends, daemon=True).start()


def take_blocks(source: socket.socket, blocks: "queue.Queue[tuple[float, bytes]]", delay: float) -> None:
    """Takes blocks in, each with the time at which it is due; the last one is empty."""
    block = b"\0"
    while block:
        try:
            block = source.recv(BLOCK)
        except OSError:
            block = b""
        blocks.put((time.monotonic() + delay, block))


def give_blocks(sink: socket.socket, blocks: "queue.Queue[tuple[float, bytes]]") -> None:
    """Gives each block when it is due, and ends with the empty one."""
    with suppress(OSError):
        while True:
            due, block = blocks.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not block:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(block)
