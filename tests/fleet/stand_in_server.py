"""Stands for llama-server on a simulated board: says so, and answers what a deploy, a gate and a gateway's clients ask.
Never used alone: stand_ins.py makes programs of it.
"""

import http.server
import json
import socket
import socketserver
import sys
import time
from pathlib import Path
from typing import Any

TOLD = dict(zip(sys.argv[1:], sys.argv[2:], strict=False))
WORDS = "a stand-in of the simulated fleet: no model runs here"
# Each word of an answer to a chat is the board's name, and takes its time.
BOARD, WORD_SECONDS = socket.gethostname(), 0.1


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:
        """Keeps no log."""

    def say(self, answer: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def is_let_in(self) -> bool:
        """Whether the request brings a key of the key file, if there is one. Says so when it does not."""
        keys = Path(TOLD["--api-key-file"]).read_text().split() if "--api-key-file" in TOLD else []
        brought = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if let_in := not keys or self.path == "/health" or brought in keys:
            return let_in
        self.say({"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}}, 401)
        return False

    def do_GET(self) -> None:
        props = {"model_path": TOLD.get("--model"), "build_info": WORDS, "total_slots": 4}
        answers: dict[str, dict[str, Any]] = {"/health": {"status": "ok"}, "/props": props}
        if self.is_let_in():
            self.say(answers.get(self.path, {}))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if not self.is_let_in():
            return
        if self.path == "/v1/chat/completions":
            self.chat(int(asked.get("max_tokens") or 16), bool(asked.get("stream")))
            return
        choice = {"text": WORDS, "message": {"role": "assistant", "content": WORDS}, "finish_reason": "length"}
        timings = {"predicted_per_second": 10.0, "predicted_n": 16}
        self.say({"choices": [choice], "usage": {"completion_tokens": 16}, "timings": timings})

    def chat(self, count: int, streams: bool) -> None:
        """Answers with so many words, each when it is due, or all of them at the end."""
        about = {"id": "1", "object": "chat.completion", "created": 0, "model": "", "system_fingerprint": WORDS}
        if streams:
            self.begin_stream()
        for left in reversed(range(count)):
            time.sleep(WORD_SECONDS)
            if streams:
                word = {"index": 0, "delta": {"content": f"{BOARD} "}, "finish_reason": None if left else "length"}
                self.send_piece(json.dumps(about | {"object": "chat.completion.chunk", "choices": [word]}))
        if streams:
            self.send_piece("[DONE]")
            self.wfile.write(b"0\r\n\r\n")
        else:
            message = {"role": "assistant", "content": " ".join([BOARD] * count)}
            self.say(about | {"choices": [{"index": 0, "message": message, "finish_reason": "length"}]})

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_piece(self, text: str) -> None:
        piece = f"data: {text}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))


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
