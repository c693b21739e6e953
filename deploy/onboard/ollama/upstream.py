"""The servers that compute: asked over OpenAI's API, with the credentials of the client."""

import socket
from collections.abc import Callable, Generator, Iterator
from typing import Any

from ..front.routes import Route, connect_route
from ..json_parts import parse_json
from ..wire.message import STATUS, Declined, Head, Incoming, message_head
from ..wire.talk import HERE, Ready, Result, Wait, hold_talk, send_all, soon
from .answers import error_text

SEND_SECONDS = 60.0
# Longer than any answer of a board may keep silent: the first token of the longest prompt.
SILENCE_SECONDS = 3600.0
# The longest answer that is read whole: embeddings of a batch, or /props.
WHOLE_LIMIT = 4 << 20  # bytes
# What a client shows of itself, and nothing else of what it sends, goes upstream.
CREDENTIALS = ("authorization", "x-api-key")


def ask_upstream(
    route: Route,
    client: socket.socket,
    asked: Head,
    path: str,
    content: list[bytes | memoryview] | None = None,
    sent: Callable[[], None] = lambda: None,
) -> Iterator[bytes]:
    """The body of a good answer to a GET, or to a POST of `content`, as it comes. Closing the iterator ends the work.

    `asked`: the head of the client's request, with its credentials. `content` is emptied, and `sent` called, when the
    request has been sent. Raises Declined with the server's words for any other answer, and when none comes; ClientGone
    when `client` goes away meanwhile.
    """
    try:
        connection = hold_talk(connect_route(route), client)
    except OSError as error:
        raise silent(error) from None
    try:
        send_request(connection, client, asked, path, content)
        sent()
        head, answer = receive_answer(connection, client)
        if head.words[1] != "200":
            raise declined_by(int(head.words[1]), b"".join(answer))
    except OSError as error:
        connection.close()
        raise silent(error) from None
    except BaseException:
        connection.close()
        raise
    return closing(connection, answer)


def send_request(
    connection: socket.socket, client: socket.socket, asked: Head, path: str, content: list[bytes | memoryview] | None
) -> None:
    """Sends a request, and empties its content. Raises OSError, ClientGone."""
    fields = [f"{name}: {asked.values[name]}" for name in CREDENTIALS if name in asked.values]
    size = sum(map(len, content or []))
    first = f"{'GET' if content is None else 'POST'} {path} HTTP/1.1"
    head = message_head(first, f"Host: {HERE}", *fields, "Content-Type: application/json", f"Content-Length: {size}")
    pieces = content if content else [b""]
    pieces[0] = head + bytes(pieces[0])  # in one packet, unless it is large
    for piece in pieces:
        hold_talk(send_all(connection, piece, soon(SEND_SECONDS)), client)
    pieces.clear()


def receive_answer(connection: socket.socket, client: socket.socket) -> tuple[Head, Iterator[bytes]]:
    """The head of an answer, and its body as it comes. Raises Declined, OSError, ClientGone."""
    incoming = Incoming(connection)
    head = await_part(incoming.read_head(STATUS, soon(SILENCE_SECONDS)), client)
    if head is None:
        raise ConnectionError("it ended before it answered")
    return head, body_pieces(incoming, head, client)


def body_pieces(incoming: Incoming, head: Head, client: socket.socket) -> Iterator[bytes]:
    """The body of an answer, as it comes. Raises Declined, OSError, ClientGone."""
    while piece := await_part(incoming.read_piece(head, soon(SILENCE_SECONDS)), client):
        yield piece


def await_part(talk: Generator[Wait, Ready, Result], client: socket.socket) -> Result:
    """A part of an answer. Raises Declined when it is none, OSError, ClientGone."""
    try:
        return hold_talk(talk, client)
    except Declined:
        raise Declined(502, "the model's server answered with what is no HTTP/1.1") from None


def closing(connection: socket.socket, answer: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces of an answer; the connection is closed after the last, and with the iterator. Raises Declined."""
    with connection:
        try:
            yield from answer
        except OSError as error:
            raise silent(error) from None


def silent(error: Exception) -> Declined:
    """What a client is told when no answer comes, or the answer breaks off."""
    return Declined(
        503, f"the model's server does not answer ({error}): `boardllama health` on the board says what it is doing"
    )


def declined_by(status: int, body: bytes) -> Declined:
    """The server's own words for an answer that is not good."""
    try:
        said = error_text(parse_json(body)["error"])
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
        return parse_json(held)
    except ValueError:
        raise Declined(502, "the model's server answered with what is no JSON") from None
