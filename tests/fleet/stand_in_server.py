"""Stands for llama-server on a simulated board: says so, and answers what a deploy and a gate ask. Never used alone:
stand_ins.py makes programs of it.
"""

import http.server
import json
import socketserver
import sys
from typing import Any

TOLD = dict(zip(sys.argv[1:], sys.argv[2:], strict=False))
WORDS = "a stand-in of the simulated fleet: no model runs here"


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:
        """Keeps no log."""

    def say(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        props = {"model_path": TOLD.get("--model"), "build_info": WORDS, "total_slots": 4}
        answers: dict[str, dict[str, Any]] = {"/health": {"status": "ok"}, "/props": props}
        self.say(answers.get(self.path, {}))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        choice = {"text": WORDS, "message": {"role": "assistant", "content": WORDS}, "finish_reason": "length"}
        timings = {"predicted_per_second": 10.0, "predicted_n": 16}
        self.say({"choices": [choice], "usage": {"completion_tokens": 16}, "timings": timings})


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def server_bind(self) -> None:
        """Without the look-up of a name, for which a board without name servers waits."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "board", self.server_address[1]


if __name__ == "__main__":
    if {"--version", "--help"} & set(sys.argv):
        print(f"version: 0 ({WORDS})")
    else:
        Server((TOLD.get("--host", "127.0.0.1"), int(TOLD.get("--port", "8080"))), Answers).serve_forever()
