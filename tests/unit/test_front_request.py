"""A request as the front holds it."""

import socket

from deploy.onboard.front.request import Request, Room


def test_a_body_that_is_given_back_takes_no_memory_whoever_still_knows_it() -> None:
    """With Python 3.10 the frames of a talk that was ended know it until the next collection."""
    one, other = socket.socketpair()
    with one, other:
        request = Request(one, Room(lambda: False))
        request.body += b"x" * 2_000_000
        request.room.take_bytes(len(request.body))
        known = request.body
        request.drop_body()
        assert (len(known), request.room.held) == (0, 0)
