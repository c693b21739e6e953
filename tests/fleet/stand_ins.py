"""Programs in the place of llama.cpp's, in the cache of the fleet alone: they say what they are, and have its size."""

import random
import shlex
from pathlib import Path

from deploy.build.artifact import MANIFEST, Build, FileEntry, Manifest, Proof
from deploy.controller.files import sha256_of
from deploy.debian.staging import ensure_folder, remove_tree
from deploy.onboard.files import write_file
from deploy.onboard.places import PROGRAMS
from tests.fleet.board_tree import HERE

# Bytes of the build for a Cortex-A76, which is what a first deploy carries.
SIZES = {"llama-server": 11_061_408, "llama-cli": 11_127_984, "llama-bench": 4_486_072, "llama-quantize": 3_591_488}
PROOF = Proof(glibc="2.28", instructions={}, version="a stand-in", ran_on="nothing")


def ensure_stand_ins(build: Build, cache: Path) -> Path:
    """The build's folder in that cache, made first where it is not there, or of an earlier stand_in_server.py."""
    folder, name = cache / "builds" / build.name, "llama-cli"
    if folder.exists() and (folder / name).read_bytes() != program_bytes(SIZES[name]):
        remove_tree(folder)
    return ensure_folder(folder, "fleet", lambda new: write_stand_ins(build, new / "tree"))


def write_stand_ins(build: Build, folder: Path) -> None:
    """Writes the programs and the manifest of an artifact."""
    for name in PROGRAMS:
        write_file(folder / name, program_bytes(SIZES[name]), mode=0o755)
    files = {name: FileEntry(sha256=sha256_of(folder / name), size=SIZES[name]) for name in PROGRAMS}
    manifest = Manifest(
        name=build.name, key=build.key, inputs=build.inputs, build_info=build.build_info, files=files, proof=PROOF
    )
    write_file(folder / MANIFEST, (manifest.model_dump_json(indent=2) + "\n").encode())


def program_bytes(size: int) -> bytes:
    """A program of that many bytes. The shell does not read what stands behind the program that it becomes."""
    code = (HERE / "stand_in_server.py").read_text()
    head = f'#!/bin/sh\nexec /usr/bin/python3 -IS -c {shlex.quote(code)} "$@"\n'.encode()
    return head + random.Random(size).randbytes(size - len(head))
