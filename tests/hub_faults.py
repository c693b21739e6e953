"""What can go wrong with a hub: the faults of tests/hub_server.py."""

from enum import Enum, auto


class Fault(Enum):
    """What goes wrong. Those that cut a body do so HubServer.after bytes into it."""

    NONE = auto()
    WRONG_BYTES = auto()  # the right length, one byte differs
    SHORT_FILE = auto()  # the hub itself holds and announces fewer bytes
    SHORT_BODY = auto()  # announced in full, but a GET answers with fewer bytes, as if complete
    LONG_BODY = auto()  # a GET answers with 64 MiB more than announced
    CLOSE = auto()  # every connection breaks within the body
    CLOSE_ONCE = auto()  # only the first one does
    CLOSE_THEN_ALL = auto()  # the first one does, and from then on IGNORE_RANGE
    STALL = auto()  # the body stops, the connection stays
    SILENT = auto()  # accepts, never answers
    SLOW = auto()  # 64 KiB every 0.2 s
    TRICKLE = auto()  # a byte every second
    REDIRECT_LOOP = auto()  # sends everyone from one address to the next, for ever
    IGNORE_RANGE = auto()  # 200 and all bytes, whatever was asked for
    HTML = auto()  # an error page with status 200 in place of the body
    LOGIN_PAGE = auto()  # a captive portal: answers everything, knows no hub header
    WRONG_ETAG = auto()  # announces another sha256
    GATED = auto()  # 403 until a licence is accepted
    BUSY = auto()  # 503 to everything
