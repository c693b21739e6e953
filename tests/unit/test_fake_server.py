"""The stand-in for llama-server: bad in one way, and otherwise as the real one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.unit import llama_server
from tests.unit.llama_server import program


@contextmanager
def running(folder: Path, manner: str, *arguments: str) -> Iterator[str]:
    """The URL of a fake that listens."""
    with llama_server.running(folder, manner, *arguments) as port:
        yield f"http://127.0.0.1:{port}"


def completion(url: str, **headers: str) -> requests.Response:
    """A short one."""
    return requests.post(f"{url}/v1/completions", json={"prompt": "The", "max_tokens": 2}, headers=headers, timeout=30)


def test_a_good_one_answers_as_llama_server_does(tmp_path: Path) -> None:
    with running(tmp_path, "well") as url:
        assert requests.get(f"{url}/health", timeout=5).json() == {"status": "ok"}
        props = requests.get(f"{url}/props", timeout=5).json()
        assert (props["model_alias"], props["model_path"], props["build_info"]) == (
            "x.gguf",
            "/models/x.gguf",
            "b0-abc",
        )
        assert completion(url).json()["choices"][0]["text"] == "once upon"
        chat = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        answer = requests.post(f"{url}/v1/chat/completions", json=chat, timeout=30).json()
        assert answer["choices"][0]["message"]["content"] == "once"


def test_it_asks_for_the_key(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("# ours\nsecret-key\n")
    with running(tmp_path, "well", "--api-key-file", str(key)) as url:
        assert completion(url).status_code == 401
        assert completion(url, Authorization="Bearer secret-key").status_code == 200


def test_one_that_loads_for_ever_answers_503_everywhere(tmp_path: Path) -> None:
    with running(tmp_path, "loading") as url:
        assert requests.get(f"{url}/health", timeout=5).status_code == 503
        assert completion(url).json()["error"]["type"] == "unavailable_error"


def test_an_empty_one_is_healthy_and_says_nothing(tmp_path: Path) -> None:
    with running(tmp_path, "empty") as url:
        assert requests.get(f"{url}/health", timeout=5).status_code == 200
        assert completion(url).json()["choices"][0]["text"] == ""


def test_a_slow_one_says_how_slow_it_is(tmp_path: Path) -> None:
    with running(tmp_path, "slow") as url:
        assert completion(url).json()["timings"]["predicted_per_second"] < 1


@pytest.mark.parametrize(
    ("manner", "status", "words"),
    [("exits", 1, "failed to load model"), ("crashes", -11, ""), ("refuses", 1, "invalid argument: --metrics")],
)
def test_others_end_at_once(tmp_path: Path, manner: str, status: int, words: str) -> None:
    done = subprocess.run(program(tmp_path, manner), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == status
    assert words in done.stderr


def test_one_that_hangs_says_something_and_never_listens(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(program(tmp_path, "hangs"), capture_output=True, timeout=1, check=False)
