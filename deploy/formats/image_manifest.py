"""manifest.json of an image: the file that is signed. It names the other files with their size and sha256.

`make image` writes the manifest, `make flash` reads it. A manifest that an older boardllama would flash wrongly gets
another `format`.
"""

import json
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError

from deploy.errors import BoardllamaError, shown
from deploy.formats.spans import IO_BLOCK, Span, total_size
from deploy.formats.values import Frozen, Sha256, first_breach
from deploy.onboard.json_parts import parse_json

Format = Literal[1]
LATE_AT_MOST = 64 << 20  # bytes of boot sectors, which are kept in memory
PlainName = Annotated[str, Field(pattern=r"^[^/]*[^/.][^/]*$", description="The name of a file beside the manifest.")]


class Medium(Enum):
    """Where a board may start from."""

    CARD = "SD card"
    EMMC = "eMMC"
    USB = "USB disk"
    NVME = "NVMe disk"
    SATA = "SATA disk"
    VIRTIO = "virtio disk"


def media_text(starts_from: Mapping[Medium, str]) -> str:
    """Such as `SD card, USB disk (with …)`."""
    return ", ".join(f"{medium.value} ({takes})" if takes else medium.value for medium, takes in starts_from.items())


class ImageFile(Frozen):
    """A file of the image. `size` in bytes."""

    name: PlainName
    size: NonNegativeInt
    sha256: Sha256


class Disk(Frozen):
    """The uncompressed image: `size` in bytes, of which `mapped` are in the block map; None where nothing said it."""

    size: int
    sha256: Sha256 | None = None
    mapped: NonNegativeInt | None = None


class Extent(Frozen):
    """Bytes of the disk, `size` of them from `offset` on."""

    offset: NonNegativeInt
    size: PositiveInt

    @property
    def span(self) -> Span:
        """The same bytes by their beginning and end."""
        return Span(self.offset, self.offset + self.size)


class Package(Frozen):
    """A Debian package that is installed in the image."""

    name: str
    version: str
    arch: str


class BaseOrigin(Frozen):
    """The vendor's image from which an image was made: its file, and how the system in it calls itself.

    `added`, `changed`, `removed`: what was done to its root file system, by paths from the root on. All else is the
    vendor's, and was not judged.
    """

    name: PlainName
    sha256: Sha256
    system: str
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class ImageManifest(Frozen):
    """What the image is. `created` is an ISO time, or empty.

    `boot_sectors` are pairs of an offset and a length in bytes: what makes a card boot, and is written last. `identity`
    is the FAT partition of boardllama.txt; `identity_slot`: the bytes of that file itself, in an image where it lies on
    no FAT. `base` is there in an image that was made from a vendor's. `pins` and `release` are those of the release in
    the image.
    """

    format: Format = 1
    board: str
    release: str = ""
    created: str = ""
    image: ImageFile
    bmap: ImageFile
    sbom: ImageFile | None = None
    disk: Disk
    boot_sectors: tuple[tuple[NonNegativeInt, PositiveInt], ...]
    identity: Extent | None = None
    identity_slot: Extent | None = None
    base: BaseOrigin | None = None
    starts_from: dict[Medium, str] = Field(
        default_factory=dict,
        description="What the board starts this image from, each with what that takes, or with an empty text.",
    )
    packages: tuple[Package, ...] = ()
    pins: dict[str, Any] = Field(default_factory=dict)

    @property
    def boot_spans(self) -> tuple[Span, ...]:
        """The bytes of the boot sectors."""
        return tuple(Span(offset, offset + length) for offset, length in self.boot_sectors)

    @property
    def identity_span(self) -> Span | None:
        """The bytes of the identity partition; None in an image without it."""
        return self.identity.span if self.identity else None

    @property
    def slot_span(self) -> Span | None:
        """The bytes of boardllama.txt itself; None in an image that has it on a FAT, or not at all."""
        return self.identity_slot.span if self.identity_slot else None

    def render(self) -> bytes:
        """The content of the file."""
        return f"{json.dumps(self.model_dump(mode='json'), indent=1, sort_keys=True)}\n".encode()

    @staticmethod
    def parse(content: bytes) -> "ImageManifest":
        """Reads the content of the file. Raises BoardllamaError for an image that cannot be flashed safely."""
        try:
            data = parse_json(content)
            refuse_other_format(data)
            found = ImageManifest.model_validate(data)
        except ValidationError as error:
            raise damaged(first_breach(error)) from None
        except (ValueError, AttributeError) as error:
            raise damaged(repr(error)) from None
        found.check()
        return found

    def check(self) -> None:
        """Raises BoardllamaError for an image that cannot be flashed safely."""
        disk = Span(0, self.disk.size)
        spans = [*self.boot_spans, *(span for span in (self.identity_span, self.slot_span) if span)]
        if disk.size <= 0 or disk.size % 512:
            raise BoardllamaError(f"the image has {disk.size} bytes: it must be a multiple of 512")
        if not self.boot_sectors or any(span.overlap_with(disk) != span for span in spans):
            raise BoardllamaError("the image's manifest names boot sectors or an identity outside of the image")
        if self.identity and (self.identity.offset % IO_BLOCK or self.identity.size % IO_BLOCK):
            rule = f"must begin and end at a multiple of {IO_BLOCK} bytes"
            raise BoardllamaError(f"the image's identity partition {rule}")
        if total_size(self.boot_spans) > LATE_AT_MOST:
            raise BoardllamaError(f"the image's manifest names more than {LATE_AT_MOST >> 20} MiB of boot sectors")


def refuse_other_format(data: dict[str, Any]) -> None:
    """Raises BoardllamaError for a format that this boardllama does not read; AttributeError for no JSON object."""
    known = get_args(Format)
    if (seen := data.get("format", known[0])) not in known:
        raise BoardllamaError(
            f"the image's manifest has format {shown(seen)}, this boardllama reads {known[-1]}: update it"
        )


def damaged(why: str) -> BoardllamaError:
    """The error for a file that is no manifest."""
    return BoardllamaError(f"the image's manifest is damaged ({why}): get the image again")
