"""A second cache of the controller that shares everything with the first one but what a fault changes."""

import json
from pathlib import Path

from deploy.build.artifact import MANIFEST
from deploy.controller.files import sha256_of
from deploy.paths import cache_dir


def copy_cache(folder: Path, without: str) -> Path:
    """A cache of links to the real one; the entry `without` is an empty folder. What is written elsewhere is shared."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in cache_dir().iterdir():
        link = folder / path.name
        if path.name != without and not link.is_symlink():
            link.symlink_to(path.resolve())
    (folder / without).mkdir(exist_ok=True)
    return folder


def with_other_server(folder: Path, build: str, server: bytes) -> Path:
    """A cache in which the build of that name has another llama-server, and a manifest that vouches for it."""
    copy_cache(folder, without="builds")
    real = cache_dir() / "builds"
    for path in real.iterdir():
        if path.name != build:
            (folder / "builds" / path.name).symlink_to(path.resolve())
    ours = folder / "builds" / build
    ours.mkdir()
    for path in (real / build).iterdir():
        if path.name not in (MANIFEST, "llama-server"):
            (ours / path.name).symlink_to(path.resolve())
    (ours / "llama-server").write_bytes(server)
    (ours / "llama-server").chmod(0o755)
    manifest = json.loads((real / build / MANIFEST).read_text())
    manifest["files"]["llama-server"] = {"sha256": sha256_of(ours / "llama-server"), "size": len(server)}
    (ours / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return folder


def build_info(build: str) -> str:
    """What /props says of a build of the real cache."""
    return str(json.loads((cache_dir() / "builds" / build / MANIFEST).read_text())["build_info"])
