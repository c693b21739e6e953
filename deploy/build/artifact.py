"""A Build, its name, and the artifact that it becomes: a folder of proven programs with a manifest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.build.source import Source
from deploy.controller.files import sha256_of
from deploy.cpu import Cpu
from deploy.errors import BoardllamaError, NotThere
from deploy.paths import cache_dir

MANIFEST = "manifest.json"
# Debian 10 and everything since: every target that we name has at least this.
GLIBC = "2.28"
HERE = Path(__file__).resolve().parent
PATCHES = tuple(sorted(f"patches/{path.name}" for path in (HERE / "patches").glob("*.patch")))
# The licences of what a build links, made by deploy/reference/licences.py.
LICENCES = HERE / "licences.txt"
# What the builder runs. Their content is part of every key: a changed option is another build.
RECIPE = ("recipe.sh", "steps.sh", "fetch.py", "unpack.py", "toolchain.txt", *PATCHES)


class Proof(BaseModel):
    """What a proof found. glibc: highest symbol version; instructions: tool -> kernel -> count; ran_on: QEMU's -cpu."""

    model_config = ConfigDict(frozen=True)

    glibc: str
    instructions: dict[str, dict[str, int]]
    version: str
    ran_on: str


class FileEntry(BaseModel):
    """One file of an artifact. `sha256`: 64 hexadecimal digits; `size`: bytes."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    size: int


class Manifest(BaseModel):
    """What an artifact is made of and what was proven about it; manifest.json beside the binaries."""

    model_config = ConfigDict(frozen=True)

    name: str
    key: str
    inputs: dict[str, Any]
    build_info: str
    files: dict[str, FileEntry]
    proof: Proof


@dataclass(frozen=True)
class Build:
    """One source for one Cpu, and the name that its result has everywhere."""

    source: Source
    cpu: Cpu

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """Everything that decides the bytes of the result."""
        recipe = {name: sha256_of(HERE / name) for name in RECIPE}
        cpu = {"name": self.cpu.name, "mcpu": self.cpu.mcpu}
        return {"source": self.source.content_inputs(), "cpu": cpu, "glibc": GLIBC, "recipe": recipe}

    @cached_property
    def key(self) -> str:
        """64 hexadecimal digits over the inputs."""
        return json_digest(self.inputs)

    @property
    def objects_key(self) -> str:
        """16 hexadecimal digits over all inputs but the CPU; builds with equal digits share objects on the builder."""
        return json_digest({name: value for name, value in self.inputs.items() if name != "cpu"})[:16]

    @property
    def name(self) -> str:
        return f"{self.cpu.name}-{self.key[:16]}"

    @property
    def pin(self) -> str:
        """The first 12 digits of the source's pin, which `llama-server --version` and /props say."""
        return self.source.pin[:12]

    @property
    def build_info(self) -> str:
        """The value of build_info in /props. Its number would be a count of commits, which a pin does not have."""
        return f"b0-{self.pin}"

    @property
    def artifact_folder(self) -> Path:
        """Folder on the controller: the binaries and manifest.json. Appears whole."""
        return cache_dir() / "builds" / self.name

    def recipe_variables(self) -> dict[str, str]:
        """The variables that recipe.sh reads from job.sh, by name."""
        return {
            "NAME": self.name,
            "CPU": self.cpu.name,
            "MCPU": self.cpu.mcpu,
            "BASE": self.objects_key,
            "TOOLCHAIN": self.inputs["recipe"]["toolchain.txt"][:16],
            "SOURCE_KEY": json_digest(self.source.content_inputs())[:16],
            "PIN": self.pin,
            "GLIBC": GLIBC,
        }


def require_artifact(build: Build) -> Manifest:
    """The manifest of a finished build. Raises BoardllamaError that names the build when it is not there or not whole.

    Sizes are compared, not contents: the files were hashed when they came and are 50 MB.
    """
    missing = f"the build {build.name} is not there"
    try:
        manifest = Manifest.model_validate_json((build.artifact_folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise NotThere(f"{missing}: its build failed or did not run; the build stage says why") from None
    except ValidationError:
        raise BoardllamaError(
            f"{missing}: {build.artifact_folder / MANIFEST} is not readable; delete that folder"
        ) from None
    for name, entry in manifest.files.items():
        path = build.artifact_folder / name
        if not path.is_file() or path.stat().st_size != entry.size:
            raise BoardllamaError(f"{missing}: {path} is missing or has another size; delete {build.artifact_folder}")
    return manifest


def is_there(build: Build) -> bool:
    """Whether the artifact is finished and whole."""
    try:
        require_artifact(build)
    except BoardllamaError:
        return False
    return True


def json_digest(value: dict[str, Any]) -> str:
    """64 hexadecimal digits over a JSON value; the order of its keys does not count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
