"""Hubs that are busy, mirrors, storage that is blocked, proxies: each told as what it is, or waited for."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest

from deploy.models.hub import patience
from deploy.models.hub.fetch import fetch_hub_model
from deploy.models.hub.hub_model import HubModel
from tests.answers import Answer, Answering, Request, answering
from tests.hub_case import CONTENT, Script, failure, naps, scripted_hub, silent
from tests.hub_server import REVISION

MODEL = HubModel("owner/name", "tiny.gguf", REVISION, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
FILE = Answer(200, {"X-Repo-Commit": REVISION, "ETag": f'"{MODEL.sha256}"'}, CONTENT)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[Script], Answering]]:
    with scripted_hub(monkeypatch, tmp_path) as start:
        yield start


class Then:
    """Answers one after the other to requests of one method, the file to all others."""

    def __init__(self, method: str, *answers: Answer) -> None:
        self.method, self.answers = method, list(answers)

    def __call__(self, request: Request) -> Answer:
        return self.answers.pop(0) if request.method == self.method and self.answers else FILE


def later(seconds: int) -> str:
    """As a date."""
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize(
    ("headers", "slept"),
    [
        ({"Retry-After": "60"}, 60),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": later(90), "Date": later(0)}, 90),
        ({"Retry-After": later(7290), "Date": later(7200)}, 90),
        ({"RateLimit": '"resolvers";r=0;t=45'}, 45),
        ({}, patience.UNSAID),
        ({"Retry-After": "soon"}, patience.UNSAID),
        ({"Retry-After": "-5"}, patience.UNSAID),
        ({"Retry-After": "Fri, 01 Jan 99999999999999999999 00:00:00 GMT"}, patience.UNSAID),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 1),
    ],
)
def test_a_busy_hub_is_waited_for_as_it_asks(
    hub: Callable[[Script], Answering], method: str, headers: dict[str, str], slept: float
) -> None:
    hub(Then(method, Answer(429, headers)))
    said: list[str] = []
    assert fetch_hub_model(MODEL, said.append).read_bytes() == CONTENT
    assert sum(naps) == pytest.approx(slept, abs=2)
    waits = [line for line in said if "was asked too often (429), going on in" in line]
    assert len(waits) == len(naps) and max(naps) <= patience.TELL_EVERY


def test_a_busy_hub_is_left_when_it_asks_for_more_than_we_have(hub: Callable[[Script], Answering]) -> None:
    hub(Then("HEAD", Answer(429, {"Retry-After": "3600"})))
    assert "was asked too often (429) and wants 60 min of rest: run again then" in failure(MODEL)
    assert naps == []


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}, {"Retry-After": "100"}])
def test_a_hub_that_is_always_busy_is_left_in_the_end(
    hub: Callable[[Script], Answering], headers: dict[str, str]
) -> None:
    hub(lambda _request: Answer(429, headers))
    assert "of rest: run again then" in failure(MODEL)
    assert sum(naps) <= patience.LIMIT


def test_what_was_there_before_a_busy_hub_is_not_fetched_again(hub: Callable[[Script], Answering]) -> None:
    MODEL.part.parent.mkdir(parents=True)
    MODEL.part.write_bytes(CONTENT[:1000])
    rest = Answer(206, {"Content-Range": f"bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"}, CONTENT[1000:])
    server = hub(Then("GET", Answer(429, {"Retry-After": "5"}), rest))
    assert fetch_hub_model(MODEL, silent).read_bytes() == CONTENT
    assert [request.method for request in server.asked] == ["HEAD", "GET", "GET"]


def test_a_hub_that_is_out_of_order_for_a_moment_is_asked_again(hub: Callable[[Script], Answering]) -> None:
    hub(Then("HEAD", Answer(502), Answer(503), Answer(504)))
    assert fetch_hub_model(MODEL, silent).read_bytes() == CONTENT
    assert naps == [1, 2, 4]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_storage_that_refuses_is_named_and_not_the_licence(hub: Callable[[Script], Answering], status: int) -> None:
    with answering(lambda _request: Answer(status)) as storage:
        elsewhere = storage.url.replace("127.0.0.1", "localhost")
        sends = {"X-Repo-Commit": REVISION, "X-Linked-Size": str(len(CONTENT)), "Location": f"{elsewhere}/signed"}
        server = hub(lambda _request: Answer(302, sends))
        said = failure(MODEL)
    assert f"localhost, to which {server.url} sends for tiny.gguf, refuses it ({status})" in said
    assert "allow it" in said and "licence" not in said


def test_storage_that_cannot_be_reached_is_named(hub: Callable[[Script], Answering]) -> None:
    sends = {"X-Repo-Commit": REVISION, "Location": "http://no-such-storage.invalid/signed"}
    hub(lambda _request: Answer(302, sends))
    assert "connection with no-such-storage.invalid lost at 0 of" in failure(MODEL)


def test_a_mirror_may_send_to_another_one_which_never_sees_the_token(
    hub: Callable[[Script], Answering], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with answering(lambda _request: FILE) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        mirror = hub(lambda request: Answer(308, {"Location": elsewhere + request.path}))
        assert fetch_hub_model(MODEL, silent).read_bytes() == CONTENT
    assert {request.authorization for request in mirror.asked} == {"Bearer hf_secret"}
    assert {request.authorization for request in other.asked} == {""}


def test_a_login_page_somewhere_else_is_no_mirror(hub: Callable[[Script], Answering]) -> None:
    with answering(lambda _request: Answer(200, {}, b"<html>log in</html>")) as portal:
        elsewhere = portal.url.replace("127.0.0.1", "localhost")
        hub(lambda _request: Answer(302, {"Location": f"{elsewhere}/login"}))
        assert "answers, but not as a hub: check HF_ENDPOINT, a proxy or a login page" in failure(MODEL)


def test_a_hub_in_a_subfolder_that_sends_inside_of_it(
    hub: Callable[[Script], Answering], monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(request: Request) -> Answer:
        if "?etag=" in request.path:
            return FILE
        return Answer(307, {"Location": f"/hf/cache{request.path.removeprefix('/hf')}?etag=%22x%22"})

    monkeypatch.setenv("HF_ENDPOINT", f"{hub(script).url}/hf/")
    assert fetch_hub_model(MODEL, silent).read_bytes() == CONTENT


@pytest.mark.parametrize("place", ["http://[bad", "http://localhost:99999/", "http://localhost:port/", "http://x..y/"])
def test_a_hub_that_sends_to_no_address_is_one_line(hub: Callable[[Script], Answering], place: str) -> None:
    hub(lambda _request: Answer(302, {"Location": place}))
    assert "is no address, or sends to what is none" in failure(MODEL)


def test_a_hub_that_no_resolver_takes_is_one_line(
    hub: Callable[[Script], Answering], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://x..y")
    assert failure(MODEL).startswith("http://x..y is no address")


def test_a_token_that_the_hub_does_not_know_is_blamed_and_not_shown(
    hub: Callable[[Script], Answering], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(lambda request: Answer(401 if request.authorization else 200, FILE.headers, FILE.body))
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "does not know HF_TOKEN (401): mend it; a public model needs none" in failure(MODEL)
    monkeypatch.setenv("HF_TOKEN", "hf_wr\u00f6ng \x01")
    said = failure(MODEL)
    assert "HF_TOKEN holds more than the one word that a token is" in said and "hf_wr" not in said


@pytest.mark.parametrize(("token", "words"), [("", "and set HF_TOKEN"), ("hf_mine", "with the account of HF_TOKEN")])
def test_a_licence_is_the_accounts_to_accept(
    hub: Callable[[Script], Answering], monkeypatch: pytest.MonkeyPatch, token: str, words: str
) -> None:
    hub(lambda _request: Answer(403, {"X-Error-Code": "GatedRepo"}))
    monkeypatch.setenv("HF_TOKEN", token)
    assert f"refuses owner/name (403): accept its licence on its page {words}" in failure(MODEL)


def test_a_refusal_without_a_reason_may_be_the_networks(hub: Callable[[Script], Answering]) -> None:
    server = hub(lambda _request: Answer(403, {"X-Error-Message": "Access to it is disabled."}))
    assert failure(MODEL).startswith(f"{server.url} refuses owner/name (403: 'Access to it is disabled.'): accept")
    assert failure(MODEL).endswith(f"; where it has none, does your network block {server.url}?")


@pytest.mark.parametrize(("status", "words"), [(404, "check the model's repo, file and revision"), (520, "try again")])
def test_what_another_try_will_not_change_is_not_tried_again(
    hub: Callable[[Script], Answering], status: int, words: str
) -> None:
    hub(lambda _request: Answer(status))
    assert f"answers {status} for owner/name/tiny.gguf: {words}" in failure(MODEL)


def test_a_network_that_wants_a_login_says_so(hub: Callable[[Script], Answering]) -> None:
    hub(lambda _request: Answer(511))
    assert "the network wants a login before it lets anyone to 127.0.0.1 (511)" in failure(MODEL)
