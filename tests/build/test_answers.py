"""Every build gives the answers of the generic one: real programs, a trained model, each on its own processor."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import pytest
import requests
from gguf import GGMLQuantizationType as Kind

from deploy.build.proof import emulator_command
from deploy.cpu import CPUS, find_cpu
from deploy.vm.ports import free_ports
from tests.build.builds import CPU, Make
from tests.greedy import Step, ask_greedily, distance, said
from tests.real_models import smollm2
from tests.shapes import Shape, write

# Log probability. Kernels round activations and sum in different orders: today's builds differ by 0.12 here, while the
# same weights rounded otherwise (Q4_1) differ by 0.66 and 1.37.
ROUNDING = 0.3
TOKENS = 8
DEADLINE = 300.0  # seconds for an answer
QUESTIONS = {"What is 2+2? Answer with one number.": "4", "Name three colors.": "red"}
# Matrices of whole blocks of 256, which no trained model of this size has. Products are summed in integers: any two
# kernels differ by 0.0004 at most.
K_QUANTS = Shape("k-quants", Kind.Q4_K, Kind.Q6_K, 512, 1024, 4, 8, 4, 4000, 512)
EXACT = 0.002
OPTIONS = "--threads 2 --ctx-size 256 --parallel 1 --no-warmup".split()
Answers = dict[str, list[Step]]


@pytest.fixture(scope="module")
def model(built: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained model as Q4_0, which builds with dot products rearrange for their kernels; Q4_1 stays as it is."""
    path = tmp_path_factory.mktemp("model") / "model.gguf"
    program = built("generic").artifact_folder / "llama-quantize"
    words = [*emulator_command(find_cpu("generic")), str(program), "--allow-requantize", str(smollm2()), str(path)]
    subprocess.run([*words, "Q4_0"], capture_output=True, timeout=DEADLINE, check=True)
    return path


@contextmanager
def serving(built: Make, cpu: str, model: Path) -> Iterator[str]:
    """The URL of that build's server, on that processor."""
    program, (port,) = built(cpu).artifact_folder / "llama-server", free_ports(1)
    words = [*emulator_command(find_cpu(cpu)), str(program), "--model", str(model), "--port", str(port), *OPTIONS]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_ready(url, server)
        yield url
    finally:
        server.kill()
        server.wait()


def await_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """Returns when the model is loaded."""
    while server.poll() is None:
        with suppress(requests.ConnectionError):
            if requests.get(f"{url}/health", timeout=DEADLINE).ok:
                return
        time.sleep(0.2)
    raise AssertionError(f"llama-server ended with status {server.returncode}")


@pytest.fixture(scope="module")
def k_quants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(K_QUANTS, tmp_path_factory.mktemp("k-quants") / "model.gguf")


@pytest.fixture(scope="module")
def answers(built: Make, model: Path) -> Callable[[str], Answers]:
    """What the build for a processor answers, asked once."""

    @cache
    def ask(cpu: str) -> Answers:
        with serving(built, cpu, model) as url:
            return {question: ask_greedily(url, question, TOKENS, DEADLINE) for question in QUESTIONS}

    return ask


# `make test` compiles these anyhow. Each further one takes minutes on a cold cache: `make builds` asks them all.
COMPILED = ("generic", "cortex-a72", CPU, "armv8.2-dotprod")
FURTHER = [pytest.param(cpu, marks=pytest.mark.further_build) for cpu in CPUS if cpu not in COMPILED]


@pytest.mark.parametrize("cpu", [*COMPILED, *FURTHER])
def test_a_build_answers_as_the_generic_one_but_for_rounding(answers: Callable[[str], Answers], cpu: str) -> None:
    for question, meant in QUESTIONS.items():
        here, there = answers(cpu)[question], answers("generic")[question]
        assert meant in said(there).lower()
        assert distance(here, there) < ROUNDING, (question, here, there)


@pytest.mark.parametrize("cpu", [*COMPILED, *FURTHER])
def test_a_build_multiplies_k_quants_as_the_generic_one(built: Make, k_quants: Path, cpu: str) -> None:
    """The prompts have 8 tokens at once, 4, and single ones: each way has a kernel of its own."""
    steps = {}
    for name in (cpu, "generic"):
        with serving(built, name, k_quants) as url:
            steps[name] = [ask_greedily(url, question, TOKENS, DEADLINE) for question in QUESTIONS]
    for here, there in zip(steps[cpu], steps["generic"], strict=True):
        assert distance(here, there) < EXACT, (here, there)
