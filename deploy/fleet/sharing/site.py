"""Models from a web server that stands where the boards are: this controller brings it what it has not, once."""

import select
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from deploy.controller.progress import Progress, say_line
from deploy.fleet.sharing.board_script import run_fetching
from deploy.fleet.sharing.once import Once
from deploy.hosts.carriage import MEGABYTE, NotThisWay, Pace, pace_of, rate_limit
from deploy.hosts.remote import Remote
from deploy.hosts.store import CHUNK, BigFile
from deploy.settings import Settings

SCRIPT = "fetch_from_site.sh"
# For a server that is silent.
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class SiteCache:
    """The way of a model from a web server, which has it at `address`/sha256. `limit`: bytes a second, 0 for all."""

    address: str
    limit: int

    @property
    def origin(self) -> str:
        return self.address

    @staticmethod
    def of_settings(settings: Settings) -> "SiteCache":
        return SiteCache(settings.site_cache.rstrip("/"), rate_limit(settings))

    def fetch_file(self, remote: Remote, file: BigFile) -> None:
        """Has the board fetch the file, which the server gets first if it lacks it. Raises NotThisWay, OSError."""
        address = f"{self.address}/{file.sha256}"
        fill_cache(address, file.source, file.size, self.limit)
        run_fetching(remote, SCRIPT, [file.part_path, address, str(self.limit)])

    def end_fetching(self, remote: Remote) -> None:
        """Nothing runs on when the file is there."""


@Once
def fill_cache(address: str, file: Path, size: int, limit: int) -> None:
    """Has the server hold the file of the controller, by HEAD and PUT, once in a run. Raises NotThisWay.

    `limit`: bytes a second, 0 for all, of all that leaves this controller.
    """
    try:
        if not is_held(address, size):
            body = paced_chunks(file, size, pace_of(limit))
            put = urllib.request.Request(address, body, {"Content-Length": str(size)}, method="PUT")
            urllib.request.build_opener(HearingHandler).open(put, timeout=PATIENCE_SECONDS).close()
    except (OSError, ValueError, HTTPException) as error:
        raise NotThisWay(f"it does not have the model, and takes none from this controller ({error})") from None


class HearingConnection(HTTPConnection):
    """Stops sending when the server has answered: one that refuses a model would be sent all of it."""

    def endheaders(self, message_body: Any = None, *, encode_chunked: bool = False) -> None:
        super().endheaders()
        with suppress(ConnectionError):  # why the server has ended it, its answer says
            for chunk in message_body or ():
                if select.select([self.sock], [], [], 0)[0]:
                    return
                self.send(chunk)


class HearingHandler(urllib.request.HTTPHandler):
    """Of a connection with TLS it cannot be seen whether what came is an answer: there all is sent."""

    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(HearingConnection, request)


def paced_chunks(file: Path, size: int, pace: Pace) -> Iterator[bytes]:
    """The bytes of the file, at that pace, with lines of progress: the boards wait for it. Raises OSError."""
    progress, sent = Progress(file.name, say_line), 0
    with file.open("rb") as source:
        while chunk := source.read(CHUNK):
            pace.wait_for(len(chunk))
            yield chunk
            sent += len(chunk)
            progress.still(f"{sent // MEGABYTE} of {size // MEGABYTE} MB given to the site's web server")


def is_held(address: str, size: int) -> bool:
    """Whether the server has a file of that size there. Raises OSError."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=PATIENCE_SECONDS) as answer:
            return bool(answer.headers.get("Content-Length") == str(size))
    except urllib.error.HTTPError as error:
        if error.code not in (404, 410):
            raise
        return False
