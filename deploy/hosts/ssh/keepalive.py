"""Signs of life of a board: its SSH server is asked every few seconds, and answers however long a command takes.

A board that is slow is waited for. A board whose server is silent for too long is gone: its connection is closed, and
whatever waits for the connection ends.
"""

import threading
import time
from collections.abc import Callable

from paramiko import SSHException, Transport

PULSE_SECONDS = 10.0
TICK_SECONDS = 1.0
# OpenSSH's own name of it. Servers that do not know it answer too: RFC 4254 (4) has them refuse.
QUESTION = "keepalive@openssh.com"


class Pulse:
    """`silence`: seconds since the last sign of life; `lost`: why the connection was closed, empty while it lives."""

    def __init__(self, transport: Transport, may_be_silent: Callable[[], float]) -> None:
        self.transport = transport
        self.may_be_silent = may_be_silent
        self.silence = 0.0
        self.lost = ""
        for watching in (self.ask_for_life, self.watch_silence):
            threading.Thread(target=watching, daemon=True).start()

    def ask_for_life(self) -> None:
        """Asks until the connection ends; any answer will do."""
        while self.transport.is_active():
            try:
                self.transport.global_request(QUESTION, wait=True)
            except (OSError, EOFError, SSHException):
                return
            self.silence = 0.0
            time.sleep(PULSE_SECONDS)

    def watch_silence(self) -> None:
        """Closes the connection of a silent board.

        Ticks are counted, not the clock: a controller that stood still for a while itself has missed only one tick.
        """
        while self.transport.is_active():
            time.sleep(TICK_SECONDS)
            self.silence += TICK_SECONDS
            if self.silence > self.may_be_silent():
                self.lost = f"no sign of life for {self.silence:.0f} s: it is off, hangs, or its network is gone"
                self.transport.close()
