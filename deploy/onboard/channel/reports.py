"""Says to whoever watches the channel what became of a release here: one small POST, or one message of MQTT."""

import json
from contextlib import suppress
from typing import Any

from ..commands import run_command
from ..places import Places
from .subscription import Subscription, board_id, read_memory, remember

SECONDS = 20.0


def report_outcome(places: Places, told: Subscription, **values: Any) -> None:
    """Keeps a report (deploy/fleet/channel/phases.py reads it), and sends it now or at a later look, once."""
    line = json.dumps({"version": 1, "board": board_id(), "kind": told.kind, **values}, sort_keys=True)
    if told.report and line != read_memory(places).get("said"):
        remember(places, unsent=line)
    send_unsent(places, told)


def send_unsent(places: Places, told: Subscription) -> None:
    """Sends the report that could not be sent yet, if there is one and it can now."""
    line = read_memory(places).get("unsent")
    if line and told.report:
        with suppress(OSError, ValueError):
            send_line(told.report, line)
            remember(places, unsent=None, said=line)


def send_line(address: str, line: str) -> None:
    """Sends a line. Raises OSError when nobody took it, ValueError for an address that is none."""
    import urllib.request  # most looks send nothing
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    if parts.scheme == "mqtt":
        where = ["-h", parts.hostname or "", "-p", str(parts.port or 1883), "-t", parts.path.lstrip("/")]
        run_command("mosquitto_pub", *where, "-q", "1", "-m", line, deadline=SECONDS)
        return
    request = urllib.request.Request(address, line.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=SECONDS):
        pass
