"""What a deploy would bring to the boards of a kind, made of nothing, and published."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from deploy.build.artifact import Build, FileEntry, Manifest, Proof
from deploy.build.source import ArchiveSource
from deploy.cpu import find_cpu
from deploy.fleet.channel.destination import Destination
from deploy.fleet.channel.publish import publish_there
from deploy.hosts.offer import Offer
from deploy.hosts.release import Served, WantedRelease, build_files, sha256_hex
from deploy.hosts.release_manifest import Policy
from deploy.hosts.remote import Remote
from deploy.hosts.stored_model import StoredModel
from deploy.models.model import single_file
from deploy.models.own_file import OwnFile
from deploy.onboard.places import PLACES, PROGRAMS
from deploy.onboard.service import OLLAMA
from deploy.setting_fields import ChannelFields, role_settings
from tests.unit.test_settings import ALL

KIND = "raspberry_pi_5"
NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)


class Teller(Remote):
    """Keeps what a step says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)


@dataclass(frozen=True)
class MadeBuild(Build):
    """A build whose artifact lies in `folder`."""

    folder: Path = Path()

    @property
    def artifact_folder(self) -> Path:
        return self.folder


def channel_fields(**changes: Any) -> ChannelFields:
    """The defaults, and `changes`."""
    return role_settings(ChannelFields, ALL | changes)


def offer(
    folder: Path, config: str = "{}", build: str = "one", model: bytes = b"GGUF" * 1000, kind: str = KIND
) -> Offer:
    """What a deploy would bring, all of it made in the folder."""
    source = ArchiveSource(kind="archive", url="https://files.example/llama.tar.gz", sha256="ab" * 32)
    made = MadeBuild(source, find_cpu("cortex-a76"), folder / build)
    made.folder.mkdir(parents=True, exist_ok=True)
    entries = {}
    for name in PROGRAMS:
        content = f"#!/bin/sh\n# {name} of {build}\n".encode()
        (made.folder / name).write_bytes(content)
        entries[name] = FileEntry(sha256=sha256_hex(content), size=len(content))
    proof = Proof(glibc="2.28", instructions={}, version="1", ran_on="max")
    artifact = Manifest(name=build, key="k", inputs={}, build_info=f"b0-{build}", files=entries, proof=proof)
    (made.folder / "manifest.json").write_text(artifact.model_dump_json())
    path = folder / f"{sha256_hex(model)[:8]}.gguf"
    path.write_bytes(model)
    stored = StoredModel(single_file("m.gguf", OwnFile(str(path))), OLLAMA)
    unit = f"[Service]\nExecStart={PLACES.current}/boardllama launch\n".encode()
    served = Served(OLLAMA, stored, {OLLAMA.config: config.encode(), OLLAMA.public_unit(PLACES): unit}, {})
    policy = Policy(min_tokens_per_second=0, releases_kept=2)
    release = WantedRelease(made, artifact, (served,), {"llama.cpp": {}, "model": None}, policy)
    return Offer(kind, release, build_files(made, artifact), stored.files)


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of keys of a controller, with a cache of its own."""
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BOARDLLAMA_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


def publish(folder: Path, offered: Offer, hours: float = 0.0, address: str = "", **changes: Any) -> list[str]:
    """Publishes as of so many hours after NOON, in a channel that is valid now. Returns what is said.

    `address`: of the other computer whose copy the folder is; "" for none.
    """
    teller = Teller()
    at = NOON + timedelta(hours=hours)
    publish_there(teller, Destination(folder, address), offered, channel_fields(**changes), at)
    return teller.said
