"""A split model with a projector and a draft, before the program that was built: it loads all, sees, and guesses."""

import base64
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from gguf import GGMLQuantizationType as Kind

from deploy.build.proof import emulator_command
from deploy.cpu import find_cpu
from deploy.onboard.server.config_keys import KEYS
from deploy.onboard.server.launch import FIXED
from tests.build.builds import CPU, Make
from tests.build.test_burst import is_healthy
from tests.projector import write_projector
from tests.shapes import Shape, write
from tests.unit.boards import closed

# A picture of so many points a side would be 225 tokens.
SIDE, IMAGE_TOKENS = 400, 100
SHAPE = Shape("x", Kind.Q4_0, Kind.Q4_0, 64, 128, 2, 2, 2, 1400, 2048)


@pytest.fixture
def address(built: Make, tmp_path: Path) -> Iterator[str]:
    """Where a server answers that is told of the first part, the projector and the draft alone."""
    free = closed()
    first, whole = write(SHAPE, tmp_path / "m.gguf", tensors_per_file=8), write(SHAPE, tmp_path / "whole.gguf")
    eye = write_projector(tmp_path / "mmproj.gguf", SHAPE.width)
    program = [*emulator_command(find_cpu(CPU)), str(built(CPU).artifact_folder / "llama-server")]
    words = [
        "--model",
        str(first),
        "--mmproj",
        str(eye),
        "--spec-draft-model",
        str(whole),
        "--spec-type",
        "draft-simple",
    ]
    words += ["--port", str(free), "--threads", "1", "--ctx-size", "512", *FIXED]
    words += KEYS["inference"]["image_tokens"].arguments(IMAGE_TOKENS)
    with subprocess.Popen([*program, *words]) as server:
        try:
            while not is_healthy(free):
                assert server.poll() is None
                time.sleep(0.5)
            yield f"http://127.0.0.1:{free}"
        finally:
            server.kill()


def picture() -> str:
    """A PNG, as a data address."""
    rows = b"".join(b"\0" + bytes([row % 256, 100, 50]) * SIDE for row in range(SIDE))
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def test_one_server_serves_them_together(address: str) -> None:
    assert requests.get(f"{address}/props", timeout=60).json()["modalities"]["vision"]
    look: list[dict[str, Any]]
    look = [{"type": "text", "text": "what"}, {"type": "image_url", "image_url": {"url": picture()}}]
    body = {"messages": [{"role": "user", "content": look}], "max_tokens": 4}
    seen = requests.post(f"{address}/v1/chat/completions", json=body, timeout=300)
    assert seen.ok, seen.text
    assert 64 < seen.json()["usage"]["prompt_tokens"] < IMAGE_TOKENS + 60, "the template's words are the rest"
    said = requests.post(
        f"{address}/v1/completions", json={"prompt": "a dog", "max_tokens": 8, "temperature": 0}, timeout=300
    ).json()
    timings = said["timings"]
    assert timings["draft_n_accepted"] == timings["draft_n"] > 0, "the draft is the model itself"
