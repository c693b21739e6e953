"""Runs on the builder with nothing but Python's standard library: brings one pinned source.

    python3 fetch.py SOURCE.json ARCHIVE

SOURCE.json says what (deploy/build/compile.py writes it), ARCHIVE keeps the download and appears only when its pin is
proven. Errors are one line, exit status 1.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from pathlib import Path, PurePosixPath

STALL_SECONDS = 60
REST_LIMIT = 300  # seconds to wait in all because a server asks for it
UNSAID_REST = 30  # seconds that a server gets which is asked too often and does not say how long
BUSY, UNAVAILABLE = 429, 503
CHUNK = 1 << 20
SIMPLE_API = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"


# The login of an address, as deploy/errors.py has it: all between // and the host, with / and @ in a password.
LOGIN = re.compile(r"(?<=//)(?:[^/]*@(?!/)|[^/@:\[]*:(?!\d+(?:/|$)).*@)")
UNREACHABLE = (OSError, ValueError, http.client.HTTPException)


class FetchError(Exception):
    """One line: what was seen, which rule, what to do."""


def request(url: str, accept: str = "*/*", start: int = 0) -> urllib.request.Request:
    """A GET for url; user:password@ inside it, as private package indexes have it, becomes a header."""
    headers = {"Accept": accept, "User-Agent": "boardllama"}
    if start:
        headers["Range"] = f"bytes={start}-"
    if login := LOGIN.search(url):
        user, _, password = login[0][:-1].partition(":")
        pair = f"{urllib.parse.unquote(user)}:{urllib.parse.unquote(password)}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return urllib.request.Request(shown(url), headers=headers)


def shown(text: str) -> str:
    """The text without the login of an address, for messages."""
    return LOGIN.sub("", text)


def reason(error: Exception) -> str:
    """One line for what went wrong on the way, without a login."""
    if isinstance(error, http.client.HTTPException):
        return f"what answers is no web server ({type(error).__name__}): check the address, a proxy or a login page"
    return shown(str(error).partition("\n")[0])


def open_url(url: str, accept: str = "*/*", start: int = 0) -> http.client.HTTPResponse:
    """The answer to a GET. A server that asks for a rest gets it. Raises what urllib.request.urlopen does."""
    asked, left = request(url, accept, start), float(REST_LIMIT)
    while True:
        try:
            answer: http.client.HTTPResponse = urllib.request.urlopen(asked, timeout=STALL_SECONDS)
            return answer
        except urllib.error.HTTPError as error:
            rest = asked_rest(error.code, error.headers)
            if not 0 < rest <= left:
                raise
        left -= rest
        time.sleep(rest)


def asked_rest(status: int, headers: Message) -> float:
    """Seconds that an answer asks to wait, by Retry-After (a number or a date), at least 1; 0 when it is final."""
    value = headers.get("Retry-After", "").strip()
    if status not in (BUSY, UNAVAILABLE) or (status == UNAVAILABLE and not value):
        return 0
    if value.isdecimal():
        return max(1.0, float(value))
    try:
        now = headers.get("Date") or email.utils.formatdate(usegmt=True)
        span = email.utils.parsedate_to_datetime(value) - email.utils.parsedate_to_datetime(now)
    except (TypeError, ValueError, OverflowError):
        return UNSAID_REST
    return max(1.0, span.total_seconds())


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
        with open_url(page, SIMPLE_API) as answer:
            text, base = answer.read().decode("utf-8", "replace"), answer.geturl()
    except UNREACHABLE as error:
        rule = "PIP_INDEX_URL must be a package index within reach"
        raise FetchError(f"{shown(page)}: {reason(error)}; {rule}") from error
    quoted = re.escape(urllib.parse.quote(file))
    found = re.search(rf'(?:"url"\s*:\s*|href\s*=\s*)"([^"]*/{quoted}(?:#[^"]*)?)"', text)
    if not found:
        raise FetchError(f"{shown(page)} does not list {file}; unset PIP_INDEX_URL to take it from its pinned address")
    url = urllib.parse.urljoin(base, found.group(1)).partition("#")[0]
    return with_login(url, index)


def with_login(url: str, index: str) -> str:
    """A file on the index's own host needs the index's own login."""
    login = LOGIN.search(index)
    host = urllib.parse.urlsplit(shown(index)).netloc
    return url.replace("//", f"//{login[0]}", 1) if login and urllib.parse.urlsplit(url).netloc == host else url


def receive(url: str, partial: Path) -> None:
    """Appends to the partial file from where it ends; starts over when the server cannot continue."""
    start = partial.stat().st_size if partial.exists() else 0
    with open_url(url, start=start) as answer:
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
            rest = asked_rest(error.code, error.headers)
            later = f"; it wants {rest:.0f} s of rest: run again then" if rest else ""
            raise FetchError(f"{shown(url)}: HTTP {error.code} {error.reason}{later}") from error
        except UNREACHABLE as error:
            if last:
                raise FetchError(f"{shown(url)}: {reason(error)}; run again to continue") from error
            time.sleep(2)
    seen = sha256(partial)
    if seen != wanted:
        partial.unlink()
        raise FetchError(f"sha256 is {seen}, pinned is {wanted}; nothing was unpacked, and deleted: {shown(url)}")
    partial.rename(archive)


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = shown((done.stderr.strip() or "no message").splitlines()[-1])
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


def main(arguments: list[str]) -> int:
    source, archive = map(Path, arguments)
    try:
        obtain(json.loads(source.read_text()), archive)
    except (FetchError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
