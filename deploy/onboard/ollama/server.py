"""The server: so many threads, each with a client at a time; further clients wait in the kernel's queue."""

import socket
import sys
import threading
import time
import traceback

from ..front.routes import Route
from ..json_parts import parse_json
from ..wire.message import REQUEST, Declined, Incoming
from ..wire.talk import ClientGone, hold_talk, prepare_socket, soon
from .call import Call
from .calls import BLOBS, CHANGES, READ, TOLD, WORK, Answerer, decline_change
from .reply import Reply

# Requests that wait for a model, and clients altogether: the others have calls that are quick. llama-server lets in
# some fifty connections, those of the front and of its watcher among them.
WORKING, CLIENTS = 16, 32
QUEUE = 128
HEAD_SECONDS = 5.0

_working = threading.Semaphore(WORKING)


def serve_ollama(address: tuple[str, int], routes: list[Route]) -> None:
    """Serves for ever. Raises OSError when the address cannot be had."""
    with socket.create_server(address, backlog=QUEUE) as listener:
        # Begun before any client comes: to begin one for each would take a board 2 ms.
        workers = [threading.Thread(target=serve_clients, args=(listener, routes)) for _ in range(CLIENTS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def serve_clients(listener: socket.socket, routes: list[Route]) -> None:
    """Answers one client after another, for ever."""
    while True:
        try:
            client, _ = listener.accept()
            with client:
                answer_client(client, routes)
        except ClientGone:
            continue
        except OSError:  # the client does not take its answer, or no file is left for the next
            time.sleep(0.01)
        except Exception:  # a worker that ended would be missed for ever
            traceback.print_exc()


def answer_client(client: socket.socket, routes: list[Route]) -> None:
    """Answers one call. Raises ClientGone, and OSError when the client does not take its answer."""
    prepare_socket(client)
    incoming, reply = Incoming(client), Reply(client)
    call = None
    try:
        head = hold_talk(incoming.read_head(REQUEST, soon(HEAD_SECONDS)))
        if head is None:
            return
        reply = Reply(client, bare=head.words[0] == "HEAD", chunked=head.words[2] != "HTTP/1.0")
        call = Call(head, incoming, reply, routes)
        answer_call(call)
    except Declined as declined:
        reply.send_declined(declined)
    except (ClientGone, OSError):
        raise
    except Exception:
        traceback.print_exc()
        reply.send_declined(Declined(500, "the call could not be answered: the board's journal says why"))
    if not call or not call.has_all:
        reply.linger()


def answer_call(call: Call) -> None:
    """Answers a call whose head is read. Raises Declined."""
    method, path = call.head.words[0], call.head.words[1].partition("?")[0]
    answer = find_answer(method, path)
    try:
        if path in TOLD or path in WORK:
            call.read_body()
        with_worker(answer, call) if path in WORK else answer(call)
    finally:
        call.turn.give_back()


def find_answer(method: str, path: str) -> Answerer:
    """What answers a call. Raises Declined when nothing does."""
    if path in CHANGES or path.startswith(BLOBS):
        return decline_change
    if path not in READ | TOLD | WORK:
        raise Declined(404, f"{path[:200]} is no call of Ollama's API that is answered here")
    if method not in (("GET", "HEAD") if path in READ else ("POST",)):
        raise Declined(405, f"{path} is asked by {'GET' if path in READ else 'POST'}, not {method[:20]}")
    return (READ | TOLD | WORK)[path]


def with_worker(answer: Answerer, call: Call) -> None:
    """Answers a call that the model works for. Raises Declined when too many wait for the model already."""
    if not _working.acquire(blocking=False):
        raise Declined(503, f"{WORKING} requests wait for the model already: try again later")
    try:
        answer(call)
    finally:
        _working.release()


def run_server() -> int:
    """`boardllama ollama-api TOLD`: serves until it is ended. TOLD: a JSON object with host, port and routes."""
    told = parse_json(sys.argv[2])
    serve_ollama((told["host"], told["port"]), [Route(**one) for one in told["routes"]])
    return 0
