"""A release: everything that a target serves, as one thing with one id. Made here, judged on the target (onboard/)."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from deploy.build.artifact import LICENCES, MANIFEST, Build, Manifest
from deploy.hosts.release_manifest import BuildEntry, Contents, Policy, ReleaseManifest, ServiceEntry
from deploy.hosts.store import BigFile
from deploy.hosts.stored_model import StoredModel
from deploy.onboard.places import PLACES, PRISTINE, PROGRAMS, WARM, Places
from deploy.onboard.service import Service
from deploy.paths import PACKAGE

ONBOARD = PACKAGE / "onboard"
# Rooms of onboard/ whose programs run on other hosts: a change there is no new release of a board.
ELSEWHERE = ("gateway", "monitor")


@dataclass(frozen=True)
class Served:
    """A service as a release has it.

    `wanted`: config and unit as the deploy rendered them, by public name. `kept`: an operator's edits of them, which
    win. `warm_prompts`: bodies of requests by file name.
    """

    service: Service
    model: StoredModel | None
    wanted: dict[Path, bytes]
    kept: dict[Path, bytes]
    warm_prompts: dict[str, bytes] = field(default_factory=dict)

    def text_of(self, path: Path) -> bytes:
        """The content of an editable file in this release."""
        return self.kept.get(path, self.wanted[path])

    def path_within(self, name: str) -> str:
        """Where a file of the service lies in the release."""
        return str(PurePosixPath(self.service.folder) / name)

    @property
    def manifest_entry(self) -> ServiceEntry:
        """The service's entry in the manifest."""
        return ServiceEntry(
            service=self.service,
            model=self.model.entry if self.model else None,
            config=sha256_hex(self.text_of(self.service.config)),
            unit=sha256_hex(self.text_of(self.service.public_unit(PLACES))),
            warm_prompts={name: sha256_hex(body) for name, body in self.warm_prompts.items()},
        )

    @property
    def served_files(self) -> dict[str, bytes]:
        """The service's files by their names in the release: as they are served, and as they were deployed."""
        edited = {self.path_within(path.name): self.text_of(path) for path in self.wanted}
        warm = {self.path_within(f"{WARM}/{name}"): body for name, body in self.warm_prompts.items()}
        return edited | warm | {f"{PRISTINE}/{self.path_within(path.name)}": text for path, text in self.wanted.items()}


@dataclass(frozen=True)
class WantedRelease:
    """The release that a deploy means. `pins`: where build and models come from. `policy`: what the gate asks."""

    build: Build
    artifact: Manifest
    served: tuple[Served, ...]
    pins: dict[str, Any]
    policy: Policy
    places: Places = PLACES

    @cached_property
    def id(self) -> str:
        """r and 11 hexadecimal digits over the contents: the r keeps parsers from reading a number."""
        return "r" + sha256_hex(json.dumps(self.contents.model_dump(mode="json"), sort_keys=True).encode())[:11]

    @property
    def folder(self) -> str:
        """The folder of the release on the target."""
        return f"{self.places.releases}/{self.id}"

    @property
    def program(self) -> str:
        """The release's own `boardllama` on the target."""
        return f"{self.folder}/boardllama"

    @cached_property
    def contents(self) -> Contents:
        """What the release holds, by hash; neither its time nor its id."""
        entries = [served.manifest_entry for served in self.served]
        return Contents(
            build=BuildEntry(
                name=Path(build_folder(self.build, self.artifact)).name,
                build_info=self.artifact.build_info,
                files=self.artifact.files,
            ),
            services=entries,
            model=entries[0].model,
            programs=program_hashes(),
            pins=self.pins,
            policy=self.policy,
        )

    def manifest_bytes(self, created: str) -> bytes:
        """manifest.json; `created` is a time in ISO 8601, UTC."""
        manifest = ReleaseManifest(id=self.id, created=created, **dict(self.contents))
        return f"{manifest.model_dump_json(indent=1)}\n".encode()

    def own_files(self, created: str) -> dict[str, bytes]:
        """The files that are this release's alone, by name: all but the programs. `created` as in the manifest."""
        texts = {name: text for served in self.served for name, text in served.served_files.items()}
        return {"manifest.json": self.manifest_bytes(created), **texts}

    def file_contents(self, created: str) -> dict[str, bytes]:
        """The files of the release by name. `created` as in the manifest."""
        return self.own_files(created) | onboard_programs()

    def link_targets(self) -> dict[str, str]:
        """The links of the release by name, and where they lead: into the stores, which releases share."""
        folder = build_folder(self.build, self.artifact)
        models = {
            served.path_within(name): place
            for served in self.served
            if served.model
            for name, place in served.model.links.items()
        }
        return {name: f"{folder}/{name}" for name in (*self.artifact.files, LICENCES.name)} | models

    def stored_contents(self, created: str) -> dict[str, str]:
        """What the fact ReleaseFiles finds on a target that has the whole release."""
        hashes = {name: sha256_hex(content) for name, content in self.own_files(created).items()}
        return hashes | program_hashes() | {name: f"-> {target}" for name, target in self.link_targets().items()}

    def tar_archive(self, created: str) -> bytes:
        """The whole release as a tar, owned by root."""
        return pack_tar(self.file_contents(created), self.link_targets())


def pack_tar(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """Files by name, and links with their targets, as a tar. Programs may be executed."""
    stream, now = io.BytesIO(), int(release_time().timestamp())
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), now
            member.mode = 0o755 if Path(name).name in ("boardllama", *PROGRAMS) else 0o644
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return stream.getvalue()


def release_time() -> datetime:
    """Now, in UTC; or the time of $SOURCE_DATE_EPOCH, with which the same inputs give the same bytes."""
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        return datetime.fromtimestamp(int(epoch), timezone.utc)
    return datetime.now(timezone.utc)


def files_digest(files: Mapping[str, bytes]) -> str:
    """One hash over files by name."""
    return sha256_hex("".join(f"{sha256_hex(text)} {name}\n" for name, text in sorted(files.items())).encode())


def sha256_hex(content: bytes) -> str:
    """The SHA-256 of the content as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


@cache
def onboard_programs() -> dict[str, bytes]:
    """The programs that run on the target, by their names in the release. Read once in a run, for all its hosts."""
    rooms = [path for path in sorted(ONBOARD.rglob("*.py")) if path.relative_to(ONBOARD).parts[0] not in ELSEWHERE]
    return {"boardllama": (ONBOARD / "boardllama").read_bytes()} | onboard_modules(rooms)


@cache
def programs_of_role(room: str) -> dict[str, bytes]:
    """The programs of another role of hosts, by their names there; they use what boards have."""
    program = ONBOARD / f"boardllama-{room}"
    return onboard_programs() | onboard_modules((ONBOARD / room).rglob("*.py")) | {program.name: program.read_bytes()}


def onboard_modules(paths: Iterable[Path]) -> dict[str, bytes]:
    """Modules by their names in a folder of programs."""
    return {f"onboard/{path.relative_to(ONBOARD)}": path.read_bytes() for path in paths}


@cache
def program_hashes() -> dict[str, str]:
    """The SHA-256 of each of those programs."""
    return {name: sha256_hex(content) for name, content in onboard_programs().items()}


def build_folder(build: Build, artifact: Manifest) -> str:
    """The folder of the binaries on the target, named by their content: nothing that runs is ever overwritten."""
    content = json.dumps({name: file.sha256 for name, file in artifact.files.items()}, sort_keys=True)
    return f"{PLACES.builds}/{build.cpu.name}-{sha256_hex(content.encode())[:12]}"


def build_files(build: Build, artifact: Manifest) -> tuple[BigFile, ...]:
    """The binaries, their manifest and their licences, and their places on the target."""
    folder = build_folder(build, artifact)
    files = [
        BigFile(build.artifact_folder / name, f"{folder}/{name}", file.sha256, file.size, "755")
        for name, file in artifact.files.items()
    ]
    texts = {path: path.read_bytes() for path in (build.artifact_folder / MANIFEST, LICENCES)}
    return (
        *files,
        *(BigFile(path, f"{folder}/{path.name}", sha256_hex(text), len(text)) for path, text in texts.items()),
    )
