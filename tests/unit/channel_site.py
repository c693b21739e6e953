"""The web server of a channel, on the loopback: it knows parts of files, and takes reports."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Pages(http.server.SimpleHTTPRequestHandler):
    """A web server of files that knows parts of files, and takes reports."""

    server: "Site"

    def do_POST(self) -> None:
        self.server.reports.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200 if self.server.takes_reports else 503)
        self.end_headers()

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if "Range" not in self.headers or path.parent.name != "models":
            super().do_GET()
            return
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        content = path.read_bytes()[start:]
        self.server.resumed.append(start)
        self.send_response(206)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        self.server.asked.append(self.path)


class Site(http.server.ThreadingHTTPServer):
    """The server of a folder. `asked`: the paths; `resumed`: where parts began; `reports`: what was posted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), lambda *words: Pages(*words, directory=str(folder)))
        self.asked: list[str] = []
        self.resumed: list[int] = []
        self.reports: list[dict[str, Any]] = []
        self.takes_reports = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(folder: Path) -> Iterator[Site]:
    """A server of the folder, on the loopback."""
    folder.mkdir(parents=True, exist_ok=True)
    with Site(folder) as site:
        thread = threading.Thread(target=site.serve_forever, daemon=True)
        thread.start()
        yield site
        site.shutdown()
