"""A model that cannot be had is one clear line, and what was there before stays."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from filelock import FileLock

from deploy.errors import BoardllamaError
from deploy.models.file_turn import take_turn
from deploy.models.hub import fetch, transfer
from deploy.models.hub.fetch import fetch_hub_model
from deploy.models.hub.hub_model import HubModel
from tests.hub_case import CONTENT, failure, hub_environment, silent
from tests.hub_server import REVISION, Fault, HubServer


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    with hub_environment(monkeypatch, tmp_path) as server:
        yield server


@pytest.fixture
def model(hub: HubServer) -> HubModel:
    return hub.publish("owner/name", "sub/tiny.gguf", CONTENT)


def test_wrong_bytes_are_deleted_and_replace_nothing(hub: HubServer, model: HubModel) -> None:
    model.path.parent.mkdir(parents=True)
    model.path.write_bytes(b"the old one")
    hub.fault = Fault.WRONG_BYTES
    message = failure(model)
    assert f"expected {model.sha256}" in message
    assert "has the sha256 " in message
    assert not model.part.exists()
    assert model.path.read_bytes() == b"the old one"


@pytest.mark.parametrize(
    ("fault", "words", "gets"),
    [
        (Fault.SHORT_FILE, "has 1000 bytes, the pin 307204: truncated", 0),
        (Fault.SHORT_BODY, "5 tries brought nothing", 5),
        (Fault.LONG_BODY, "sends more than the pinned 307204 bytes", 1),
        (Fault.HTML, "is not a GGUF model: it begins with b'<!DOCTYPE html>", 1),
        (Fault.LOGIN_PAGE, "answers, but not as a hub", 0),
        (Fault.WRONG_ETAG, "nothing loaded, check the pin", 0),
        (Fault.GATED, "(403): accept its licence on its page and set HF_TOKEN", 0),
        (Fault.BUSY, "answers 503", 0),
    ],
)
def test_a_hub_that_gives_something_else_is_refused_in_one_line(
    hub: HubServer, model: HubModel, fault: Fault, words: str, gets: int
) -> None:
    hub.fault, hub.after = fault, 1000
    assert words in failure(model)
    assert hub.count("GET") == gets
    assert not model.path.exists()
    assert hub.sent() < 32 << 20  # an endless answer is left, not swallowed


@pytest.mark.parametrize(
    ("repo", "file", "revision", "words"),
    [
        ("owner/other", "sub/tiny.gguf", REVISION, "has no repository owner/other"),
        ("owner/name", "sub/tiny.gguf", "f" * 40, "but no revision ffff"),
        ("owner/name", "sub/other.gguf", REVISION, "but no file sub/other.gguf"),
    ],
)
def test_what_is_missing_is_named(model: HubModel, repo: str, file: str, revision: str, words: str) -> None:
    assert words in failure(HubModel(repo, file, revision, model.sha256, model.size))


def test_a_token_set_after_import_is_used(hub: HubServer, model: HubModel, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "hf_secret"
    assert "(401): accept its licence on its page and set HF_TOKEN" in failure(model)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch_hub_model(model, silent)
    assert {request.authorization for request in hub.requests[-2:]} == {"Bearer hf_secret"}


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "127.0.0.1", "http://[bad"])
def test_no_hub_is_told_at_once(model: HubModel, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    began = time.monotonic()
    assert f"{endpoint} cannot be reached" in failure(model)
    assert time.monotonic() - began < 10


def test_a_hub_that_never_answers_has_a_deadline(
    hub: HubServer, model: HubModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "ANSWER_WITHIN", 0.2)
    hub.fault = Fault.SILENT
    assert "cannot be reached (no answer within 0 s)" in failure(model)


def test_too_little_space_is_found_before_anything_is_asked(hub: HubServer, model: HubModel) -> None:
    huge = HubModel(model.repo, model.file, model.revision, model.sha256, 10**18)
    assert "needs 1000000000000 MB" in failure(huge)
    assert f"are free in {huge.path.parent}" in failure(huge)
    assert hub.requests == []


def test_a_disk_that_fills_up_on_the_way_is_one_line(hub: HubServer, model: HubModel) -> None:
    model.part.parent.mkdir(parents=True)
    model.part.symlink_to("/dev/full")  # the kernel's own "No space left on device"
    assert "no space for sub/tiny.gguf" in failure(model)
    assert not model.path.exists()


def test_a_cache_that_is_no_folder_is_one_line(
    model: HubModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path / "file"))
    assert "set BOARDLLAMA_CACHE" in failure(model)


def test_a_run_that_stands_still_is_not_waited_for_forever(tmp_path: Path) -> None:
    lock, said = tmp_path / "lock", list[str]()
    with (
        FileLock(lock),
        pytest.raises(BoardllamaError, match="stands still: end it, run again"),
        take_turn(lock, tmp_path / "part", said.append, seconds=0.1),
    ):
        raise AssertionError("two have the turn")
    assert said == [f"{tmp_path}: another run is at work here, waiting for it"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("repo", "name"),
        ("repo", "../name"),
        ("repo", "owner/na--me"),
        ("repo", "owner/na..me"),
        ("repo", "owner/name.git"),
        ("repo", "owner./name"),
        ("repo", "owner/name-"),
        ("file", "a:b.gguf"),
        ("file", "sub/C:x.gguf"),
        ("file", "../x.gguf"),
        ("file", "sub/../x.gguf"),
        ("file", "/x.gguf"),
        ("file", "-x.gguf"),
        ("file", "x\n.gguf"),
        ("file", "x.bin"),
        ("revision", "main"),
        ("sha256", "A" * 64),
        ("size", 0),
        ("size", True),
        ("size", "669 MB"),
    ],
)
def test_a_pin_that_pins_nothing_is_refused_by_name(field: str, value: Any) -> None:
    good: dict[str, Any] = {"repo": "o/n", "file": "a b;'.gguf", "revision": REVISION, "sha256": "a" * 64, "size": 1}
    with pytest.raises(BoardllamaError, match=f"^model {field} .* is not valid: it must be ") as caught:
        HubModel(**(good | {field: value}))
    assert "\n" not in str(caught.value)


def test_a_hub_that_falls_silent_is_given_up_and_the_part_kept(
    hub: HubServer, model: HubModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT", httpx2.Timeout(0.2))
    monkeypatch.setattr(transfer, "TRIES", 1)
    hub.fault, hub.after = Fault.STALL, 100_000
    assert "run again to go on from there" in failure(model)
    assert model.part.stat().st_size == 100_000


def test_a_hub_that_sends_us_round_in_circles_is_left(hub: HubServer, model: HubModel) -> None:
    hub.fault = Fault.REDIRECT_LOOP
    assert "redirect" in failure(model).lower()
    assert hub.count("HEAD") < 50


def test_a_byte_a_second_is_what_it_looks_like(hub: HubServer, model: HubModel) -> None:
    """The fault itself: the client may wait for a hub that is alive, an operator need not."""
    hub.fault = Fault.TRICKLE
    began = time.monotonic()
    with httpx2.stream("GET", f"{hub.url}/owner/name/resolve/{REVISION}/sub/tiny.gguf") as response:
        arriving = response.iter_raw()
        assert next(arriving) + next(arriving) == CONTENT[:2]
    assert 0.9 < time.monotonic() - began < 20
