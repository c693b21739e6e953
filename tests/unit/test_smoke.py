"""The smoke model is the same bytes everywhere and can only say readable words."""

import subprocess
import sys
import threading
from pathlib import Path

import gguf
import pytest

from deploy.controller.files import sha256_of
from deploy.errors import BoardllamaError
from deploy.models import smoke
from deploy.paths import REPO


def silent(line: str) -> None:
    """No progress on the test's stderr."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_pin_is_what_comes_out(tmp_path: Path) -> None:
    smoke.write_smoke_model(tmp_path / "x.gguf")
    assert sha256_of(tmp_path / "x.gguf") == smoke.SHA256
    assert (tmp_path / "x.gguf").stat().st_size == smoke.SIZE < 2_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["x.gguf"]


def test_another_process_with_other_hash_seeds_makes_the_same(tmp_path: Path) -> None:
    path = str(tmp_path / "y")
    script = f"from pathlib import Path; from deploy.models.smoke import *; write_smoke_model(Path({path!r}))"
    environment = {"PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", script], cwd=REPO, env=environment, check=True)
    assert sha256_of(tmp_path / "y") == smoke.SHA256


def test_it_is_made_once_and_repaired_when_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    path = smoke.smoke_model(silent)
    assert path.name == "boardllama-smoke.gguf"
    path.write_bytes(b"damaged")
    assert sha256_of(smoke.smoke_model(silent)) == smoke.SHA256
    monkeypatch.setattr(smoke, "_write_gguf", lambda path: pytest.fail("made again"))
    assert smoke.smoke_model(silent) == path


def test_threads_make_it_once_together() -> None:
    threads = [threading.Thread(target=smoke.smoke_model, args=(silent,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sha256_of(smoke.smoke_model(silent)) == smoke.SHA256


def test_another_gguf_package_that_writes_other_bytes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "CONTEXT", 2048)
    with pytest.raises(BoardllamaError, match="came out as sha256 "):
        smoke.smoke_model(silent)


def test_a_cache_that_is_no_folder_is_one_line(cache: Path) -> None:
    cache.touch()
    with pytest.raises(BoardllamaError, match="set BOARDLLAMA_CACHE"):
        smoke.smoke_model(silent)


def test_any_text_can_be_a_prompt_and_only_words_come_out() -> None:
    """All 256 bytes are tokens; every word can be merged from its characters; other output rows are zero."""
    reader = gguf.GGUFReader(smoke.smoke_model(silent))
    pieces = reader.fields["tokenizer.ggml.tokens"].contents()
    assert {f"<0x{byte:02X}>" for byte in range(256)} <= set(pieces)
    assert all(piece[:-1] in pieces and piece[-1] in pieces for piece in pieces if piece.startswith("▁") and piece[1:])
    rows = next(tensor.data for tensor in reader.tensors if tensor.name == "output.weight")
    said = {piece for piece, row in zip(pieces, rows, strict=True) if row.any()}
    assert {"▁board", "▁river", "."} < said
    assert all(piece in {",", "."} or (piece[0] == "▁" and piece[1:].isalpha()) for piece in said)


def test_the_chat_template_is_chatml() -> None:
    reader = gguf.GGUFReader(smoke.smoke_model(silent))
    assert "<|im_start|>{{ message['role'] }}" in reader.fields["tokenizer.chat_template"].contents()
