"""A call of a client, while it is answered."""

from collections.abc import Callable, Iterator
from typing import Any

from ..front.routes import Route
from ..wire.message import Declined, Head, Incoming, most_bytes
from .answers import events_of, json_bytes
from .long_texts import LongTexts
from .models import find_route
from .reply import Reply
from .request import Turn, parse_request, read_body
from .upstream import ask_upstream, whole_body


class Call:
    """What a client asked, and what its answer is made with.

    `body` is the request's JSON, {} before it is read; `texts` has what is long in it.
    """

    def __init__(self, head: Head, incoming: Incoming, reply: Reply, routes: list[Route]) -> None:
        self.head, self.incoming, self.reply, self.routes = head, incoming, reply, routes
        self.body: dict[str, Any] = {}
        self.texts = LongTexts(bytearray())
        self.turn = Turn()
        self.has_all = not most_bytes(head)  # what the client sends has been read

    def require_key(self) -> None:
        """Raises Declined when the client may not ask llama-server: with 401 for a wrong key, with 503 when none runs.

        All servers have the same keys: the first that runs is asked.
        """
        for last, route in enumerate(self.routes, 1 - len(self.routes)):
            try:
                self.fetch(route, "/v1/models")
                return
            except Declined as declined:
                if declined.status != 503 or not last:
                    raise

    def read_body(self) -> None:
        """Reads the request's JSON. Raises Declined."""
        self.turn.take(most_bytes(self.head))
        body = read_body(self.incoming, self.head)
        self.has_all = True
        self.texts = LongTexts(body)
        self.body = parse_request(self.texts)

    def forget(self) -> None:
        """Forgets what has been sent upstream: a picture need not wait in memory for the answer."""
        self.body = {name: self.body[name] for name in ("model", "name", "stream") if name in self.body}
        self.texts = LongTexts(bytearray())
        self.turn.give_back()

    @property
    def name(self) -> Any:
        """The name of a model in the request, under either of the two keys that Ollama reads."""
        return self.body.get("model") or self.body.get("name")

    def find_route(self, *roles: str) -> Route:
        """The server of the model that the request names. Raises Declined when it is not here, or has another role."""
        try:
            route = find_route(self.name, self.routes)
        except Declined:
            self.require_key()  # the names of the models are not for everyone
            raise
        if roles and route.role not in roles:
            raise Declined(400, f'"{self.name}" does not support {self.head.words[1]}: its role is {route.role}')
        return route

    def stream(self, route: Route, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The events with which a server answers the request, which is forgotten once it is sent. Raises Declined."""
        return events_of(self.ask(route, path, body, self.forget))

    def fetch(self, route: Route, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON with which a server answers. Raises Declined."""
        return whole_body(self.ask(route, path, body))

    def ask(
        self, route: Route, path: str, body: dict[str, Any] | None, sent: Callable[[], None] = lambda: None
    ) -> Iterator[bytes]:
        """The body of a server's good answer, as it comes. Raises Declined."""
        content = None if body is None else self.texts.restore(json_bytes(body))
        return ask_upstream(route, self.incoming.connection, self.head, path, content, sent)

    def describe(self, route: Route) -> dict[str, Any]:
        """What a server says of its model in /v1/models; {} while it does not run."""
        try:
            found: dict[str, Any] = self.fetch(route, "/v1/models")["data"][0]
            return found
        except Declined as declined:
            if declined.status != 503:
                raise
            return {}

    def read_props(self, route: Route) -> dict[str, Any]:
        """What a server says in /props. Raises Declined."""
        props: dict[str, Any] = self.fetch(route, "/props")
        return props
