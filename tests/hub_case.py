"""What the tests of hub.py share: one small model on a loopback hub, an empty cache, no user settings."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

from deploy.errors import BoardllamaError
from deploy.models.hub import patience
from deploy.models.hub.client import AUTHORITIES
from deploy.models.hub.fetch import fetch_hub_model
from deploy.models.hub.hub_model import HubModel
from tests.answers import Answer, Answering, Request, answering
from tests.hub_server import HubServer

Script = Callable[[Request], Answer]

naps: list[float] = []  # seconds that the client would have slept
CONTENT = b"GGUF" + bytes(range(256)) * 1200  # 300 KB: several blocks on the wire


@contextmanager
def hub_environment(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[HubServer]:
    """A running hub that HF_ENDPOINT names, a cache below folder, no user token, waits shortened, no authority trusted.

    A client that trusts the system's authorities reads hundreds of certificates, which plain HTTP has no use for.
    """
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(folder / "cache"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    for name in AUTHORITIES:
        monkeypatch.delenv(name, raising=False)
    (folder / "authorities").mkdir()
    monkeypatch.setenv("CURL_CA_BUNDLE", str(folder / "authorities"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "library"))
    monkeypatch.setattr(patience, "sleep", naps.append)
    naps.clear()
    close_session()
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@contextmanager
def scripted_hub(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Callable[[Script], Answering]]:
    """The same, where a function starts hubs (or proxies) that answer as a script says; HF_ENDPOINT names the last."""
    with hub_environment(monkeypatch, folder), ExitStack() as servers:

        def start(script: Script) -> Answering:
            server = servers.enter_context(answering(script))
            monkeypatch.setenv("HF_ENDPOINT", server.url)
            return server

        yield start


def silent(line: str) -> None:
    """No progress on the test's stderr."""


def failure(model: HubModel) -> str:
    """The one line with which fetching fails."""
    with pytest.raises(BoardllamaError) as caught:
        fetch_hub_model(model, silent)
    assert "\n" not in str(caught.value)
    return str(caught.value)
