"""Makes the page of the fleet: `python3 -m onboard.monitor CONFIG FOLDER`, twice a minute by a timer of systemd.

CONFIG is {"address": "127.0.0.1:9090", "user": "fleet", "password_file": "…" or "", "left": "…", "certificates": […]}.
"""

import base64
import json
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from ..files import write_file
from ..json_parts import parse_json
from .certificates import certificate_lines
from .fleet import FleetTable, fleet_table, read_left
from .page import page_text
from .prometheus import ask_prometheus

BESIDE = ("fleet.css", "fleet.js")


def make_page(config: dict[str, Any], folder: Path) -> FleetTable:
    """Writes the page, the files beside it, and what Prometheus is told of certificates. Raises OSError."""
    ask = partial(ask_prometheus, config["address"], login_of(config))
    table = fleet_table(read_left(Path(config["left"])), ask)
    for name in BESIDE:
        write_file(folder / name, Path(__file__).with_name(name).read_bytes())
    write_file(folder / "index.html", page_text(table, time.time()).encode())
    write_file(folder / "fleet.json", json.dumps([asdict(row) for row in table.rows]).encode())
    lines = [f"boardllama_page_timestamp_seconds {time.time():.0f}", *certificate_lines(config["certificates"])]
    write_file(folder / "metrics.txt", ("\n".join(lines) + "\n").encode())
    return table


def login_of(config: dict[str, Any]) -> str:
    """What HTTP's basic authentication sends; "" without a password."""
    if not config["password_file"]:
        return ""
    password = Path(config["password_file"]).read_text().rstrip("\n")
    return base64.b64encode(f"{config['user']}:{password}".encode()).decode()


if __name__ == "__main__":
    made = make_page(parse_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
    if made.problem:
        sys.exit(made.problem)
