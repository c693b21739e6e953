"""`python -m deploy.flash` as a technician runs it, and what must hold of a card."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.paths import REPO
from tests.flash.images import LOADER
from tests.flash.loops import Loop

DEADLINE = 120


@dataclass(frozen=True)
class Flashing:
    """How the command is run. `images` is the folder of the fixture."""

    images: Path
    results: Path

    def image(self, name: str) -> Path:
        """The path of an image, by its name in `images`."""
        return self.images / name / "boardllama-test.img.zst"

    def command(self, image: Path, *words: str) -> list[str]:
        """The command line for an image."""
        return [sys.executable, "-m", "deploy.flash", str(image), "--results", str(self.results), *words]

    @property
    def environment(self) -> dict[str, str]:
        """The variables of this process, with the keys that signed the images."""
        return {**os.environ, "BOARDLLAMA_KEYS": str(self.images / "keys"), "PYTHONUNBUFFERED": "1"}

    def run(self, image: str | Path, *words: str) -> "subprocess.CompletedProcess[str]":
        """Runs the command to its end, without a terminal."""
        path = self.image(image) if isinstance(image, str) else image
        return subprocess.run(
            self.command(path, *words),
            cwd=REPO,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    def flash(self, image: str | Path, card: Loop, *words: str) -> "subprocess.CompletedProcess[str]":
        """Writes one card, without a question."""
        return self.run(image, "--device", str(card.path), "--yes", "--serial", str(card.file), *words)

    def lines(self) -> list[dict[str, Any]]:
        """The lines of results.jsonl."""
        return [json.loads(line) for line in self.results.read_text().splitlines()]


def raw_bytes(image: Path) -> bytes:
    """The bytes of the uncompressed image."""
    return image.with_suffix("").read_bytes()


def has_image(card: Path, image: Path) -> bool:
    """True when a card's memory begins with exactly the image: data, and zeros in the holes."""
    wanted = raw_bytes(image)
    with card.open("rb") as file:
        return file.read(len(wanted)) == wanted


def has_boot_data(card: Path, image_size: int) -> bool:
    """True when anything is left by which a board could start from the card."""
    content = card.read_bytes()
    tables = (content[512:520], content[image_size - 512 : image_size - 504], content[-512:-504])
    loader = content[LOADER[0] : sum(LOADER)]
    return content[510:512] == b"\x55\xaa" or b"EFI PART" in tables or any(loader)
