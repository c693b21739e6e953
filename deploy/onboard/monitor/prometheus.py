"""Prometheus is asked, and of its answers the values that a board can have are taken: a board may export anything."""

import urllib.parse
import urllib.request

from ..json_parts import parse_json

MOST = 1e15  # of any figure of a board
DEADLINE = 20.0  # seconds for an answer
Labels = dict[str, str]


def number_or_none(value: object) -> float | None:
    """A number that a board can have; None for anything else, also for an endless one."""
    return value if isinstance(value, (int, float)) and -MOST < value < MOST else None


def ask_prometheus(address: str, login: str, query: str) -> list[tuple[Labels, float]]:
    """The answers to a query: labels and value. `login`: what HTTP's basic authentication sends; "" for nothing.

    Raises OSError, ValueError.
    """
    url = f"http://{address}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {login}"} if login else {})
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        return answered_values(answer.read())


def answered_values(answer: bytes) -> list[tuple[Labels, float]]:
    """What an answer of Prometheus says, without values that no board can have: a board may export anything.

    Raises ValueError for what is no such answer.
    """
    try:
        told = [(one["metric"], float(one["value"][1])) for one in parse_json(answer)["data"]["result"]]
        found = [({str(name): str(text) for name, text in labels.items()}, value) for labels, value in told]
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"its answer is no list of values ({error!r})") from None
    return [(labels, value) for labels, value in found if number_or_none(value) is not None]
