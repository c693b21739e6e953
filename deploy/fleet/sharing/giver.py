"""What this controller gives to boards by aria2: all files by one process, in one limit with all else that it sends.

aria2 keeps to a limit by itself, and knows nothing of SSH connections and of a site's PUT. So it is asked what it has
sent, which counts against the pace of those; and while they wait for their turn, it gets half of the limit.
"""

import secrets
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any
from xmlrpc.client import Binary, Error, ServerProxy

from deploy.debian.workspace import WITH_US
from deploy.hosts.carriage import NotThisWay, Pace
from deploy.vm.ports import free_ports

# What leaves this controller at most, in copies of a file: three with the headers of TCP. Whoever has not all of the
# file then gets the rest from others.
COPIES = 2.9
LOOK_SECONDS, START_SECONDS = 0.5, 20.0
OPTIONS = (
    "--quiet",
    "--enable-rpc",
    # Whoever may ask it may have it write any file.
    "--conf-path=/dev/stdin",
    "--rpc-save-upload-metadata=false",
    "--max-concurrent-downloads=1000",
    "--bt-tracker-interval=5",
    "--enable-dht=false",
    "--bt-enable-lpd=false",
    "--enable-peer-exchange=false",
    "--listen-port=6881-6999",
    # Files were proven when they came here.
    "--bt-seed-unverified=true",
    f"--seed-ratio={COPIES}",
)


@dataclass
class Giver:
    """An aria2 that gives files away until this process ends. `pace`: of all that leaves this controller."""

    pace: Pace
    secret: str = field(default_factory=secrets.token_hex, repr=False)
    port: int = field(default_factory=lambda: free_ports(1)[0])
    sent: dict[str, int] = field(default_factory=dict)

    def start(self) -> None:
        """Raises NotThisWay."""
        if not shutil.which("aria2c"):
            raise NotThisWay("aria2 is missing on this controller: apt-get install aria2")
        told = [*OPTIONS, f"--rpc-listen-port={self.port}", f"--max-overall-upload-limit={self.pace.rate}"]
        with tempfile.TemporaryFile() as config:
            config.write(f"rpc-secret={self.secret}\n".encode())
            config.seek(0)
            subprocess.Popen([*WITH_US, "aria2c", *told], stdin=config)
        end = time.monotonic() + START_SECONDS
        while not self.is_there():
            if time.monotonic() > end:
                raise NotThisWay(f"aria2 does not start on this controller within {START_SECONDS:.0f} s")
            time.sleep(0.1)
        if self.pace.rate:
            Thread(target=self.share_line, daemon=True).start()

    def ask(self, method: str, *words: Any) -> Any:
        """The answer of aria2's own XML-RPC interface, without its `aria2.`. Raises OSError, xmlrpc.client.Error."""
        with ServerProxy(f"http://127.0.0.1:{self.port}/rpc", allow_none=True) as server:
            return getattr(server.aria2, method)(f"token:{self.secret}", *words)

    def is_there(self) -> bool:
        try:
            return bool(self.ask("getVersion"))
        except OSError:
            return False

    def give(self, source: Path, torrent: bytes, tracker: str) -> None:
        """Begins to give a file away, until COPIES have gone. Raises NotThisWay."""
        own = {"dir": str(source.parent), "index-out": f"1={source.name}", "bt-tracker": tracker}
        try:
            self.ask("addTorrent", Binary(torrent), [], own)
        except (OSError, Error) as error:
            raise NotThisWay(f"aria2 of this controller does not take it ({error})") from None

    def share_line(self) -> None:
        """Counts what aria2 sends, and says how much it may, until aria2 ends."""
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                self.pace.count(self.newly_sent())
                limit = self.pace.rate // 2 if self.pace.waiting else self.pace.rate
                self.ask("changeGlobalOption", {"max-overall-upload-limit": str(limit)})
            except (OSError, Error):
                return

    def newly_sent(self) -> int:
        """Bytes since it was asked last. Raises OSError, xmlrpc.client.Error."""
        before = sum(self.sent.values())
        told = self.ask("tellActive", ["gid", "uploadLength"])
        self.sent |= {one["gid"]: int(one["uploadLength"]) for one in told}
        return sum(self.sent.values()) - before
