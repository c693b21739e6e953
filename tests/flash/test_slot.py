"""An image without a FAT: boardllama.txt is written over the bytes that its manifest names, and nothing else is."""

import json
from pathlib import Path

import pytest

from deploy.formats.identity_slot import SLOT_BYTES
from deploy.onboard.identity.boardllama_txt import parse_identity
from tests.flash.flashing import Flashing, raw_bytes
from tests.flash.images import IDENTITY, make_image, write_manifest

# Within blocks, as a slot of a vendor's file system may lie.
SLOT = IDENTITY[0] + 3 * 4096 + 512


@pytest.fixture
def image(flashing: Flashing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Signed as the others are."""
    monkeypatch.setenv("BOARDLLAMA_KEYS", str(flashing.images / "keys"))
    made = make_image(tmp_path / "image")
    manifest = made.with_name(made.name.replace(".img.zst", ".manifest.json"))
    said = json.loads(manifest.read_text()) | {"identity": None, "identity_slot": {"offset": SLOT, "size": SLOT_BYTES}}
    write_manifest(made, said)
    return made


def test_only_the_slot_differs_from_the_image(flashing: Flashing, tmp_path: Path, image: Path) -> None:
    card = tmp_path / "card"
    words = ("--to-file", str(card), "--yes", "--hostname", "kitchen", "--timezone", "UTC")
    done = flashing.run(image, *words)
    assert done.returncode == 0, done.stderr
    wanted, found = raw_bytes(image), card.read_bytes()
    assert found[:SLOT] == wanted[:SLOT] and found[SLOT + SLOT_BYTES : len(wanted)] == wanted[SLOT + SLOT_BYTES :]
    said = parse_identity(found[SLOT : SLOT + SLOT_BYTES].decode())
    assert (said.hostname, said.timezone) == ("kitchen", "UTC")


def test_keys_that_do_not_fit_are_refused_before_a_byte_is_written(
    flashing: Flashing, tmp_path: Path, image: Path
) -> None:
    keys = tmp_path / "keys"
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYL1XxJIzxInFDfmCOKkLnEO/eaMFMP9UIATE4BFF3M"
    keys.write_text("".join(f"{line} {'x' * 400}{number}\n" for number in range(50)))
    done = flashing.run(image, "--to-file", str(tmp_path / "card"), "--yes", "--ssh-key", str(keys))
    assert done.returncode == 1
    assert f"this image has room for {SLOT_BYTES}: name fewer keys" in done.stderr
    assert not (tmp_path / "card").exists()
