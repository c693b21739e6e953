"""Small signed images as `make image` leaves them: a GPT disk with a boot loader, an identity partition, and a root
that is data with holes in between. Needs sfdisk, mformat and bmaptool; no root, no loop device."""

import hashlib
import json
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from deploy.controller.signing import sign_file
from deploy.formats.block_map import BlockMap
from deploy.onboard.identity.boardllama_txt import LABEL

MIB = 1 << 20
LOADER = (64 * 512, 32 << 10)  # where boards of Rockchip look for theirs: offset, length
IDENTITY = (MIB, 4 * MIB)
ROOT = 5 * MIB
TABLE = f"""
label: gpt
label-id: 8C1F6E40-0000-4000-8000-000000000001
first-lba: 2048
start=2048, size={IDENTITY[1] // 512}, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name={LABEL}
start={ROOT // 512}, type=B921B045-1DF0-41C3-AF44-4C6F280D3FAE, name=root
"""


@dataclass(frozen=True)
class Recipe:
    """A disk of `size` bytes; in its root, of every `period` bytes the first `chunk` are data."""

    size: int = 24 * MIB
    chunk: int = 64 << 10
    period: int = 256 << 10
    seed: int = 1
    config: bytes = b"threads = 2"  # one small file of the root

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of the root's data; half of each compresses."""
        source = random.Random(self.seed)
        end = self.size - MIB
        for offset in range(ROOT, end, self.period):
            yield offset, source.randbytes(self.chunk // 2) + offset.to_bytes(8, "big") * (self.chunk // 16)
        yield ROOT + self.chunk + 8192, self.config.ljust(4096, b"\n")


def write_raw_disk(path: Path, recipe: Recipe) -> None:
    """Writes the uncompressed image, sparse."""
    with path.open("wb") as file:
        file.truncate(recipe.size)
    subprocess.run(["sfdisk", "--quiet", str(path)], input=TABLE, text=True, check=True)
    fat = f"{path}@@{IDENTITY[0]}"
    subprocess.run(["mformat", "-i", fat, "-v", LABEL, "-T", str(IDENTITY[1] // 512), "::"], check=True)
    with path.open("r+b") as file:
        file.seek(LOADER[0])
        file.write(random.Random(recipe.seed).randbytes(LOADER[1]))
        for offset in (LOADER[0] - 4096, sum(LOADER)):  # what lies beside a boot loader is written before it
            file.seek(offset)
            file.write(b"beside" * 600)
        for offset, data in recipe.chunks():
            file.seek(offset)
            file.write(data)


def make_image(folder: Path, recipe: Recipe | None = None, name: str = "boardllama-test") -> Path:
    """The signed image in the folder; its path ends in .img.zst. The raw disk stays beside it as .img."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = recipe or Recipe()
    raw, image = folder / f"{name}.img", folder / f"{name}.img.zst"
    write_raw_disk(raw, recipe)
    bmap = folder / f"{name}.bmap"
    subprocess.run(["bmaptool", "--quiet", "create", str(raw), "--output", str(bmap)], check=True)
    with raw.open("rb") as source, image.open("wb") as target:
        zstandard.ZstdCompressor(level=1).copy_stream(source, target, size=recipe.size)
    manifest = {
        "format": 1,
        "board": "test",
        "image": file_entry(image),
        "disk": {"size": recipe.size, "mapped": mapped_size(bmap)},
        "bmap": file_entry(bmap),
        "boot_sectors": [[0, 34 * 512], list(LOADER)],
        "identity": {"offset": IDENTITY[0], "size": IDENTITY[1]},
        "starts_from": {"SD card": "", "USB disk": "with an EEPROM"},
        "release": f"r{recipe.seed}",
        "created": "2026-01-01T00:00:00+00:00",
    }
    write_manifest(image, manifest)
    return image


def write_manifest(image: Path, manifest: dict[str, object]) -> None:
    """Writes the manifest and its signature, by the key in $BOARDLLAMA_KEYS."""
    path = image.with_name(image.name.replace(".img.zst", ".manifest.json"))
    path.write_text(json.dumps(manifest, sort_keys=True))
    sign_file(path)


def file_entry(path: Path) -> dict[str, object]:
    """What the manifest says about a file."""
    return {"name": path.name, "size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def mapped_size(bmap: Path) -> int:
    """Bytes that the block map calls mapped."""
    return sum(span.size for span in BlockMap.parse(bmap.read_bytes()).mapped_spans)
