"""manifest.json of an image: what was signed."""

import json
from dataclasses import dataclass
from typing import Any

from deploy.errors import BoardllamaError
from deploy.flash.spans import BLOCK, Span

FORMAT = 1
LATE_AT_MOST = 64 << 20  # bytes of boot sectors, which are kept in memory


@dataclass(frozen=True)
class Part:
    """A file of the image: its plain name, its size in bytes, its sha256 in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The part of it that flashing needs."""

    board: str
    release: str
    created: str
    image: Part
    bmap: Part
    disk_size: int  # bytes, uncompressed
    boot_sectors: tuple[Span, ...]
    identity: Span | None

    @staticmethod
    def parse(content: bytes) -> "Manifest":
        """From the file's bytes. Raises BoardllamaError."""
        try:
            data = json.loads(content)
            if data["format"] != FORMAT:
                raise BoardllamaError(
                    f"the image's manifest has format {data['format']}, this boardllama reads {FORMAT}: update it"
                )
            found = from_data(data)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BoardllamaError(f"the image's manifest is damaged ({error!r}): get the image again") from None
        found.check()
        return found

    def check(self) -> None:
        """Raises BoardllamaError for what cannot be flashed safely."""
        disk = Span(0, self.disk_size)
        spans = [*self.boot_sectors, *([self.identity] if self.identity else [])]
        if self.disk_size <= 0 or self.disk_size % 512:
            raise BoardllamaError(f"the image has {self.disk_size} bytes: it must be a multiple of 512")
        if not self.boot_sectors or any(span.size <= 0 or span.within(disk) != span for span in spans):
            raise BoardllamaError("the image's manifest names boot sectors or an identity outside of the image")
        if self.identity and (self.identity.start % BLOCK or self.identity.size % BLOCK):
            raise BoardllamaError(f"the image's identity partition must begin and end at a multiple of {BLOCK} bytes")
        if sum(span.size for span in self.boot_sectors) > LATE_AT_MOST:
            raise BoardllamaError(f"the image's manifest names more than {LATE_AT_MOST >> 20} MiB of boot sectors")


def from_data(data: dict[str, Any]) -> Manifest:
    """Raises ValueError, KeyError, TypeError when something is missing or of another kind."""
    identity = data.get("identity")
    return Manifest(
        board=str(data["board"]),
        release=str(data.get("release", "")),
        created=str(data.get("created", "")),
        image=part(data["image"]),
        bmap=part(data["bmap"]),
        disk_size=int(data["disk"]["size"]),
        boot_sectors=tuple(span(int(offset), int(length)) for offset, length in data["boot_sectors"]),
        identity=span(int(identity["offset"]), int(identity["size"])) if identity else None,
    )


def part(data: dict[str, Any]) -> Part:
    """The name leads to a file beside the manifest, and nowhere else."""
    name = str(data["name"])
    if not name or "/" in name or name in (".", ".."):
        raise ValueError(f"name {name!r}")
    return Part(name, int(data["size"]), str(data["sha256"]))


def span(offset: int, length: int) -> Span:
    """From offset and length, in bytes."""
    return Span(offset, offset + length)
