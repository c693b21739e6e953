"""The packages of a channel, by dpkg-deb: the same content gives the same bytes, on any controller.

A release and a build have packages of their own, named by their content: an upgrade would remove the files of the
release that runs. A package's files lie where a deploy puts them, and its postinst only asks the board's own gate.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.controller.files import sync
from deploy.controller.programs import program_output
from deploy.debian.workspace import SOURCE_DATE_EPOCH
from deploy.hosts.offer import Offer
from deploy.hosts.store import BigFile
from deploy.onboard.channel.offered import (
    BUILD,
    BUILD_PACKAGE,
    CREATED,
    KIND,
    MODELS,
    PROGRAM,
    RELEASE,
    RELEASE_PACKAGE,
    package_word,
)

ARCHITECTURE = "arm64"
# Seconds. xz takes 25 for a build of 60 MB on a slow controller.
DEADLINE = 600.0
POSTINST = """#!/bin/sh
set -e
test "$1" = configure || exit 0
# What the release of that id is worth the gate decides, in a unit of its own. What was edited here goes along.
exec "$DPKG_ROOT{program}" switch --keep-edits {release}
"""


@dataclass(frozen=True)
class Deb:
    """`fields`: of its control file. `texts`, `links`: content and target by path. `files`: of the controller."""

    fields: Mapping[str, str]
    epoch: int
    texts: Mapping[str, bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    files: tuple[BigFile, ...] = ()
    postinst: str = ""

    @property
    def file_name(self) -> str:
        """Its name in a pool."""
        return f"{self.fields['Package']}_{self.fields['Version']}_{self.fields['Architecture']}.deb"

    def write(self, folder: Path) -> None:
        """Makes the package in the folder; it gets its name when it is whole. Raises BoardllamaError, OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".deb-") as place:
            tree, made = Path(place) / "tree", Path(place) / self.file_name
            self.lay_out(tree)
            told = os.environ | {"SOURCE_DATE_EPOCH": str(self.epoch), "DPKG_DEB_THREADS_MAX": "1"}
            words = ["--root-owner-group", "-Zxz", "--build", str(tree), str(made)]
            program_output("dpkg-deb", *words, env=told, deadline=DEADLINE, package="dpkg")
            sync(made)
            made.chmod(0o644)
            made.rename(folder / made.name)
        sync(folder)

    def lay_out(self, tree: Path) -> None:
        """Writes what dpkg-deb packs."""
        put_text(tree / "DEBIAN/control", "".join(f"{name}: {value}\n" for name, value in self.fields.items()).encode())
        if self.postinst:
            put_text(tree / "DEBIAN/postinst", self.postinst.encode(), 0o755)
        for path, text in self.texts.items():
            put_text(tree / path.lstrip("/"), text, 0o755 if Path(path).name == PROGRAM else 0o644)
        for path, target in self.links.items():
            (tree / path.lstrip("/")).symlink_to(target)
        for file in self.files:
            place = tree / file.dest.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.source, place)
            place.chmod(int(file.mode, 8))
        for folder in [tree, *tree.rglob("*")]:
            if folder.is_dir() and not folder.is_symlink():
                folder.chmod(0o755)


def put_text(path: Path, text: bytes, mode: int = 0o644) -> None:
    """Writes a file of a package, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    path.chmod(mode)


def build_deb(offer: Offer) -> Deb:
    """The package with the programs of a build."""
    build = offer.release.contents.build
    about = f"llama.cpp for boards, {build.name}, {build.build_info}"
    fields = control_fields(BUILD_PACKAGE + package_word(build.name), "1", ARCHITECTURE, about)
    return Deb(fields, int(SOURCE_DATE_EPOCH), files=offer.programs)


def release_deb(offer: Offer, created: str) -> Deb:
    """The package with a release for boards of a kind. `created`: as in the release's manifest."""
    release, time = offer.release, datetime.fromisoformat(created)
    name = f"{RELEASE_PACKAGE}{package_word(offer.kind)}-{release.id}"
    models = "".join(f"\n {file.sha256} {file.size} {file.dest}" for file in offer.models)
    fields = control_fields(name, f"{time:%Y%m%d.%H%M%S}", "all", f"release {release.id} for {offer.kind}") | {
        RELEASE: release.id,
        KIND: offer.kind,
        CREATED: created,
        BUILD: build_deb(offer).fields["Package"],
        MODELS: models,
    }
    return Deb(
        fields,
        int(time.timestamp()),
        texts={f"{release.folder}/{path}": text for path, text in release.file_contents(created).items()},
        links={f"{release.folder}/{path}": target for path, target in release.link_targets().items()},
        postinst=POSTINST.format(program=release.program, release=release.id),
    )


def control_fields(package: str, version: str, architecture: str, about: str) -> dict[str, str]:
    """The fields that every package has."""
    return {
        "Package": package,
        "Version": version,
        "Architecture": architecture,
        "Maintainer": "boardllama <root@localhost>",
        "Section": "misc",
        "Priority": "optional",
        "Description": about,
    }
