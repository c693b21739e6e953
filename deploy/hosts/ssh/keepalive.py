"""Signs of life of a board: its SSH server is asked every few seconds, and answers however long a command takes.

A board that is slow is waited for. One whose server says nothing for longer than it may be silent is gone: its
connection is closed, and whatever waits for it ends.
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
        for watching in (self.ask, self.judge):
            threading.Thread(target=watching, daemon=True).start()

    def ask(self) -> None:
        """Asks until the connection ends; any answer will do."""
        while self.transport.is_active():
            try:
                self.transport.global_request(QUESTION, wait=True)
            except (OSError, EOFError, SSHException):
                return
            self.silence = 0.0
            time.sleep(PULSE_SECONDS)

    def judge(self) -> None:
        """Closes a connection without life. A controller that was itself held up has heard nothing: one tick counts."""
        while self.transport.is_active():
            time.sleep(TICK_SECONDS)
            self.silence += TICK_SECONDS
            if self.silence > self.may_be_silent():
                self.lost = f"no sign of life for {self.silence:.0f} s: it is off, hangs, or its network is gone"
                self.transport.close()
