"""A BitTorrent tracker: says to each board which others have a file, or fetch it. BEP 3, with BEP 23's short answers.

A process of its own, because it answers while the run is at work. Prints its port. What this machine itself has is
told under the address by which the asking board reached this machine.
"""

import ipaddress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from deploy.fleet.sharing.torrent import bencode

# Seconds between two questions of a board: for as long it does not know who came after it.
INTERVAL = 10
HASH_BYTES = 20  # of SHA-1
Peer = tuple[str, int]


class Swarms:
    """Who has or fetches which file: addresses and ports by the torrent's hash, in the order in which they came."""

    def __init__(self) -> None:
        self.known: dict[bytes, dict[Peer, None]] = {}

    def answer(self, query: str, asker: str, reached: str) -> bytes:
        """The answer to a board at address `asker`, which reached this machine under the address `reached`.

        Raises KeyError, ValueError for a query that is none.
        """
        # Latin-1 has a character for each byte: hashes come as bytes with percent signs.
        told = parse_qs(query, strict_parsing=True, encoding="latin-1")
        file, me = told["info_hash"][0].encode("latin-1"), (asker, int(told["port"][0]))
        if len(file) != HASH_BYTES or not 0 < me[1] < 1 << 16:
            raise ValueError("no torrent has this hash, or no board this port")
        peers = self.known.setdefault(file, {})
        if told.get("event") == ["stopped"]:
            peers.pop(me, None)
        else:
            peers[me] = None
        others = [(reached if is_here(peer[0]) else peer[0], peer[1]) for peer in tuple(peers) if peer != me]
        return bencode({b"interval": INTERVAL, b"min interval": 1, b"peers": b"".join(map(compact_peer, others))})


def is_here(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def compact_peer(peer: Peer) -> bytes:
    """An IPv4 address and a port in six bytes."""
    return ipaddress.IPv4Address(peer[0]).packed + peer[1].to_bytes(2, "big")


class Tracker(BaseHTTPRequestHandler):
    """Answers GET /announce?…"""

    peers = Swarms()

    def log_message(self, format: str, *arguments: object) -> None:
        """Keeps no log."""

    def do_GET(self) -> None:
        try:
            reached = self.connection.getsockname()[0]
            body = self.peers.answer(urlsplit(self.path).query, self.client_address[0], reached)
        except (KeyError, ValueError):
            self.send_error(400, "no question of a BitTorrent program")
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class TrackerServer(ThreadingHTTPServer):
    """All boards of a run ask at once: of a queue as short as http.server's (5) the kernel would refuse most of them,
    and they would have nobody to fetch from.
    """

    request_queue_size = 1024


if __name__ == "__main__":
    server = TrackerServer(("0.0.0.0", 0), Tracker)
    print(server.server_port, flush=True)
    server.serve_forever()
