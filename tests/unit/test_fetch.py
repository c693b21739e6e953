"""What the builder runs to get the source: proven before it is unpacked, resumed after a cut, unpacked whole or not."""

import hashlib
import io
import json
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy import errors
from deploy.build import fetch, unpack

LLAMA = {"ggml/CMakeLists.txt": b"project(ggml)\n", "tools/server/CMakeLists.txt": b"", ".git": b"gitdir: elsewhere\n"}
NAME = "llama_cpp_python-0.3.36.tar.gz"


def archive(members: dict[str, bytes], prefix: str = "llama_cpp_python-0.3.36/vendor/llama.cpp/") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, body in members.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return buffer.getvalue()


class Files(ThreadingHTTPServer):
    """A loopback server of fixed answers that remembers what it was asked; cuts the first `cuts` answers in half."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.bodies: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.cuts = 0
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Answer(BaseHTTPRequestHandler):
    server: Files

    def do_GET(self) -> None:
        span = self.headers.get("Range", "")
        self.server.asked.append((self.path, span, self.headers.get("Authorization", "")))
        if self.path not in self.server.bodies:
            self.send_error(404)
            return
        body = self.server.bodies[self.path]
        start = int(span.removeprefix("bytes=").removesuffix("-") or 0)
        self.send_response(206 if span else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        stop = len(body) // 2 if self.server.cuts else len(body)
        self.server.cuts = max(0, self.server.cuts - 1)
        self.wfile.write(body[start:stop])

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def files() -> Iterator[Files]:
    with Files() as server:
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def in_no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


def run(tmp_path: Path, source: dict[str, str]) -> int:
    """Fetches and unpacks, as recipe.sh does."""
    (tmp_path / "source.json").write_text(json.dumps(source))
    kept = str(tmp_path / "get" / "archive")
    return fetch.main([str(tmp_path / "source.json"), kept]) or unpack.main([kept, str(tmp_path / "src")])


def pypi(files: Files, body: bytes) -> dict[str, str]:
    files.bodies[f"/{NAME}"] = body
    digest = hashlib.sha256(body).hexdigest()
    return {"kind": "pypi", "project": "llama-cpp-python", "url": files.url(f"/{NAME}"), "sha256": digest}


def test_the_llama_tree_is_found_inside_the_source_distribution(tmp_path: Path, files: Files) -> None:
    assert run(tmp_path, pypi(files, archive(LLAMA))) == 0
    assert (tmp_path / "src" / "ggml" / "CMakeLists.txt").read_bytes() == LLAMA["ggml/CMakeLists.txt"]
    assert not (tmp_path / "src" / ".git").exists(), "CMake would take the version of the repository around it"


def test_with_a_wrong_hash_nothing_is_unpacked_and_nothing_is_kept(
    tmp_path: Path, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, pypi(files, archive(LLAMA)) | {"sha256": "0" * 64}) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "pinned is 0000" in said
    assert not (tmp_path / "src").exists()
    assert list((tmp_path / "get").iterdir()) == []


def test_a_download_that_was_cut_goes_on_where_it_stopped(tmp_path: Path, files: Files) -> None:
    body = archive({**LLAMA, "filler": bytes(range(256)) * 64})
    source = pypi(files, body)
    files.cuts = 1
    assert run(tmp_path, source) == 0
    assert [span for _, span, _ in files.asked] == ["", f"bytes={len(body) // 2}-"]


def test_a_server_that_always_cuts_ends_in_one_line_and_the_next_run_goes_on(
    tmp_path: Path, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    source = pypi(files, archive(LLAMA))
    files.cuts = 3
    assert run(tmp_path, source) == 1
    assert "run again to continue" in capsys.readouterr().err
    assert run(tmp_path, source) == 0


def test_a_second_fetch_asks_nobody(tmp_path: Path, files: Files) -> None:
    source = pypi(files, archive(LLAMA))
    run(tmp_path, source)
    (tmp_path / "src").rename(tmp_path / "gone")
    assert run(tmp_path, source) == 0
    assert len(files.asked) == 1


@pytest.mark.parametrize("page", ["json", "html"])
def test_the_users_package_index_is_asked_for_the_file(
    tmp_path: Path, files: Files, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pypi(files, archive(LLAMA))
    files.bodies[f"/mirror/{NAME}"] = files.bodies.pop(f"/{NAME}")
    listing = {
        "json": json.dumps({"files": [{"filename": NAME, "url": files.url(f"/mirror/{NAME}")}]}),
        "html": f'<a href="../../mirror/{NAME}#sha256=00">{NAME}</a>',
    }
    files.bodies["/simple/llama-cpp-python/"] = listing[page].encode()
    login = files.url("/simple").replace("//", "//user:p%40ss@")
    monkeypatch.setenv("PIP_INDEX_URL", login)
    assert run(tmp_path, source) == 0
    assert [path for path, _, _ in files.asked] == ["/simple/llama-cpp-python/", f"/mirror/{NAME}"]
    assert {word for _, _, word in files.asked} == {"Basic dXNlcjpwQHNz"}


def test_an_index_without_the_file_is_named_and_its_password_is_not_shown(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = pypi(files, archive(LLAMA))
    monkeypatch.setenv("PIP_INDEX_URL", files.url("/simple").replace("//", "//user:secret@"))
    assert run(tmp_path, source) == 1
    said = capsys.readouterr().err
    assert "/simple/llama-cpp-python/" in said
    assert "secret" not in said


def test_an_archive_that_is_not_llama_is_refused(
    tmp_path: Path, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, pypi(files, archive({"README": b"hello"}))) == 1
    assert "holds no llama.cpp" in capsys.readouterr().err
    assert not (tmp_path / "src").exists()


def test_a_hostile_archive_writes_nothing_outside_of_its_folder(tmp_path: Path, files: Files) -> None:
    assert run(tmp_path, pypi(files, archive({**LLAMA, "link/../../../../evil": b"x"}))) == 0
    assert not list(tmp_path.rglob("evil"))


def test_404_is_one_line(tmp_path: Path, files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    source = pypi(files, archive(LLAMA))
    files.bodies.clear()
    assert run(tmp_path, source) == 1
    assert "HTTP 404" in capsys.readouterr().err


def test_git_brings_exactly_the_pinned_commit(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    for name, body in LLAMA.items():
        if name != ".git":
            (repository / name).parent.mkdir(parents=True, exist_ok=True)
            (repository / name).write_bytes(body)

    def git(*words: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(
            ["git", *identity, "-C", str(repository), *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "one")
    commit = git("rev-parse", "HEAD")
    (repository / "ggml" / "CMakeLists.txt").write_text("project(later)\n")
    git("commit", "--quiet", "-am", "two")
    assert run(tmp_path, {"kind": "git", "url": str(repository), "commit": commit}) == 0
    assert (tmp_path / "src" / "ggml" / "CMakeLists.txt").read_bytes() == LLAMA["ggml/CMakeLists.txt"]


def test_a_commit_that_the_repository_does_not_have_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "empty")], check=True)
    assert run(tmp_path, {"kind": "git", "url": str(tmp_path / "empty"), "commit": "1" * 40}) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_login_is_told_from_an_address_on_the_builder_as_on_the_controller() -> None:
    """fetch.py has the pattern once more, since it runs alone on a builder."""
    assert fetch.LOGIN.pattern == errors.LOGIN.pattern
