"""A release: everything that a target serves, as one thing with one id. Made here, judged on the target (onboard/)."""

import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from deploy.build.artifact import MANIFEST, Build, Manifest
from deploy.hosts.release_manifest import BuildEntry, Contents, ModelEntry, Policy, ReleaseManifest, ServiceEntry
from deploy.hosts.store import BigFile
from deploy.onboard.places import PLACES, PRISTINE, Places
from deploy.onboard.service import Service
from deploy.paths import REPO

ONBOARD = REPO / "deploy" / "onboard"


@dataclass(frozen=True)
class Served:
    """A service as a release has it.

    `wanted`: its config and its unit as the deploy rendered them, by public name; `kept`: an operator's edits of
    them, which win.
    """

    service: Service
    model: BigFile | None
    wanted: dict[Path, bytes]
    kept: dict[Path, bytes]

    def text(self, path: Path) -> bytes:
        """An editable file as it is in this release."""
        return self.kept.get(path, self.wanted[path])

    def within(self, name: str) -> str:
        """Where one of its files lies in the release."""
        return str(PurePosixPath(self.service.folder) / name)

    @property
    def entry(self) -> ServiceEntry:
        """For the manifest."""
        model = self.model
        return ServiceEntry(
            service=self.service,
            model=ModelEntry(name=model.name, sha256=model.sha256, size=model.size) if model else None,
            config=sha256(self.text(self.service.config)),
            unit=sha256(self.text(self.service.public_unit(PLACES))),
        )

    @property
    def files(self) -> dict[str, bytes]:
        """By their names in the release: its files as they are, and as they were deployed."""
        edited = {self.within(path.name): self.text(path) for path in self.wanted}
        return edited | {f"{PRISTINE}/{self.within(path.name)}": text for path, text in self.wanted.items()}


@dataclass(frozen=True)
class Release:
    """`pins` say where build and models come from, `policy` is what the gate asks (onboard/release/gate.py)."""

    build: Build
    artifact: Manifest
    served: tuple[Served, ...]
    pins: dict[str, Any]
    policy: Policy
    places: Places = PLACES

    @cached_property
    def id(self) -> str:
        """A digest of all of it but the time: the same wishes are the same release. Never a number to any parser."""
        return "r" + sha256(json.dumps(self.contents.model_dump(mode="json"), sort_keys=True).encode())[:11]

    @property
    def folder(self) -> str:
        """Its place on the target."""
        return f"{self.places.releases}/{self.id}"

    @property
    def program(self) -> str:
        """Its own `boardllama` on the target."""
        return f"{self.folder}/boardllama"

    @cached_property
    def contents(self) -> Contents:
        """What is in it, by hash."""
        return Contents(
            build=BuildEntry(
                name=Path(build_folder(self.build, self.artifact)).name,
                build_info=self.artifact.build_info,
                files=self.artifact.files,
            ),
            services=[served.entry for served in self.served],
            model=self.served[0].entry.model,
            programs={name: sha256(content) for name, content in programs().items()},
            pins=self.pins,
            policy=self.policy,
        )

    def manifest(self, created: str) -> bytes:
        """manifest.json; `created` is a time in ISO 8601, UTC."""
        manifest = ReleaseManifest(id=self.id, created=created, **dict(self.contents))
        return f"{manifest.model_dump_json(indent=1)}\n".encode()

    def files(self, created: str) -> dict[str, bytes]:
        """Its files by name."""
        texts = {name: text for served in self.served for name, text in served.files.items()}
        return {"manifest.json": self.manifest(created), **texts, **programs()}

    def links(self) -> dict[str, str]:
        """Its links by name: into the stores, which releases share."""
        folder = build_folder(self.build, self.artifact)
        models = {served.within(model.name): model.dest for served in self.served if (model := served.model)}
        return {name: f"{folder}/{name}" for name in self.artifact.files} | models

    def held(self, created: str) -> dict[str, str]:
        """What ReleaseFiles finds when the release is there whole."""
        hashes = {name: sha256(content) for name, content in self.files(created).items()}
        return hashes | {name: f"-> {target}" for name, target in self.links().items()}

    def archive(self, created: str) -> bytes:
        """All of it as a tar, owned by root."""
        return packed(self.files(created), self.links())


def packed(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """Files by name, and links with what they lead to, as a tar. `boardllama` is a program."""
    stream, now = io.BytesIO(), int(clock().timestamp())
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), now
            member.mode = 0o755 if name == "boardllama" else 0o644
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return stream.getvalue()


def clock() -> datetime:
    """Now, in UTC; or the time of $SOURCE_DATE_EPOCH, with which the same inputs give the same bytes."""
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        return datetime.fromtimestamp(int(epoch), timezone.utc)
    return datetime.now(timezone.utc)


def sha256(content: bytes) -> str:
    """64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def programs() -> dict[str, bytes]:
    """What runs on the target, by its name in the release."""
    modules = {f"onboard/{path.relative_to(ONBOARD)}": path.read_bytes() for path in sorted(ONBOARD.rglob("*.py"))}
    return {"boardllama": (ONBOARD / "boardllama").read_bytes()} | modules


def build_folder(build: Build, artifact: Manifest) -> str:
    """Where the binaries lie on the target: by their content, so nothing that runs is ever overwritten."""
    content = json.dumps({name: file.sha256 for name, file in artifact.files.items()}, sort_keys=True)
    return f"{PLACES.builds}/{build.cpu.name}-{sha256(content.encode())[:12]}"


def build_files(build: Build, artifact: Manifest) -> tuple[BigFile, ...]:
    """The binaries and their manifest, and their places on the target."""
    folder, about = build_folder(build, artifact), (build.artifact_folder / MANIFEST).read_bytes()
    files = [
        BigFile(build.artifact_folder / name, f"{folder}/{name}", file.sha256, file.size, "755")
        for name, file in artifact.files.items()
    ]
    return (*files, BigFile(build.artifact_folder / MANIFEST, f"{folder}/{MANIFEST}", sha256(about), len(about)))


def stored_model(service: Service, source: Path, name: str, sha256: str, size: int) -> BigFile:
    """A model and its place on the target."""
    return BigFile(source, f"{service.model_store}/{sha256[:16]}/{name}", sha256, size)
