"""manifest.json of an image: the file that is signed. It names the other files with their size and sha256."""

import json
from dataclasses import dataclass
from typing import Any

from deploy.errors import BoardllamaError
from deploy.flash.spans import IO_BLOCK, Span, total_size

MANIFEST_FORMAT = 1
LATE_AT_MOST = 64 << 20  # bytes of boot sectors, which are kept in memory


@dataclass(frozen=True)
class ImageFile:
    """A file of the image: its plain name, its size in bytes, its sha256 in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class ImageManifest:
    """What flashing needs of the manifest. `created` is an ISO time, or empty."""

    board: str
    release: str
    created: str
    image: ImageFile
    bmap: ImageFile
    disk_size: int  # bytes, uncompressed
    boot_sectors: tuple[Span, ...]
    identity: Span | None

    @staticmethod
    def parse(content: bytes) -> "ImageManifest":
        """Reads the content of the file. Raises BoardllamaError for an image that cannot be flashed safely."""
        try:
            data = json.loads(content)
            if data["format"] != MANIFEST_FORMAT:
                seen = f"the image's manifest has format {data['format']}"
                raise BoardllamaError(f"{seen}, this boardllama reads {MANIFEST_FORMAT}: update it")
            found = from_data(data)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BoardllamaError(f"the image's manifest is damaged ({error!r}): get the image again") from None
        found.check()
        return found

    def check(self) -> None:
        """Raises BoardllamaError for an image that cannot be flashed safely."""
        disk = Span(0, self.disk_size)
        spans = [*self.boot_sectors, *([self.identity] if self.identity else [])]
        if self.disk_size <= 0 or self.disk_size % 512:
            raise BoardllamaError(f"the image has {self.disk_size} bytes: it must be a multiple of 512")
        if not self.boot_sectors or any(span.size <= 0 or span.overlap_with(disk) != span for span in spans):
            raise BoardllamaError("the image's manifest names boot sectors or an identity outside of the image")
        if self.identity and (self.identity.start % IO_BLOCK or self.identity.size % IO_BLOCK):
            rule = f"must begin and end at a multiple of {IO_BLOCK} bytes"
            raise BoardllamaError(f"the image's identity partition {rule}")
        if total_size(self.boot_sectors) > LATE_AT_MOST:
            raise BoardllamaError(f"the image's manifest names more than {LATE_AT_MOST >> 20} MiB of boot sectors")


def from_data(data: dict[str, Any]) -> ImageManifest:
    """The manifest of the parsed JSON. Raises ValueError, KeyError, TypeError for values that are missing or wrong."""
    identity = data.get("identity")
    return ImageManifest(
        board=str(data["board"]),
        release=str(data.get("release", "")),
        created=str(data.get("created", "")),
        image=parse_image_file(data["image"]),
        bmap=parse_image_file(data["bmap"]),
        disk_size=int(data["disk"]["size"]),
        boot_sectors=tuple(offset_span(int(offset), int(length)) for offset, length in data["boot_sectors"]),
        identity=offset_span(int(identity["offset"]), int(identity["size"])) if identity else None,
    )


def parse_image_file(data: dict[str, Any]) -> ImageFile:
    """A file of the parsed JSON. Raises ValueError for a name that leads elsewhere than beside the manifest."""
    name = str(data["name"])
    if not name or "/" in name or name in (".", ".."):
        raise ValueError(f"name {name!r}")
    return ImageFile(name, int(data["size"]), str(data["sha256"]))


def offset_span(offset: int, length: int) -> Span:
    """The span of `length` bytes from `offset` on."""
    return Span(offset, offset + length)
