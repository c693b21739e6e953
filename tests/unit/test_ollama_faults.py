"""What no client should send, what no server should answer, and who goes away: each a sentence, and service goes on."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.onboard.ollama.long_texts import PARSED_BYTES
from deploy.onboard.ollama.request import SMALL_BODY
from deploy.onboard.wire.message import BODY_BYTES
from tests.answers import Answer, answering
from tests.unit.ollama_api import CHAT, EMBEDDER, KEY, OllamaApi, api, dead_port, llama_answer, running_api, said

__all__ = ["api", "dead_port"]

CHAT_BODY = {"model": CHAT, "messages": [{"role": "user", "content": "hi"}]}
HEAD = b"POST /api/chat HTTP/1.1\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n"


def talk(api: OllamaApi, request: bytes) -> bytes:
    """Everything that is answered to these bytes."""
    with socket.create_connection(("127.0.0.1", api.port), 60) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


def body_of(content: bytes) -> bytes:
    """A request with that body."""
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(content) + content


MALFORMED: dict[str, tuple[bytes, int, str]] = {
    "no JSON": (body_of(b"{bad"), 400, "the body is no JSON: "),
    "no object": (body_of(b"[1]"), 400, "the body must be a JSON object"),
    "nothing": (body_of(b""), 400, "missing request body"),
    "nested": (body_of(b'{"a":' + b"[" * 40000), 400, "the body is nested deeper than 100 levels"),
    "half a character": (body_of(b'{"model": "\\ud800"}'), 404, "model '?' not found: "),
    "too large": (HEAD + b"Content-Length: 9999999999\r\n\r\n{", 413, "the body has 9999999999 bytes: at most"),
    "no length": (
        HEAD + b"Content-Length: some\r\n\r\n{",
        400,
        "content-length: some: the length of a body must be said once",
    ),
    "no chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxx\r\n", 400, "the body is cut into no chunks"),
    "less than nothing": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n", 400, "the body is cut into no chunks"),
    "no HTTP": (b"\x16\x03\x01\x02\x00\n", 400, "this is no request"),
    "a long line": (b"GET / HTTP/1.1\r\nX: " + b"a" * 20000, 431, "the head of the request is too large: at most"),
    "other method": (b"GET /api/chat HTTP/1.1\r\n\r\n", 405, "/api/chat is asked by POST, not GET"),
    "other path": (b"GET /api/nothing HTTP/1.1\r\n\r\n", 404, "/api/nothing is no call of Ollama's API"),
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_what_is_no_request_is_answered_with_a_sentence(api: OllamaApi, fault: str) -> None:
    request, status, sentence = MALFORMED[fault]
    head, _, body = talk(api, request).partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert json.loads(body)["error"].startswith(sentence)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "messages": ({"messages": "hi"}, "messages must be a list of objects"),
    "role": ({"messages": [{"role": "robot"}]}, "role of a message must be one of system, user, assistant, tool"),
    "content": ({"messages": [{"role": "user", "content": 3}]}, "content of a message must be a text"),
    "images": ({"messages": [{"role": "user", "images": "x"}]}, "images must be a list of base64 texts"),
    "calls": ({"messages": [{"role": "assistant", "tool_calls": ["x"]}]}, "tool_calls must be a list of objects"),
    "option": ({"options": {"temperature": "warm"}}, 'option "temperature" must be a number'),
    "options": ({"options": [1]}, "options must be an object"),
    "stop": ({"options": {"stop": [1]}}, 'option "stop" must be a list of texts'),
    "format": ({"format": "xml"}, 'format must be "json" or a JSON schema'),
    "model": ({"model": None}, "model is required"),
}


@pytest.mark.parametrize("field", WRONG)
def test_a_field_that_is_wrong_is_named(api: OllamaApi, field: str) -> None:
    changed, sentence = WRONG[field]
    answer = api.post("/api/chat", CHAT_BODY | changed)
    assert (answer.status_code, answer.json()["error"][: len(sentence)]) == (400, sentence)


@pytest.mark.parametrize(
    ("field", "value"), [("template", "{{ .Prompt }}"), ("context", [1, 2]), ("system", 3), ("prompt", 3)]
)
def test_what_a_prompt_cannot_have_is_said(api: OllamaApi, field: str, value: object) -> None:
    answer = api.post("/api/generate", {"model": CHAT, "prompt": "hi", field: value})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(field)


def test_a_body_in_chunks_is_read(api: OllamaApi) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (bytes([byte]) for byte in json.dumps({"name": CHAT}).encode())

    headers = {"Authorization": f"Bearer {KEY}"}
    assert requests.post(f"{api.url}/api/show", data=pieces(), headers=headers, timeout=60).status_code == 200


def test_head_is_answered_without_a_body(api: OllamaApi) -> None:
    for path in ("/", "/api/tags", "/api/version"):
        answer = talk(api, f"HEAD {path} HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\n")
    assert requests.get(api.url, timeout=60).text == "Ollama is running"


def test_a_server_that_is_down_is_said(tmp_path: Path, dead_port: int) -> None:
    with answering(llama_answer) as upstream, running_api(tmp_path, upstream, port=dead_port) as api:
        answer = api.post("/api/chat", CHAT_BODY)
        assert answer.status_code == 503
        assert answer.json()["error"].startswith("the model's server does not answer (")
        assert "`boardllama health`" in answer.json()["error"]
        # The other model goes on, and the list has both.
        assert api.post("/api/embed", {"model": EMBEDDER, "input": "a"}).status_code == 200
        headers = {"Authorization": f"Bearer {KEY}"}
        listed = requests.get(f"{api.url}/api/tags", headers=headers, timeout=60).json()["models"]
        assert [model["name"] for model in listed] == [f"{CHAT}:latest", f"{EMBEDDER}:latest"]
        loaded = requests.get(f"{api.url}/api/ps", headers=headers, timeout=60).json()["models"]
        assert [model["name"] for model in loaded] == [f"{EMBEDDER}:latest"]


def test_a_board_whose_servers_are_all_down_lists_nothing(tmp_path: Path, dead_port: int) -> None:
    with answering(llama_answer) as upstream:
        upstream.server_port = dead_port
        with running_api(tmp_path, upstream) as api:
            for path in ("/api/tags", "/api/ps", "/api/version"):
                answer = requests.get(api.url + path, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)
                assert (answer.status_code, "does not answer" in answer.json()["error"]) == (503, True)


CHUNK = b'data: {"choices":[{"delta":{"content":"4"}}]}\n\n'
ERROR = b'data: {"error":{"code":500,"message":"out of slots"}}\n\n'
ANSWERS: dict[str, tuple[Answer, int, str]] = {
    "an error in the stream": (Answer(body=CHUNK + ERROR), 200, "out of slots"),
    "an error before the stream": (Answer(body=ERROR), 500, "out of slots"),
    "an error of the server": (said(500, "no mmproj"), 500, "no mmproj"),
    "an error page": (Answer(502, body=b"<html>"), 502, "the model's server answered 502"),
    "no event": (Answer(body=b"data: {bad\n\n"), 502, "the model's server answered with what is no JSON"),
}


@pytest.mark.parametrize("fault", ANSWERS)
def test_a_fault_of_the_server_becomes_an_error_of_ollama_s_form(tmp_path: Path, fault: str) -> None:
    answer, status, sentence = ANSWERS[fault]
    with answering(lambda request: answer) as upstream, running_api(tmp_path, upstream) as api:
        told = api.post("/api/chat", CHAT_BODY)
        assert told.status_code == status
        assert json.loads(told.text.splitlines()[-1])["error"].startswith(sentence)


class Endless:
    """A server that writes an answer without an end, and learns when nobody listens."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.left = threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        """Answers one client."""
        client, _ = self.listener.accept()
        with client:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                while True:
                    client.sendall(CHUNK)
                    time.sleep(0.01)
            except OSError:
                self.left.set()


@contextmanager
def endless_api(folder: Path) -> Iterator[tuple[OllamaApi, Endless]]:
    """The API before such a server."""
    endless = Endless()
    port = endless.listener.getsockname()[1]
    with answering(llama_answer) as upstream, running_api(folder, upstream, port=port) as api:
        yield api, endless


@pytest.mark.parametrize("stream", [True, False])
def test_the_work_ends_when_the_client_goes_away(tmp_path: Path, stream: bool) -> None:
    with endless_api(tmp_path) as (api, endless):
        with socket.create_connection(("127.0.0.1", api.port), 60) as client:
            client.sendall(body_of(json.dumps(CHAT_BODY | {"stream": stream}).encode()))
            if stream:
                assert client.recv(1)
            else:
                time.sleep(0.2)
        assert endless.left.wait(30)


def test_a_crowd_is_let_in_as_others_leave(api: OllamaApi) -> None:
    address = ("127.0.0.1", api.port)
    crowd = [socket.create_connection(address, 60) for _ in range(64)]
    for one in crowd:
        one.sendall(b"GET /api/tags HTTP/1.1\r\nX: ")
    for one in crowd:
        one.close()
    assert api.post("/api/show", {"name": CHAT}).status_code == 200
    assert api.process.poll() is None


def peak_memory(api: OllamaApi) -> int:
    """The most memory that the process had, in kB."""
    status = Path(f"/proc/{api.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def at_once(count: int, call: Callable[[], object]) -> None:
    """Makes a call so many times at the same time."""
    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def picture(size: int, prefix: str = "") -> dict[str, Any]:
    """A chat with a picture of so many bytes."""
    return CHAT_BODY | {"messages": [{"role": "user", "content": "x", "images": [prefix + "A" * size]}]}


def test_memory_is_bounded_whatever_a_crowd_sends_at_once(api: OllamaApi) -> None:
    usual = CHAT_BODY | {"messages": [{"role": "user", "content": "word " * (SMALL_BODY // 6)}]}
    at_once(20, lambda: api.post("/api/chat", usual))
    largest = picture(BODY_BYTES - 1000)
    at_once(8, lambda: api.post("/api/chat", largest))
    assert peak_memory(api) < 25 << 10
    asked = [body["messages"][0]["content"] for body in api.asked("/v1/chat/completions")]
    assert sum(isinstance(content, list) for content in asked) == 8


@pytest.mark.parametrize("prefix", ["", "data:image/jpeg;base64,"])
def test_a_large_picture_goes_upstream_as_it_came(api: OllamaApi, prefix: str) -> None:
    assert api.post("/api/chat", picture(SMALL_BODY, prefix)).status_code == 200
    (_, part) = api.asked("/v1/chat/completions")[0]["messages"][0]["content"]
    assert part["image_url"]["url"] == "data:image/png;base64," + "A" * SMALL_BODY


LONG_WORDS = 'He said: "C:\\new\n", 日本語. ' * 3000


def test_long_texts_are_the_same_upstream_wherever_they_stand(api: OllamaApi) -> None:
    """Escapes, characters of several bytes, half a character, and JSON in a text of JSON."""
    called = {"function": {"name": "write", "arguments": {"text": LONG_WORDS, "more": ["data:x," + LONG_WORDS[:600]]}}}
    messages = [
        {"role": "system", "content": LONG_WORDS},
        {"role": "assistant", "content": "", "tool_calls": [called]},
        {"role": "tool", "content": LONG_WORDS + "\ud83d", "tool_name": "write"},
    ]
    assert api.post("/api/chat", CHAT_BODY | {"messages": messages}).status_code == 200
    system, assistant, tool = api.asked("/v1/chat/completions")[0]["messages"]
    assert (system["content"], tool["content"]) == (LONG_WORDS, LONG_WORDS + "?")
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == called["function"]["arguments"]


def test_many_long_texts_become_vectors_in_their_order(api: OllamaApi) -> None:
    texts = [f"{number} " + "word " * 2000 for number in range(20)]
    assert api.post("/api/embed", {"model": EMBEDDER, "input": texts}).status_code == 200
    assert [text for body in api.asked("/v1/embeddings") for text in body["input"]] == texts


def test_more_short_texts_than_may_be_parsed_are_declined(api: OllamaApi) -> None:
    answer = api.post("/api/embed", {"model": EMBEDDER, "input": ["short"] * (PARSED_BYTES // 9)})
    assert answer.status_code == 413
    assert answer.json()["error"].endswith(f"at most {PARSED_BYTES}; send it in several requests")
