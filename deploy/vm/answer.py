"""The first question to the VM: `python -m deploy.vm.answer` prints the answer, its speed, and what to try next."""

import sys

import requests

from deploy.errors import BoardllamaError
from deploy.onboard.json_parts import parse_json
from deploy.onboard.service import OLLAMA
from deploy.vm.machine import Machine

PROMPT = "The quick brown fox"
TOKENS = 24
# Seconds from one token to the next on a busy machine.
DEADLINE = 300
DATA = "data: "


def first_answer(url: str) -> tuple[str, float]:
    """The text of a completion, and tokens per second as the server measured them. Raises BoardllamaError.

    The text comes token by token: a slow server is waited for as long as tokens come.
    """
    question = {"prompt": PROMPT, "max_tokens": TOKENS, "temperature": 0.0, "stream": True}
    try:
        with requests.post(f"{url}/v1/completions", json=question, timeout=DEADLINE, stream=True) as response:
            response.raise_for_status()
            pieces = [parse_json(piece) for piece in map(event_data, response.iter_lines()) if piece.startswith("{")]
        text = "".join(str(piece["choices"][0]["text"]) for piece in pieces if piece["choices"])
        return text, float(pieces[-1]["timings"]["predicted_per_second"])
    except (requests.RequestException, LookupError, ValueError) as error:
        raise BoardllamaError(f"{url}/v1/completions gave no answer: {error}; `make log` shows the VM") from None


def event_data(line: bytes) -> str:
    """The data in a line of an event stream; empty for a line without data."""
    text = line.decode(errors="replace")
    return text.removeprefix(DATA) if text.startswith(DATA) else ""


def print_first_answer() -> int:
    """Prints the answer, or one line of error. Returns the exit status."""
    try:
        machine = Machine.load()
        text, speed = first_answer(machine.api_url)
    except BoardllamaError as error:
        print(f"boardllama: {error}", file=sys.stderr)
        return 1
    print(f"""
The server answers at {machine.api_url} (on the VM itself: http://localhost:{OLLAMA.port})

  {PROMPT}{text}

  {speed:.1f} tokens/s, a smoke model of random weights under emulation: the words mean nothing, the path is real.

Next:
  curl {machine.api_url}/v1/completions -H 'Content-Type: application/json' -d '{{"prompt": "Hello", "max_tokens": 16}}'
  make verify                          every check of the board suite against this VM
  make ssh                             then: systemctl status {OLLAMA.name}
  open {machine.api_url}/ in a browser for the web UI, docs/reference/api.md for every call
  your own boards: edit inventory/boards.py, then .venv/bin/pyinfra inventory/boards.py deploy.py
  make down""")
    return 0


if __name__ == "__main__":
    sys.exit(print_first_answer())
