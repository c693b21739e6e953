"""What the builder makes of servers that want a login or a rest, or are none: used, waited for, named, never shown."""

import email.utils
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.build import fetch
from deploy.errors import LOGIN
from tests.answers import Answer, Request, answering

BODY = b"an archive"
NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that would have been slept."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    return slept


def get(folder: Path, url: str) -> int:
    source = {"kind": "pypi", "project": "llama-cpp-python", "url": url, "sha256": hashlib.sha256(BODY).hexdigest()}
    (folder / "source.json").write_text(json.dumps(source))
    return fetch.main([str(folder / "source.json"), str(folder / "archive")])


def refuse_at_first(*answers: Answer) -> Iterator[Answer]:
    yield from answers
    while True:
        yield Answer(body=BODY)


def test_what_is_a_login_is_what_the_controller_takes_for_it() -> None:
    assert fetch.LOGIN.pattern == LOGIN.pattern


@pytest.mark.parametrize("password", ["secret", "p@secret", "p/secret", "secret?x", "p@/secret"])
def test_a_login_is_used_and_never_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], password: str) -> None:
    def only_with_login(request: Request) -> Answer:
        return Answer(403 if request.authorization else 401)

    with answering(only_with_login) as server:
        assert get(tmp_path, server.url.replace("//", f"//user:{password}@") + "/x.tar.gz") == 1
        said = capsys.readouterr().err
        assert f"{server.url}/x.tar.gz: HTTP 403" in said
    assert "secret" not in said


@pytest.mark.parametrize("password", ["p@secret", "p/secret"])
def test_the_login_of_an_index_is_never_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"http://user:{password}@127.0.0.1:9/simple")
    assert get(tmp_path, "http://127.0.0.1:9/x.tar.gz") == 1
    said = capsys.readouterr().err
    assert "http://127.0.0.1:9/simple/llama-cpp-python/" in said and "secret" not in said


@pytest.mark.parametrize("index", [False, True])
def test_what_is_no_web_server_is_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, index: bool
) -> None:
    with speaking(b"SSH-2.0-OpenSSH_9.2\r\n") as url:
        if index:
            monkeypatch.setenv("PIP_INDEX_URL", url)
        assert get(tmp_path, f"{url}/x.tar.gz") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "what answers is no web server" in said


@contextmanager
def speaking(words: bytes) -> Iterator[str]:
    """The address of a server that greets everyone with these words, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.recv(4096)
                    client.sendall(words)

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize(
    ("status", "headers", "rest"),
    [
        (429, {"Retry-After": "7"}, 7),
        (503, {"Retry-After": "7"}, 7),
        (429, {"Retry-After": "0"}, 1),
        (429, {}, 30),
        (429, {"Retry-After": "soon"}, 30),
        (429, {"Retry-After": email.utils.formatdate(NOW + 9), "Date": email.utils.formatdate(NOW)}, 9),
    ],
)
def test_a_server_gets_the_rest_that_it_asks_for(
    tmp_path: Path, naps: list[float], status: int, headers: dict[str, str], rest: float
) -> None:
    answers = refuse_at_first(Answer(status, headers))
    with answering(lambda _request: next(answers)) as server:
        assert get(tmp_path, f"{server.url}/x.tar.gz") == 0
    assert naps == [rest]


def test_a_rest_that_is_too_long_is_left_to_the_user(
    tmp_path: Path, naps: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(lambda _request: Answer(429, {"Retry-After": "200"})) as server:
        assert get(tmp_path, f"{server.url}/x.tar.gz") == 1
    assert "HTTP 429 Too Many Requests; it wants 200 s of rest: run again then" in capsys.readouterr().err
    assert naps == [200]


def test_a_server_that_is_out_of_order_is_not_waited_for(
    tmp_path: Path, naps: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(lambda _request: Answer(503)) as server:
        assert get(tmp_path, f"{server.url}/x.tar.gz") == 1
    assert "HTTP 503" in capsys.readouterr().err
    assert naps == []
