#!/usr/bin/python3 -IS
"""Stands in for llama-server in a release that is bad in one way. It takes llama-server's arguments.

Standard library only: it runs on the target in the service's sandbox. tests/faults/bad_releases.py fills MANNER and
BUILD_INFO in.
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MANNER = "well"
BUILD_INFO = "unknown"
WORDS = "once upon a time there was a small board".split()


def argument(name: str, default: str) -> str:
    """The word after an argument."""
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def log(line: str) -> None:
    """To the journal, as llama-server does."""
    print(line, file=sys.stderr, flush=True)


class Handler(BaseHTTPRequestHandler):
    """The part of llama-server's API that a gate may ask."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health":
            if MANNER == "loading":
                self.loading()
            else:
                self.answer(200, {"status": "ok"})
        elif self.refused():
            pass
        elif self.path == "/props":
            self.answer(200, props())
        elif self.path == "/v1/models":
            self.answer(200, {"object": "list", "data": [{"id": argument("--alias", "model"), "object": "model"}]})
        else:
            self.problem(404, "File Not Found", "not_found_error")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self.refused():
            return
        count = max(1, int(body.get("max_tokens") or body.get("n_predict") or 16))
        began = time.monotonic()
        words = [] if MANNER == "empty" else [WORDS[n % len(WORDS)] for n in range(count)]
        time.sleep((2.0 if MANNER == "slow" else 0.001) * len(words))
        self.answer(200, completion(self.path, " ".join(words), len(words), time.monotonic() - began))

    def refused(self) -> bool:
        """True after it has answered what llama-server answers in its place."""
        if MANNER == "loading":
            self.loading()
        elif MANNER == "fails" and self.command == "POST":
            self.problem(500, "Compute error.", "server_error")
        elif keys() and self.headers.get("Authorization", "") not in [f"Bearer {key}" for key in keys()]:
            self.problem(401, "Invalid API Key", "authentication_error")
        else:
            return False
        return True

    def loading(self) -> None:
        self.problem(503, "Loading model", "unavailable_error")

    def problem(self, code: int, message: str, kind: str) -> None:
        self.answer(code, {"error": {"code": code, "message": message, "type": kind}})

    def answer(self, code: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        log(f"srv  log_server_r: request: {format % args}")


def keys() -> list[str]:
    """Those of --api-key-file."""
    path = argument("--api-key-file", "")
    return [line for line in Path(path).read_text().split() if not line.startswith("#")] if path else []


def props() -> dict[str, Any]:
    """As llama-server's /props, shortened."""
    return {
        "default_generation_settings": {"n_ctx": int(argument("--ctx-size", "2048")), "params": {}},
        "total_slots": int(argument("--parallel", "1")),
        "model_alias": argument("--alias", "model"),
        "model_path": argument("--model", ""),
        "chat_template": "",
        "build_info": BUILD_INFO,
    }


def completion(path: str, text: str, count: int, seconds: float) -> dict[str, Any]:
    """As llama-server answers at that path: OpenAI's text or chat completion, or its own."""
    speed = count / max(seconds, 0.001)
    timings: dict[str, float] = {"predicted_n": count, "predicted_ms": seconds * 1000, "predicted_per_second": speed}
    timings |= {"prompt_n": 1, "prompt_ms": 1.0, "prompt_per_second": 1000.0}
    if "chat" in path:
        choice: dict[str, Any] = {
            "index": 0,
            "finish_reason": "length",
            "message": {"role": "assistant", "content": text},
        }
    elif path.startswith("/v1"):
        choice = {"index": 0, "finish_reason": "length", "text": text, "logprobs": None}
    else:
        return {"content": text, "tokens_predicted": count, "stop": True, "stop_type": "limit", "timings": timings}
    usage = {"completion_tokens": count, "prompt_tokens": 1, "total_tokens": count + 1}
    return {"choices": [choice], "usage": usage, "timings": timings, "object": "text_completion"}


def main() -> None:
    if MANNER == "refuses" and "--metrics" in sys.argv:
        log("error: invalid argument: --metrics")
        sys.exit(1)
    if "--version" in sys.argv:
        log(f"version: 0 ({BUILD_INFO})")
    elif MANNER == "exits":
        log("error: main: failed to load model, exiting due to model loading error")
        sys.exit(1)
    elif MANNER == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif MANNER == "hangs":
        log("load_tensors: loading model tensors, this can take a while...")
        time.sleep(1 << 20)
    else:
        address = (argument("--host", "127.0.0.1"), int(argument("--port", "8080")))
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        log("main: server is listening")
        ThreadingHTTPServer(address, Handler).serve_forever()


if __name__ == "__main__":
    main()
