"""Runs on the builder with nothing but Python's standard library: brings one pinned source and unpacks it.

    python3 fetch.py SOURCE.json ARCHIVE DESTINATION

SOURCE.json says what (deploy/source.py writes it), ARCHIVE keeps the download, DESTINATION becomes the llama.cpp tree.
Nothing is unpacked before the pin is proven; DESTINATION appears whole, by rename. Errors are one line, exit status 1.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path, PurePosixPath

STALL_SECONDS = 60
CHUNK = 1 << 20
SIMPLE_API = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"


class FetchError(Exception):
    """One line: what was seen, which rule, what to do."""


def request(url: str, accept: str = "*/*", start: int = 0) -> urllib.request.Request:
    """A GET for url; user:password@ inside it, as private package indexes have it, becomes a header."""
    parts = urllib.parse.urlsplit(url)
    headers = {"Accept": accept, "User-Agent": "boardllama"}
    if start:
        headers["Range"] = f"bytes={start}-"
    if parts.username:
        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return urllib.request.Request(urllib.parse.urlunsplit(parts), headers=headers)


def shown(url: str) -> str:
    """The URL without a password, for messages."""
    return re.sub(r"//[^/@]*@", "//", url)


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def url_in_index(index: str, project: str, file: str) -> str:
    """Where the user's package index keeps that file (simple API: JSON, or HTML from older indexes)."""
    page = f"{index.rstrip('/')}/{project}/"
    try:
        with urllib.request.urlopen(request(page, SIMPLE_API), timeout=STALL_SECONDS) as answer:
            text, base = answer.read().decode("utf-8", "replace"), answer.geturl()
    except (OSError, ValueError) as error:
        raise FetchError(f"{shown(page)}: {error}; PIP_INDEX_URL must be a package index within reach") from error
    quoted = re.escape(urllib.parse.quote(file))
    found = re.search(rf'(?:"url"\s*:\s*|href\s*=\s*)"([^"]*/{quoted}(?:#[^"]*)?)"', text)
    if not found:
        raise FetchError(f"{shown(page)} does not list {file}; unset PIP_INDEX_URL to take it from its pinned address")
    url = urllib.parse.urljoin(base, found.group(1)).partition("#")[0]
    return with_login(url, index)


def with_login(url: str, index: str) -> str:
    """A file on the index's own host needs the index's own login."""
    login, _, host = urllib.parse.urlsplit(index).netloc.rpartition("@")
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=f"{login}@{host}")) if login and parts.netloc == host else url


def receive(url: str, partial: Path) -> None:
    """Appends to the partial file from where it ends; starts over when the server cannot continue."""
    start = partial.stat().st_size if partial.exists() else 0
    with urllib.request.urlopen(request(url, start=start), timeout=STALL_SECONDS) as answer:
        whole = int(answer.headers.get("Content-Length") or 0)
        with partial.open("ab" if answer.status == 206 else "wb") as file:
            begun = file.tell()
            shutil.copyfileobj(answer, file, CHUNK)
            if whole and file.tell() - begun != whole:
                raise OSError(f"ended after {file.tell() - begun} of {whole} bytes")
            file.flush()
            os.fsync(file.fileno())


def download(url: str, archive: Path, wanted: str) -> None:
    """The file at url, proven by its sha256; three tries, each resumes; a file with another hash is deleted."""
    partial = archive.with_name(archive.name + ".part")
    for last in (False, False, True):
        try:
            receive(url, partial)
            break
        except urllib.error.HTTPError as error:
            if error.code == 416:  # the partial file is already as long as the real one, or longer
                break
            raise FetchError(f"{shown(url)}: HTTP {error.code} {error.reason}") from error
        except (OSError, ValueError) as error:
            if last:
                raise FetchError(f"{shown(url)}: {error}; run again to continue") from error
            time.sleep(2)
    seen = sha256(partial)
    if seen != wanted:
        partial.unlink()
        raise FetchError(f"sha256 is {seen}, pinned is {wanted}; nothing was unpacked, and deleted: {shown(url)}")
    partial.rename(archive)


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = (done.stderr.strip() or "no message").splitlines()[-1]
        raise FetchError(f"git {words[-1]}: {said}")
    return done.stdout.strip()


def fetch_git(url: str, commit: str, archive: Path) -> None:
    """A tar of exactly that commit; git's own hashes are the proof. The clone beside it keeps what has been fetched."""
    if not shutil.which("git"):
        raise FetchError("git is not installed on the builder; llama_source='git' needs it: apt-get install git")
    clone = archive.with_name(archive.name + ".git")
    git("init", "--quiet", "--bare", str(clone))
    at = ("--git-dir", str(clone))
    try:
        git(*at, "fetch", "--quiet", "--depth", "1", url, commit)
    except FetchError:  # servers may refuse to serve a bare commit: take every branch and tag instead
        git(*at, "fetch", "--quiet", url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    if git(*at, "rev-parse", f"{commit}^{{commit}}") != commit:
        raise FetchError(f"{shown(url)} has no commit {commit}")
    partial = archive.with_name(archive.name + ".part")
    git(*at, "archive", "--format=tar", f"--output={partial}", commit)
    partial.rename(archive)


def obtain(source: dict[str, str], archive: Path) -> None:
    """The archive of that source, from wherever it comes; no-op when it is there already."""
    if archive.exists():
        return
    archive.parent.mkdir(parents=True, exist_ok=True)
    if source["kind"] == "git":
        fetch_git(source["url"], source["commit"], archive)
        return
    url = source["url"]
    index = os.environ.get("PIP_INDEX_URL") if source["kind"] == "pypi" else None
    if index:
        url = url_in_index(index, source["project"], PurePosixPath(urllib.parse.urlsplit(url).path).name)
    download(url, archive, source["sha256"])


def root_in(names: list[str]) -> str:
    """The folder of the archive that holds llama.cpp: the shortest one with both ggml and tools/server in it."""
    mark = "ggml/CMakeLists.txt"
    known = set(names)
    roots = [name[: -len(mark)] for name in names if name == mark or name.endswith("/" + mark)]
    roots = [root for root in roots if f"{root}tools/server/CMakeLists.txt" in known]
    if not roots:
        raise FetchError("the archive holds no llama.cpp: no folder with ggml/CMakeLists.txt and tools/server in it")
    return min(roots, key=len)


def unpack(archive: Path, destination: Path) -> None:
    """The llama.cpp tree inside the archive becomes destination: written aside, then renamed."""
    aside = destination.with_name(f"{destination.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with tarfile.open(archive) as tar:
            names = {os.path.normpath(member.name): member for member in tar}
            root = root_in(list(names))
            for name, member in names.items():
                # .git would let CMake take the version of whatever repository is around it
                if name.startswith(root) and name != f"{root}.git" and not name.startswith(f"{root}.git/"):
                    write_member(tar, member, aside, name[len(root) :])
    except (tarfile.TarError, EOFError, OSError) as error:
        raise FetchError(f"{archive}: {error}; it must be a .tar, .tar.gz, .tar.bz2 or .tar.xz archive") from error
    aside.rename(destination)


def write_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, name: str) -> None:
    """Plain files and links that stay inside; a hostile archive cannot write elsewhere."""
    target = folder / name
    if ".." in PurePosixPath(name).parts or not target.resolve().is_relative_to(folder.resolve()):
        raise FetchError(f"the archive has a member outside of its folder: {member.name}")
    if member.issym():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(member.linkname)
    elif member.isfile() or member.islnk():
        target.parent.mkdir(parents=True, exist_ok=True)
        content = tar.extractfile(member)
        if content is not None:
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)


def main(arguments: list[str]) -> int:
    source, archive, destination = arguments
    try:
        obtain(json.loads(Path(source).read_text()), Path(archive))
        unpack(Path(archive), Path(destination))
    except FetchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
