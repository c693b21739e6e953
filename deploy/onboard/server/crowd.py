"""Which clients keep others from the server by holding its connections."""

import socket
from collections import Counter

from ..watch import CONNECTED, CROWD, NET, far_ends

WORD = 8  # hexadecimal digits that the kernel writes of an address at a time, as this machine's memory has them


def describe_crowd(port: int, net: str = NET) -> str:
    """A sentence about the crowd at a port, with the client that holds most of it; "" without one, or when unknown."""
    try:
        ends = far_ends(port, CONNECTED, net)
    except (OSError, ValueError):
        return ""
    if len(ends) < CROWD:
        return ""
    ((most, count),) = Counter(end_address(end) for end in ends).most_common(1)
    return f"{len(ends)} connections to port {port} are open, {count} of them from {most}: more than it answers at once"


def end_address(end: str) -> str:
    """The IP address in an end of a connection, as proc_net_tcp(5) of little-endian machines writes it."""
    digits = end.partition(":")[0]
    packed = b"".join(bytes.fromhex(digits[at : at + WORD])[::-1] for at in range(0, len(digits), WORD))
    text = socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
    return text.removeprefix("::ffff:")
