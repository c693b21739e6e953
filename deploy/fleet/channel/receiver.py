"""Takes the reports of boards that pull: `make reports FOLDER=folder PORT=8418`. A board POSTs one JSON object to /.

Who listens to MQTT has the same files from `mosquitto_sub -h HOST -t TOPIC >>FOLDER/reports.jsonl`.
"""

import http.server
import os
import re
from pathlib import Path

from pydantic import ValidationError

from deploy.controller.verb_parser import verb_parser
from deploy.errors import BoardllamaError
from deploy.fleet.channel.phases import BoardReport
from deploy.paths import user_path

# Bytes. A report has 300; one that is longer is none.
LONGEST = 4096
SIZE = re.compile("[0-9]{1,5}")
# Seconds that a client may be silent.
SILENCE = 10


class Taker(http.server.BaseHTTPRequestHandler):
    """One connection. What is no report gets 400 and leaves nothing."""

    server: "ReportServer"
    timeout = SILENCE

    def do_POST(self) -> None:
        size = SIZE.fullmatch(self.headers.get("Content-Length", ""))
        text = self.rfile.read(int(size[0])) if size and int(size[0]) <= LONGEST else b""
        try:
            report = BoardReport.model_validate_json(text)
        except ValidationError:
            self.send_error(400)
            return
        self.server.keep_line(report.model_dump_json())
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the file says all."""


class ReportServer(http.server.ThreadingHTTPServer):
    """Keeps reports in reports.jsonl of a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "reports.jsonl"
        super().__init__(("", port), Taker)

    def keep_line(self, line: str) -> None:
        """Adds a line, whole, whoever else adds one at the same time."""
        handle = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, f"{line}\n".encode())
        finally:
            os.close(handle)


def take_reports(words: list[str] | None = None) -> None:
    """Serves until it is interrupted. Raises BoardllamaError, OSError."""
    parser = verb_parser("reports", "Takes what boards that pull report, into a folder.", "reports --port 8418")
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, default=8418)
    options = parser.parse_args(words)
    with ReportServer(user_path("FOLDER", options.folder), options.port) as server:
        print(f"reports arrive at port {options.port} and lie in {server.file}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    try:
        take_reports()
    except (BoardllamaError, OSError) as error:
        raise SystemExit(f"{error}") from None
    except KeyboardInterrupt:
        raise SystemExit(0) from None
