"""Addresses of boards that are known by name, asked of this machine's own resolver: /etc/hosts, DNS, mDNS (.local).

haproxy's own resolver knows DNS alone, and takes a board away when no name server answers for half a minute. Here the
last address stays until there is another one.
"""

import ipaddress
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

# Seconds after which a name is asked for again. One that nobody knows takes some, so several are asked at once.
AGAIN_SECONDS, ASKERS = 30.0, 8


class BoardNames:
    """The addresses of names. None of its methods waits for a resolver."""

    def __init__(self) -> None:
        self.askers = ThreadPoolExecutor(ASKERS)
        self.found, self.due = dict[str, str](), dict[str, float]()

    def address_of(self, name: str) -> str:
        """The address that was found last; "" as long as none was. An address is its own."""
        with suppress(ValueError):
            return str(ipaddress.ip_address(name))
        now = time.monotonic()
        if self.due.get(name, 0.0) <= now:
            self.due[name] = now + AGAIN_SECONDS
            self.askers.submit(self.ask, name)
        return self.found.get(name, "")

    def ask(self, name: str) -> None:
        """Asks for a name."""
        with suppress(OSError, UnicodeError):  # nobody answers, or nobody knows it now
            self.found[name] = first_address(name)


def first_address(name: str) -> str:
    """An address of the name, of IPv4 if there is one: most boards listen on 0.0.0.0. Raises OSError, UnicodeError."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return str(next((one for one in found if one[0] == socket.AF_INET), found[0])[4][0])
