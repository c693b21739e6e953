"""One resumable download over the hub client's own session: what is on disk stays, the next try asks for the rest.

huggingface_hub's own transfer function (http_get) writes only whole 10 MiB chunks, so a line that breaks more often
never gets anywhere; it has no word for a hub that sends more than it promised, and hf_hub_download forgets the partial
file between processes. Its session, headers and errors are used as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
from huggingface_hub import get_session, hf_raise_for_status
from huggingface_hub.errors import HfHubHTTPError

from deploy.controller.progress import Progress, Say
from deploy.errors import BoardllamaError
from deploy.models.gguf.header import MAGIC, check_gguf_start
from deploy.models.hub.patience import FAULTS, TRIES, HubPatience, pause_before_try
from deploy.models.hub.refusals import asked_url, bad_certificate, one_line

TIMEOUT = httpx2.Timeout(connect=5, read=15, write=15, pool=15)  # seconds; read = longest silence between two packets


@dataclass(frozen=True)
class Download:
    """A URL of exactly size bytes that starts as a GGUF file, and the partial file that collects it."""

    url: str
    headers: dict[str, str]
    part: Path
    size: int  # bytes
    name: str  # for progress and errors

    @property
    def part_size(self) -> int:
        """Bytes of the part that are on the disk so far."""
        return self.part.stat().st_size if self.part.exists() else 0

    def fill_part(self, say: Say, patience: HubPatience) -> None:
        """Brings part to its full size. The content is the caller's to verify.

        Raises BoardllamaError (no GGUF, too long, too short, connection lost TRIES times), HfHubHTTPError (the hub
        refuses) or OSError (the disk is full); part is kept for the next run in all cases but the first two.
        """
        meter = Meter(Progress(short_name(self.name), say), self.size, self.part_size)
        tries = 0
        while (have := self.part_size) < self.size:
            try:
                self._stream_rest(meter)
            except (httpx2.TransportError, HfHubHTTPError) as exc:
                if self.part_size > have:
                    tries = 0
                    patience.renew()
                if isinstance(exc, HfHubHTTPError) and patience.wait_as_asked(exc.response):
                    continue
                _reraise_unless_transient(exc)
                tries += 1
                self._pause_or_give_up(tries, exc, say)

    def _pause_or_give_up(self, tries: int, exc: Exception, say: Say) -> None:
        url = asked_url(exc)
        whom = f" with {url.host}" if url else ""
        # The library's words for an answer hold the whole address, and with it what a storage signed.
        why = f"it answers {exc.response.status_code}" if isinstance(exc, HfHubHTTPError) else one_line(exc)
        state = f"{self.name}: connection{whom} lost at {self.part_size} of {self.size} bytes ({why})"
        if tries >= TRIES:
            raise BoardllamaError(f"{state}, {tries} tries brought nothing: run again to go on from there") from exc
        say(f"{state}, trying again")
        pause_before_try(tries)

    def _stream_rest(self, meter: "Meter") -> None:
        have = self.part_size
        headers = {**self.headers, "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with get_session().stream("GET", self.url, headers=headers, timeout=TIMEOUT) as response:
            if response.status_code == 416:
                raise BoardllamaError(f"{self.name}: truncated, the hub's file ends at {have} of {self.size} bytes")
            hf_raise_for_status(response)
            if have and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                self.part.write_bytes(b"")  # the server ignored Range and sends all of it
            self._append_chunks(response.iter_bytes(), meter)

    def _append_chunks(self, chunks: Iterator[bytes], meter: "Meter") -> None:
        have = self.part_size
        with self.part.open("ab") as file:
            for chunk in chunks if have else self._checked_chunks(chunks):
                have += len(chunk)
                if have > self.size:
                    break
                file.write(chunk)
                meter.show_progress(have)
        if have > self.size:
            self.part.unlink()
            raise BoardllamaError(f"{self.name}: the hub sends more than the pinned {self.size} bytes: check the pin")
        if have < self.size:
            raise httpx2.RemoteProtocolError(f"the answer ended at byte {have}")

    def _checked_chunks(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks, the first joined until they hold MAGIC: a packet may be as small as a byte.

        Raises BoardllamaError for what does not begin as GGUF.
        """
        first = b""
        for chunk in chunks:
            first += chunk
            if len(first) >= len(MAGIC):
                check_gguf_start(first[:16], f"what the hub sends as {self.name}")
                yield first
                yield from chunks


def _reraise_unless_transient(exc: httpx2.TransportError | HfHubHTTPError) -> None:
    """Raises the error again if another try in a moment would end in it too."""
    if isinstance(exc, HfHubHTTPError) and exc.response.status_code not in FAULTS:
        raise exc
    if isinstance(exc, httpx2.UnsupportedProtocol | httpx2.ProxyError) or bad_certificate(exc):
        raise exc


@dataclass
class Meter:
    """Progress lines such as "tinyllama.gguf: 312 of 669 MB, 47 %, 8.1 MB/s, 44 s left" (MB = 10^6 bytes)."""

    progress: Progress
    size: int  # bytes
    start: int  # bytes that were there before; they do not count as speed

    def show_progress(self, have: int) -> None:
        """Says how far it is, when a line is due."""
        if self.progress.is_due():
            self.progress.tell(self.progress_detail(have, self.progress.seconds))

    def progress_detail(self, have: int, seconds: float) -> str:
        """What is said of `have` bytes after so many seconds (over 0)."""
        speed = max(have - self.start, 1) / seconds
        left = (self.size - have) / speed
        ago = f"{left:.0f} s left" if left < 120 else f"{left / 60:.0f} min left"
        amounts = f"{have / 1e6:.0f} of {self.size / 1e6:.0f} MB, {100 * have // self.size} %"
        return f"{amounts}, {speed / 1e6:.1f} MB/s, {ago}"


def short_name(name: str) -> str:
    """A file name cut in its middle to at most 40 characters, so that progress fits one terminal line."""
    return name if len(name) <= 40 else f"{name[:22]}…{name[-17:]}"
