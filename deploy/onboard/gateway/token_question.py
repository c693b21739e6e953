"""Asks a board for one token: /health says that a server listens, and only a token says that it computes."""

from typing import Any

from ..server.config import host_port
from ..server.health import ask_server
from .board_table import BoardEntry, ServedModel

# A question, and what in its answer shows that the model has computed, by what the model is there for.
QUESTIONS: dict[str, tuple[str, dict[str, Any], str]] = {
    "chat": ("/v1/completions", {"prompt": "1", "max_tokens": 1}, "choices"),
    "embed": ("/v1/embeddings", {"input": "1"}, "data"),
    "rerank": ("/v1/rerank", {"query": "1", "documents": ["1"]}, "results"),
}

LOOK_SECONDS = 3.0


def why_no_token(board: BoardEntry, key: str, seconds: float) -> str:
    """Why the board produces no tokens; "" when each of its models does. Models that sleep are left to sleep."""
    asked = (ask_offer(board, offer, key, seconds) for offer in board.offers if not offer.sleeps)
    return next(filter(None, asked), "")


def ask_offer(board: BoardEntry, offer: ServedModel, key: str, seconds: float) -> str:
    """Why a model of the board produces no token; "" when it does."""
    path, question, shown = QUESTIONS[offer.role]
    status, body = ask_server(board_url(board), path, question | {"model": offer.model}, seconds, key or None)
    if status == 200 and isinstance(body, dict) and body.get(shown):
        return ""
    return f"{offer.model}: {path} was answered with {status or 'nothing'}: {str(body)[:120]}"


def why_closed(board: BoardEntry, key: str) -> str:
    """Why the board does not let this gateway in; "" when it does. It costs the board next to nothing."""
    status, body = ask_server(board_url(board), "/v1/models", None, LOOK_SECONDS, key or None)
    return "" if status == 200 else f"/v1/models was answered with {status or 'nothing'}: {str(body)[:120]}"


def board_url(board: BoardEntry) -> str:
    """The board's address."""
    return f"http://{host_port(board.address, board.port)}"
