"""A TCP relay on the loopback that can go silent, as a pulled cable does, or reset, as a router that restarts does."""

import selectors
import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType

BLOCK = 1 << 16
# SO_LINGER on with no time: close() sends RST.
RESET = struct.pack("ii", 1, 0)


class Relay:
    """Context manager: from 127.0.0.1:`port` to 127.0.0.1:`target` until the network is cut."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.silent = threading.Event()
        self.closing = threading.Event()
        self.carried = 0
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])

    def __enter__(self) -> "Relay":
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self.thread.join()
        self.listener.close()
        for pair in self.pairs:
            for end in pair:
                end.close()

    def blackhole(self) -> None:
        """From now on nothing is carried and nobody is told, neither by FIN nor by RST."""
        self.silent.set()

    def reset(self) -> None:
        """Both sides of every connection get an RST, and new connections get nowhere."""
        self.silent.set()
        for pair in self.pairs:
            for end in pair:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    end.close()

    def serve(self) -> None:
        """Accepts and carries, in one thread."""
        with selectors.DefaultSelector() as waiting:
            waiting.register(self.listener, selectors.EVENT_READ)
            while not self.closing.is_set():
                for key, _ in waiting.select(0.1):
                    if self.silent.is_set():
                        self.closing.wait(0.1)
                    elif key.fileobj is self.listener:
                        self.accept(waiting)
                    else:
                        self.carry(waiting, *key.data)

    def accept(self, waiting: selectors.BaseSelector) -> None:
        """One more connection, and its other half."""
        near, _ = self.listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self.target), timeout=10)
        except OSError:
            near.close()
            return
        self.pairs.append((near, far))
        for source, sink in ((near, far), (far, near)):
            waiting.register(source, selectors.EVENT_READ, (source, sink))

    def carry(self, waiting: selectors.BaseSelector, source: socket.socket, sink: socket.socket) -> None:
        """One block. The end of one direction is passed on; a broken connection is broken on both sides."""
        try:
            block = source.recv(BLOCK)
            sink.sendall(block)
            self.carried += len(block)
            if not block:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            block = b""
            with suppress(OSError):
                sink.shutdown(socket.SHUT_RDWR)
        if not block:
            with suppress(KeyError, ValueError):
                waiting.unregister(source)
