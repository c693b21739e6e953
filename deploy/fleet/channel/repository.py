"""The folder of a channel, as apt reads it: a pool, an index by its hash, and InRelease, which names the index.

Who reads it while it is written sees what was there, or all that is new: every file is written aside and renamed,
files that others name come first, InRelease comes last, and what an InRelease before it named stays.

    InRelease's own folder    dists/stable
    the index                 dists/stable/main/binary-arm64/Packages, and by-hash/SHA256/…
    packages                  pool
    models                    models/<sha256>
"""

import hashlib
import lzma
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.controller import openpgp
from deploy.controller.files import sha256_of, sync
from deploy.controller.programs import program_output
from deploy.errors import BoardllamaError
from deploy.fleet.channel.debs import Deb
from deploy.hosts.store import BigFile
from deploy.onboard.channel.offered import MODELS, SHARE, package_records
from deploy.onboard.files import write_file

SUITE = "stable"
DIST = Path("dists") / SUITE
INDEX = Path("main/binary-arm64")
BY_HASH = DIST / INDEX / "by-hash/SHA256"
IN_RELEASE = DIST / "InRelease"
KEY = Path("boardllama.asc")
# How a file begins that is compressed by xz.
XZ = b"\xfd7zXZ\0"
# A board that was told of an index by an InRelease may ask for it after the next ones came.
INDEXES_KEPT = 6
# Seconds, of hashing all packages.
DEADLINE = 600.0


def add_packages(folder: Path, debs: Iterable[Deb]) -> None:
    """Makes the packages that are not in the pool. Raises BoardllamaError, OSError."""
    for deb in debs:
        if not (folder / "pool" / deb.file_name).exists():
            deb.write(folder / "pool")


def add_models(folder: Path, models: Iterable[BigFile]) -> None:
    """Copies the models that are not there. Raises BoardllamaError for one that is not what its name says; OSError."""
    for file in models:
        place = folder / "models" / file.sha256
        if not place.exists() or place.stat().st_size != file.size:
            place.parent.mkdir(parents=True, exist_ok=True)
            copy_model(file, place)


def copy_model(file: BigFile, place: Path) -> None:
    """Copies a model, which gets its name when it is proven. Raises BoardllamaError, OSError."""
    aside = place.with_name(f".{place.name}.new")
    shutil.copyfile(file.source, aside)
    if sha256_of(aside) != file.sha256:
        aside.unlink()
        raise BoardllamaError(f"{file.source} has not the sha256 {file.sha256} any more: delete it, run again")
    aside.chmod(0o644)
    sync(aside)
    aside.replace(place)
    sync(place.parent)


def sign_index(folder: Path, shares: Mapping[str, int], days: float) -> None:
    """Indexes and signs the packages. `shares`: per cent of the boards by the file names of what is offered.

    The signature is valid for so many days. Raises BoardllamaError, OSError.
    """
    write_file(folder / KEY, openpgp.public_key().encode())
    index = index_text(folder, shares).encode()
    for name, content in {"Packages": index, "Packages.xz": lzma.compress(index)}.items():
        digest = hashlib.sha256(content).hexdigest()
        write_file(folder / BY_HASH / digest, content)
        write_file(folder / DIST / INDEX / name, content)
        os.utime(folder / BY_HASH / digest)
    earlier = int((folder / IN_RELEASE).stat().st_mtime) if (folder / IN_RELEASE).exists() else 0
    write_file(folder / IN_RELEASE, openpgp.sign_clearly(release_text(folder, days)))
    # HTTP tells times in seconds: who has asked within the same one would be told that nothing has changed since.
    dated = max(int(time.time()), earlier + 1)
    os.utime(folder / IN_RELEASE, (dated, dated))


def index_text(folder: Path, shares: Mapping[str, int]) -> str:
    """The records of the packages that are offered, by apt-ftparchive, with the shares of boards."""
    text = run_ftparchive(folder, "packages", "pool").decode()
    found = []
    for record, fields in zip(text.strip().split("\n\n"), package_records(text), strict=True):
        name = Path(fields["Filename"]).name
        if name in shares:
            found.append(f"{record}\n{SHARE}: {shares[name]}\n")
    return "\n".join(found)


def release_text(folder: Path, days: float) -> bytes:
    """What is signed: the hashes of the index, and until when they count."""
    told = {"Suite": SUITE, "Codename": SUITE, "Components": "main", "Architectures": "arm64"} | {
        "Acquire-By-Hash": "yes",
        "ValidTime": str(int(days * 86400)),
    }
    words = [word for name, value in told.items() for word in ("-o", f"APT::FTPArchive::Release::{name}={value}")]
    return run_ftparchive(folder / DIST, *words, "release", ".")


def run_ftparchive(folder: Path, *words: str) -> bytes:
    """Standard output of apt-ftparchive, started in the folder: its paths are from there. Raises BoardllamaError."""
    # apt asks for an index by the strongest hash that InRelease names: there is one, and one folder by-hash.
    others = [word for name in ("MD5", "SHA1", "SHA512") for word in ("-o", f"APT::FTPArchive::{name}=false")]
    command = ["env", "-C", str(folder), "apt-ftparchive", *others, *words]
    return program_output(*command, deadline=DEADLINE, package="apt-utils", name="apt-ftparchive")


def drop_unneeded(folder: Path, models: Iterable[str]) -> set[str]:
    """Removes old indexes, packages that no index that is left names, and models without such a package.

    Returns the names of what is needed, also of models that lie elsewhere alone.
    """
    by_age = sorted((folder / BY_HASH).iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in by_age[INDEXES_KEPT:]:
        path.unlink()
    named = {name for path in by_age[:INDEXES_KEPT] for name in named_files(path)} | {*models}
    for path in [*(folder / "pool").glob("*.deb"), *(folder / "models").glob("*")]:
        if path.name not in named:
            path.unlink()
    return named


def prove_packages(folder: Path) -> None:
    """Removes the packages that the index of the InRelease there does not name. Raises BoardllamaError, OSError.

    Whoever goes on with a channel that lay on a web server signs what is in the pool.
    """
    named = re.search(rf"^ ([0-9a-f]{{64}}) +\d+ {INDEX}/Packages$", (folder / IN_RELEASE).read_text(), re.M)
    index = folder / BY_HASH / (named[1] if named else "")
    if not index.is_file() or sha256_of(index) != index.name:
        raise BoardllamaError(f"{folder / IN_RELEASE} names an index that is not there, or not what was signed")
    wanted = {Path(one["Filename"]).name: one["SHA256"] for one in package_records(index.read_text())}
    for path in (folder / "pool").glob("*"):
        if sha256_of(path) != wanted.get(path.name):
            path.unlink()
    if lost := [name for name in wanted if not (folder / "pool" / name).exists()]:
        raise BoardllamaError(f"{lost[0]}, which the channel offers, is not there, or not what was signed")


def named_files(index: Path) -> set[str]:
    """File names of the packages, and sha256 of the models, in an index; none for the same one compressed."""
    content = index.read_bytes()
    records = [] if content.startswith(XZ) else list(package_records(content.decode(errors="replace")))
    debs = {Path(fields.get("Filename", "")).name for fields in records}
    return debs | {word for fields in records for word in fields.get(MODELS, "").split()}
