"""The name of a board that nobody named: boardllama- and the end of a number of its own."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..commands import run_command

DIGITS = 6
# What firmware says where a maker has not filled it in.
NO_NUMBER = re.compile(r"0*|none|default.*|not .*|to be filled.*|unknown|system serial number|123456789", re.IGNORECASE)


def default_name(root: Path = Path("/")) -> str:
    """The name by the serial number of board or firmware, else a network card's address, else the machine-id."""
    for number in board_numbers(root):
        plain = re.sub(r"[^a-z0-9]", "", number.lower())
        if plain and not NO_NUMBER.fullmatch(number.strip()):
            return f"boardllama-{plain[-DIGITS:]}"
    return "boardllama"


def board_numbers(root: Path) -> Iterator[str]:
    """Numbers that are a board's own, the best first. Firmware may hold a number that means nothing."""
    for name in ("proc/device-tree/serial-number", "sys/class/dmi/id/product_serial"):
        with suppress(OSError):
            yield (root / name).read_text(errors="replace").strip("\0\n ")
    with suppress(OSError):
        run_command("udevadm", "settle", "--timeout=10", deadline=15)  # a network card on USB takes its time
    yield from card_addresses(root)
    with suppress(OSError):
        yield (root / "etc/machine-id").read_text()


def card_addresses(root: Path) -> Iterator[str]:
    """Addresses of network cards that are hardware, those with a cable first."""
    found = [path for path in (root / "sys/class/net").glob("*") if (path / "device").exists()]
    for path in sorted(found, key=lambda path: ((path / "wireless").exists(), path.name)):
        with suppress(OSError):
            yield (path / "address").read_text().strip()


def hosts_with(name: str, hosts: str) -> str:
    """The text of /etc/hosts in which the name leads to this machine: to 127.0.1.1, as Debian has it."""
    kept = [line for line in hosts.splitlines() if line.split()[:1] != ["127.0.1.1"]] or ["127.0.0.1\tlocalhost"]
    return "\n".join([kept[0], f"127.0.1.1\t{name}", *kept[1:], ""])
