"""What a deployed model says: SmolLM2 on a real board, asked as its users ask."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from deploy.paths import REPO
from tests.board.board import Board
from tests.real_models import minilm, smollm2
from tests.vm.machine import INVENTORY, VirtualBoard

# What the answer must have, and how many tokens the model needs to say it: about one a second here. Of these questions
# each token is clearly likelier than the next one; where two are as likely, builds answer differently.
ANSWERS = [
    ("What is 2+2? Answer with one number.", 8, ["4"]),
    ("What are the three primary colors?", 14, ["red", "blue"]),
    ("What is the opposite of hot?", 8, ["cold"]),
    ("What is the plural of cat?", 9, ["cats"]),
]
SENTENCES = ["A cat sits on the mat.", "A kitten rests on the rug.", "The stock market fell today."]


@pytest.fixture(scope="module")
def vm(deployed_vm: VirtualBoard) -> Iterator[VirtualBoard]:
    """The VM; afterwards it is as the plain deploy leaves it."""
    yield deployed_vm
    restored = deployed_vm.deploy("--data", "config_conflict=overwrite")
    assert restored.returncode == 0, restored.said


@pytest.fixture(scope="module")
def board(vm: VirtualBoard) -> Board:
    """The VM with the chat model, whose own sampling holds."""
    done = vm.deploy("--data", "model=path", "--data", f"model_path={smollm2()}", "--data", "context_size=512")
    assert done.returncode == 0, done.said
    return vm.board


def ask(board: Board, question: str, tokens: int, **more: Any) -> str:
    """The likeliest answer."""
    messages = [{"role": "user", "content": question}]
    body = {"messages": messages, "max_tokens": tokens, "temperature": 0, **more}
    return str(board.ask("/v1/chat/completions", body).json["choices"][0]["message"]["content"])


@pytest.mark.parametrize(("question", "tokens", "words"), ANSWERS, ids=[words[0] for *_, words in ANSWERS])
def test_a_question_is_answered(board: Board, question: str, tokens: int, words: list[str]) -> None:
    said = ask(board, question, tokens).lower()
    assert all(word in said for word in words), said


def test_an_answer_keeps_to_a_schema_and_is_right(board: Board) -> None:
    schema = {"type": "object", "properties": {"animal": {"enum": ["dog", "cat", "cow"]}}, "required": ["animal"]}
    form = {"type": "json_schema", "json_schema": {"schema": schema}}
    assert json.loads(ask(board, "Which animal says meow?", 20, response_format=form)) == {"animal": "cat"}


@pytest.fixture(scope="module")
def together(vm: VirtualBoard) -> VirtualBoard:
    """The VM with the chat model and the embedder at one address, which speaks Ollama's API too."""
    models = [str(smollm2()), {"model": str(minilm()), "role": "embed"}]
    done = vm.deploy(
        "--data", f"models={json.dumps(models)}", "--data", "ollama_api=true", "--data", "context_size=512"
    )
    assert done.returncode == 0, done.said
    return vm


def test_the_clients_of_openai_and_ollama_are_answered(together: VirtualBoard) -> None:
    """Random weights cannot: llama-server holds the smoke model's own generation prompt against a schema."""
    words = [
        sys.executable,
        *"-m pytest -q -p no:cacheprovider tests/board/clients".split(),
        f"--inventory={INVENTORY}",
    ]
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout


def test_sentences_of_one_meaning_lie_near_each_other(together: VirtualBoard) -> None:
    body = shlex.quote(json.dumps({"input": SENTENCES}))
    curl = f"curl -sS -m 120 -H 'Content-Type: application/json' -d {body} http://127.0.0.1:11434/v1/embeddings"
    data = json.loads(together.run(curl))["data"]
    cat, kitten, stock = (np.array(row["embedding"]) for row in data)  # each of length 1
    assert cat @ kitten > 0.5
    assert abs(cat @ stock) < 0.2
