"""The servers that compute: asked over OpenAI's API, with the credentials of the client."""

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

from .answers import error_text, json_bytes
from .declined import Declined
from .wire import Wire

HERE = "127.0.0.1"
CONNECT_SECONDS = 5.0
# The longest answer that is read whole: embeddings of a batch, or /props.
WHOLE_LIMIT = 4 << 20  # bytes
# What a client shows of itself, and nothing else of what it sends, goes upstream.
CREDENTIALS = ("authorization", "x-api-key")


def ask_upstream(
    port: int,
    client: socket.socket,
    headers: dict[str, str],
    path: str,
    body: dict[str, Any] | None = None,
    sent: Callable[[], None] = lambda: None,
) -> Iterator[bytes]:
    """The body of a good answer to a GET, or to a POST of `body`, as it comes. Closing the iterator ends the work.

    `headers`: those of the client. `body` is emptied, and `sent` called, when the request has been sent. Raises
    Declined with the server's words for any other answer, and when none comes; ClientGone when `client` goes away
    meanwhile.
    """
    try:
        connection = connect_upstream(port)
    except OSError as error:
        raise silent(error) from None
    try:
        wire = Wire(connection, watched=client)
        send_request(connection, headers, path, body)
        sent()
        head = wire.take_head(None)
        answer = wire.take_body(head.headers, None)
        if head.words[1] != "200":
            raise declined_by(int(head.words[1]), b"".join(answer))
    except (OSError, ValueError) as error:
        connection.close()
        raise silent(error) from None
    except BaseException:
        connection.close()
        raise
    return closing(connection, answer)


def connect_upstream(port: int) -> socket.socket:
    """A connection to a server of this machine. Raises OSError."""
    connection = socket.socket()
    connection.settimeout(CONNECT_SECONDS)
    try:
        connection.connect((HERE, port))
    except OSError:
        connection.close()
        raise
    return connection


def send_request(connection: socket.socket, headers: dict[str, str], path: str, body: dict[str, Any] | None) -> None:
    """Sends a request, and empties its body."""
    content = b"" if body is None else json_bytes(body)
    if body:
        body.clear()
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", f"Host: {HERE}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name in CREDENTIALS]
    lines += ["Connection: close", "Content-Type: application/json", f"Content-Length: {len(content)}", "", ""]
    with connection.makefile("wb") as gathered:  # in one packet, unless it is large
        gathered.write("\r\n".join(lines).encode("latin-1"))
        gathered.write(content)


def closing(connection: socket.socket, answer: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces of an answer; the connection is closed after the last, and with the iterator."""
    with connection:
        try:
            yield from answer
        except (OSError, ValueError) as error:
            raise silent(error) from None


def silent(error: Exception) -> Declined:
    """What a client is told when no answer comes, or the answer breaks off."""
    return Declined(
        503, f"the model's server does not answer ({error}): `boardllama health` on the board says what it is doing"
    )


def declined_by(status: int, body: bytes) -> Declined:
    """The server's own words for an answer that is not good."""
    try:
        said = error_text(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        said = f"the model's server answered {status}"
    return Declined(status, said)


def whole_body(pieces: Iterator[bytes]) -> Any:
    """The JSON that an answer holds. Raises Declined when the answer is too long or is no JSON."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) > WHOLE_LIMIT:
            raise Declined(502, f"the model's server answered with more than {WHOLE_LIMIT >> 20} MB")
    try:
        return json.loads(held)
    except ValueError:
        raise Declined(502, "the model's server answered with what is no JSON") from None
