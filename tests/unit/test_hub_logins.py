"""Logins of proxies, hubs and storages are used and never shown, however they are written; proxies are named."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.models.hub.fetch import fetch_hub_model
from tests.answers import Answer, Answering
from tests.hub_case import Script, failure, scripted_hub
from tests.hub_server import REVISION
from tests.unit.test_hub_network import FILE, MODEL


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[Script], Answering]]:
    with scripted_hub(monkeypatch, tmp_path) as start:
        yield start


@pytest.mark.parametrize(("scheme", "method"), [("http", "HEAD"), ("https", "CONNECT")])
def test_a_proxy_that_wants_a_login_is_what_wants_it(
    hub: Callable[[Script], Answering], monkeypatch: pytest.MonkeyPatch, scheme: str, method: str
) -> None:
    proxy = hub(lambda _request: Answer(407, {"Proxy-Authenticate": "Basic realm=corp"}))
    through(monkeypatch, proxy.url.replace("//", "//user:secret@"), scheme)
    said = failure(MODEL)
    assert f"the proxy {proxy.url} wants a login (407): write it into HTTP_PROXY and HTTPS_PROXY" in said
    assert "secret" not in said
    assert [request.method for request in proxy.asked] == [method]


def test_a_proxy_that_lets_nobody_there_is_named(
    hub: Callable[[Script], Answering], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = hub(lambda _request: Answer(403))
    through(monkeypatch, proxy.url, "https")
    assert f"the proxy {proxy.url} refuses to connect to hub.example (403 Forbidden)" in failure(MODEL)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_down_is_named(
    hub: Callable[[Script], Answering], monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    hub(lambda _request: FILE)
    through(monkeypatch, "http://127.0.0.1:9", scheme)
    assert "the proxy http://127.0.0.1:9 cannot be reached" in failure(MODEL)


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("ftp://127.0.0.1:9", "ftp://127.0.0.1:9"),
        ("socks5://127.0.0.1:9", "socks5://127.0.0.1:9"),
        ("http://user:secret@x:y", "http://x:y"),
        ("http://user:p/secret@127.0.0.1:9", "http://127.0.0.1:9"),
        ("http://user:secret?x@127.0.0.1:9", "http://127.0.0.1:9"),
        ("user:p/secret@127.0.0.1:9", "127.0.0.1:9"),
    ],
)
def test_a_proxy_setting_that_is_none_is_one_line(
    hub: Callable[[Script], Answering], monkeypatch: pytest.MonkeyPatch, proxy: str, shown: str
) -> None:
    hub(lambda _request: FILE)
    through(monkeypatch, proxy, "https")
    said = failure(MODEL)
    assert f"the proxy settings cannot be used (http {shown}, https {shown}): each must be http://HOST:PORT" in said
    assert "secret" not in said


@pytest.mark.parametrize("login", ["user:secret@", "http://user:p@secret@", "http:user:secret@", "HTTP://user:secret@"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxys_login_is_never_shown(
    hub: Callable[[Script], Answering], monkeypatch: pytest.MonkeyPatch, login: str, scheme: str
) -> None:
    proxy = hub(lambda _request: Answer(407))
    through(monkeypatch, proxy.url.replace("http://", login), scheme)
    said = failure(MODEL)
    assert f"127.0.0.1:{proxy.server_port} wants a login (407)" in said and "secret" not in said


@pytest.mark.parametrize("answer", [FILE, Answer(404), Answer(403), Answer(302, {"Location": "?again"})])
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_hubs_login_is_used_and_never_shown(
    hub: Callable[[Script], Answering], monkeypatch: pytest.MonkeyPatch, answer: Answer, method: str
) -> None:
    server = hub(lambda request: answer if request.method == method else FILE)
    monkeypatch.setenv("HF_ENDPOINT", server.url.replace("//", "//user:secret@"))
    said: list[str] = []
    try:
        fetch_hub_model(MODEL, said.append)
    except BoardllamaError as error:
        said.append(str(error))
    assert said and "secret" not in " ".join(said)
    assert {request.authorization[:6] for request in server.asked} == {"Basic "}


def test_what_a_storage_signed_is_never_shown(hub: Callable[[Script], Answering]) -> None:
    sends = {"X-Repo-Commit": REVISION, "Location": "/signed?Signature=secret"}
    hub(lambda request: Answer(503) if "secret" in request.path else Answer(302, sends))
    said: list[str] = []
    with pytest.raises(BoardllamaError) as caught:
        fetch_hub_model(MODEL, said.append)
    assert "secret" not in " ".join([*said, str(caught.value)])
    assert "(it answers 503)" in said[-1] or "answers 503" in str(caught.value)


def through(monkeypatch: pytest.MonkeyPatch, proxy: str, scheme: str) -> None:
    """All requests go through the proxy, to a hub that only it would know."""
    monkeypatch.setenv("HF_ENDPOINT", f"{scheme}://hub.example")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
