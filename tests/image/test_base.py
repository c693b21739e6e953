"""`make image BASE=` on the likeness of a vendor's image: nothing is lost, and the second run makes the same bytes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard

from deploy.image.outputs import Outputs
from deploy.paths import REPO
from tests.image import bases
from tests.image.vendor_tree import PLACE, mounted, put_rarities, snapshot

# What a new account changes; all else that is the vendor's stays.
ACCOUNTS = {f"etc/{name}{copy}" for name in ("passwd", "group", "shadow", "gshadow") for copy in ("", "-")}
ROOT_AT = bases.RASPIOS.root_at


@dataclass(frozen=True)
class Edited:
    """A base, the plain image that was made of it, and the trees of both."""

    base: Path
    outs: tuple[Outputs, Outputs]
    disk: Path
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def manifest(self) -> dict[str, Any]:
        """Of the first run."""
        content: dict[str, Any] = json.loads(self.outs[0].manifest.read_text())
        return content


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edited]:
    """Made twice, in two folders, at once."""
    folder = tmp_path_factory.mktemp("base")
    base, disk = folder / "vendor.img", folder / "disk.img"
    subprocess.run(["cp", "--sparse=always", str(bases.raspios_like()), str(base)], check=True)
    with mounted(base, ROOT_AT, folder / "tree") as tree:
        put_rarities(tree)
    outs = (Outputs(folder / "one", "rpi4"), Outputs(folder / "another/and/deeper", "rpi4"))
    for run in [start_edit(base, out.folder) for out in outs]:
        _, said = run.communicate(timeout=900)
        assert run.returncode == 0, said
    with outs[0].image.open("rb") as packed, disk.open("wb") as plain:
        zstandard.ZstdDecompressor().copy_stream(packed, plain)
    with mounted(base, ROOT_AT, folder / "before", "ro", "noload") as tree:
        before = snapshot(tree)
    with mounted(disk, ROOT_AT, folder / "after", "ro", "noload") as tree:
        after = snapshot(tree)
    yield Edited(base, outs, disk, before, after)
    shutil.rmtree(folder)


def start_edit(base: Path, dist: Path, *options: str) -> "subprocess.Popen[str]":
    """make image BASE=, in a session of its own as in a terminal."""
    words = [sys.executable, "-m", "deploy.image", "rpi4", "--base", str(base), "--dist", str(dist), "--model", "smoke"]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*words, *options], cwd=REPO, env=os.environ, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def test_nothing_of_the_vendor_is_lost_or_changed_but_the_accounts(edited: Edited) -> None:
    assert len([name for name in edited.before if name.startswith(PLACE)]) == 17
    assert sorted(set(edited.before) - set(edited.after)) == []
    changed = {name for name, state in edited.before.items() if state != edited.after[name]}
    assert changed - ACCOUNTS == set()
    assert {name: edited.after[name]["owner"] for name in ACCOUNTS & set(edited.before)} == {
        name: edited.before[name]["owner"] for name in ACCOUNTS & set(edited.before)
    }


def test_the_manifest_names_all_that_was_done(edited: Edited) -> None:
    base = edited.manifest["base"]
    assert base["name"] == "vendor.img" and base["removed"] == []
    assert base["added"] == sorted(set(edited.after) - set(edited.before))
    assert set(base["changed"]) <= ACCOUNTS
    assert "usr/bin/llama-server" in base["added"]
    assert not any(name.endswith((".receipt", ".pyc", ".pwd.lock")) for name in base["added"])
    assert {"systemd", "network-manager"} <= {package["name"] for package in edited.manifest["packages"]}


def test_the_boot_area_is_the_vendors_byte_for_byte(edited: Edited) -> None:
    """Of the table the size of the root may be another: bytes 5 to 15 of its entry say where the root ends."""
    one, other = read_boot(edited.base), read_boot(edited.disk)
    entry = 446 + 16
    assert one[: entry + 5] == other[: entry + 5]
    assert one[entry + 16 :] == other[entry + 16 :]


def read_boot(disk: Path) -> bytes:
    """All that lies before the root."""
    with disk.open("rb") as file:
        return file.read(ROOT_AT)


def test_the_root_is_clean_and_keeps_its_label_and_its_id(edited: Edited) -> None:
    where = f"{edited.disk}?offset={ROOT_AT}"
    subprocess.run(["e2fsck", "-f", "-n", where], check=True, capture_output=True)
    said = [
        subprocess.run(["blkid", "-p", "-O", str(ROOT_AT), "-o", "export", str(disk)], capture_output=True, check=True)
        for disk in (edited.base, edited.disk)
    ]
    one, other = ({*done.stdout.decode().splitlines()} for done in said)
    assert {line for line in one ^ other if not line.startswith(("DEVNAME", "FSSIZE", "FSLASTBLOCK"))} == set()


def test_the_second_run_makes_the_same_bytes(edited: Edited) -> None:
    """Only the signature may differ, where the keys do."""
    one, other = ({path.name: path.read_bytes() for path in out.all_files[:-1]} for out in edited.outs)
    assert [name for name in one if one[name] != other[name]] == []


def test_nothing_of_the_work_is_left(edited: Edited) -> None:
    for out in edited.outs:
        assert {path.name for path in out.folder.iterdir()} == {path.name for path in out.all_files} | {".work"}
        assert {path.name for path in (out.folder / ".work").iterdir()} <= {".lock", "build.log"}
