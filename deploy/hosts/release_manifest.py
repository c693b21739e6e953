"""manifest.json of a release: what it is made of, by hash. Read on the target by onboard/release/releases.py.

Version 2 has a list of services. Before it a manifest had no version, and the `model`, `config` and `unit` of its one
service at its top.
"""

from typing import Any, Literal

from deploy.build.artifact import FileEntry
from deploy.formats.values import Frozen, Sha256
from deploy.onboard.service import Service


class BuildEntry(Frozen):
    """`name`: its folder in the store of builds. `files` by their names."""

    name: str
    build_info: str
    files: dict[str, FileEntry]


class ModelFileEntry(Frozen):
    """`name`: of the file. `size` in bytes. `kind`: what llama-server takes it for."""

    name: str
    sha256: Sha256
    size: int
    kind: Literal["weights", "projector", "draft"]


class ModelEntry(Frozen):
    """`files`: all of the model's, its parts in their order. `name`, `sha256`, `size`: of the first of them.

    The programs of older releases know of that one alone, and their manifests have no `files`.
    """

    name: str
    sha256: Sha256
    size: int
    files: list[ModelFileEntry]


class ServiceEntry(Frozen):
    """`model`: None when the operator brings one. `config`, `unit`: hashes of these files as the release has them.

    `warm_prompts`: hashes by file name.
    """

    service: Service
    model: ModelEntry | None
    config: Sha256
    unit: Sha256
    warm_prompts: dict[str, Sha256]


class Policy(Frozen):
    """What the gate asks (tokens per second, 0: any speed), and how many committed releases the target keeps."""

    min_tokens_per_second: float
    releases_kept: int


class Contents(Frozen):
    """What makes a release the one that it is: the same contents have the same id. `programs`: name and hash.

    `model` is the first service's, for the table of an older release's programs, which ask for nothing else.
    """

    version: Literal[2] = 2
    build: BuildEntry
    services: list[ServiceEntry]
    model: ModelEntry | None
    programs: dict[str, Sha256]
    pins: dict[str, Any]
    policy: Policy


class ReleaseManifest(Contents):
    """`created`: a time in ISO 8601, UTC."""

    id: str
    created: str
