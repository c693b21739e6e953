"""How much memory llama-server really takes: a binary and a model copied somewhere, started as the launcher does.

`BOARDLLAMA_VM=NAME python -m tests.vm.resident [SHAPE …]` prints a table of docs/explanation/benchmarks.md.
With `--server PROGRAM` it measures a llama-server of this machine instead, which answers 40 turns in seconds; without
repacking, since another CPU rearranges other weights.
"""

import argparse
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from gguf import GGMLQuantizationType as Kind

from deploy.cpu import CPUS
from deploy.models.gguf.info import read_gguf_info
from deploy.models.memory.estimate import Serving, can_repack, estimate_memory
from deploy.onboard.server.bounds import ENVIRONMENT, UBATCH
from deploy.onboard.server.config import with_defaults
from deploy.onboard.server.config_keys import config_arguments
from deploy.onboard.server.launch import FIXED
from deploy.onboard.server.role_arguments import role_arguments
from deploy.onboard.service import CHAT, OLLAMA
from deploy.paths import REPO
from deploy.vm.guest import run_in_guest
from deploy.vm.machine import Machine
from tests.build.builds import wanted
from tests.clients import CHATS
from tests.shapes import TINYLLAMA, Shape, write

PORT = 11999
TURNS = 40  # in four conversations at once
WORDS = 140  # with which each of them begins: more than a window below, and together more than one batch of 512
HEALTH_SECONDS = 240.0
# TinyLlama's shape would need an hour under emulation. All layers use the same buffers, so the peak comes early.
ANSWER_SECONDS = 300

QWEN = Shape("qwen2.5-0.5b", Kind.Q8_0, Kind.Q8_0, 896, 4864, 24, 14, 2, 32000, 32768, tied=True)
QWEN_Q4 = Shape("qwen2.5-0.5b-q4_0", Kind.Q4_0, Kind.Q8_0, 896, 4864, 24, 14, 2, 32000, 32768, tied=True)
MANY_HEADS = Shape("f16, 16 KV heads", Kind.F16, Kind.F16, 1024, 2816, 12, 16, 16, 8000, 16384)
WIDE = Shape("q8_0, wide", Kind.Q8_0, Kind.Q8_0, 1024, 16384, 2, 16, 8, 4096, 8192)
BIG_VOCABULARY = Shape("q8_0, 150k tokens", Kind.Q8_0, Kind.Q8_0, 512, 1408, 8, 8, 4, 150016, 8192, tied=True)


def family(architecture: str, kind: Kind, wide: Kind, *numbers: int, tied: bool = True, **more: int) -> Shape:
    """A shape of 64000 tokens and 16384 of context, named as its architecture."""
    width, feed_forward, layers, heads, heads_kv = numbers
    sizes = (width, feed_forward, layers, heads, heads_kv, 64000, 16384)
    return Shape(architecture, kind, wide, *sizes, tied, architecture, **more)


GEMMA3 = family("gemma3", Kind.Q4_K, Kind.Q6_K, 256, 1024, 12, 4, 4, head_size=256, window=128)
# Each token has an embedding for each layer, so there are few tokens.
GEMMA3N = replace(
    family("gemma3n", Kind.Q8_0, Kind.Q8_0, 256, 512, 22, 4, 2, head_size=128, window=128), vocabulary=8000
)
GPT_OSS = family("gpt-oss", Kind.MXFP4, Kind.Q8_0, 256, 256, 8, 16, 8, tied=False, head_size=64, window=128, experts=16)
QWEN3MOE = family("qwen3moe", Kind.Q4_K, Kind.Q6_K, 256, 256, 6, 8, 4, tied=False, head_size=128, experts=32)
QWEN35 = family("qwen35", Kind.Q8_0, Kind.Q8_0, 384, 768, 12, 4, 2, head_size=128)
LFM2 = family("lfm2", Kind.Q4_0, Kind.Q8_0, 512, 1024, 9, 8, 8)
GRANITE = family("granitehybrid", Kind.Q8_0, Kind.Q8_0, 512, 1024, 8, 8, 8)
MAMBA2 = family("mamba2", Kind.Q8_0, Kind.Q8_0, 512, 0, 12, 0, 0)


@dataclass(frozen=True)
class Case:
    """One measurement: a shape, served."""

    shape: Shape
    context_size: int  # tokens
    repack: bool = True
    cpu: str = "cortex-a76"
    keys: tuple[tuple[str, Any], ...] = ()  # of config.json's section inference
    role: str = CHAT

    @property
    def serving(self) -> Serving:
        """As the estimate wants it: a build without dot products repacks nothing."""
        repack, whole = self.repack and can_repack(CPUS[self.cpu]), self.role != CHAT
        at_once = self.context_size if whole else UBATCH
        return Serving(self.context_size, repack, at_once=at_once, whole=whole, **dict(self.keys))


TABLE = (
    Case(GEMMA3, 8192),
    Case(GEMMA3N, 4096),
    Case(GPT_OSS, 8192),
    Case(QWEN3MOE, 4096),
    Case(QWEN35, 4096),
    Case(LFM2, 4096),
    Case(GRANITE, 4096),
    Case(MAMBA2, 4096),
    Case(GEMMA3, 4096, keys=(("parallel", 2), ("kv_cache", "q8_0"))),
    Case(QWEN35, 4096, keys=(("checkpoints", 2), ("kv_cache", "q4_0"))),
    Case(MANY_HEADS, 16384, keys=(("kv_cache", "q8_0"),)),
    Case(BIG_VOCABULARY, 8192),
    Case(WIDE, 2048),
    Case(MANY_HEADS, 16384),
    Case(MANY_HEADS, 2048, repack=False),
    Case(QWEN, 2048),
    Case(QWEN_Q4, 32768),
    Case(QWEN_Q4, 1024, cpu="generic"),
    Case(TINYLLAMA, 512, repack=False),
    Case(TINYLLAMA, 2048),
)


class Measured(Protocol):
    """Where a llama-server is measured. `folder` is the place of its files there."""

    folder: str

    def run(self, command: str, deadline: float = 120) -> str:
        """Standard output of a shell command, which ends within `deadline` seconds. Raises an error when it fails."""

    def copy(self, file: Path, name: str) -> str:
        """Copies a file into the folder; its path there."""


class InVm:
    """The VM, as its root."""

    folder = "/root/resident"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def run(self, command: str, deadline: float = 120) -> str:
        return run_in_guest(self.machine, command, deadline)

    def copy(self, file: Path, name: str) -> str:
        self.run(f"mkdir -p {self.folder}")
        there, config = f"{self.folder}/{name}", str(self.machine.ssh_config)
        subprocess.run(["scp", "-q", "-F", config, str(file), f"{self.machine.name}:{there}"], check=True)
        return there


class Here:
    """This machine."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def run(self, command: str, deadline: float = 120) -> str:
        done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, timeout=deadline, check=True)
        return done.stdout

    def copy(self, file: Path, name: str) -> str:
        return str(shutil.copy(file, f"{self.folder}/{name}"))


def flags(case: Case, model: str) -> list[str]:
    """What the launcher gives llama-server with the default config, but for the case, port and model."""
    told = {"server": {"port": PORT}, "models": {"default_context_size": case.context_size}}
    told["inference"] = {"repack": case.repack, **dict(case.keys)}
    of_role = role_arguments(case.role, case.context_size, Path(model))
    return [*config_arguments(with_defaults(told, OLLAMA)), "--threads", "1", *FIXED, *of_role]


@contextmanager
def served(at: Measured, server: str, model: str, case: Case) -> Iterator[None]:
    """llama-server, answering."""
    line = shlex.join([server, "--model", model, *flags(case, model)])
    said = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
    at.run(f"cd {at.folder} && (exec env {said} {line} > log 2>&1 < /dev/null & echo $! > pid)")
    try:
        await_health(at)
        yield
    finally:
        at.run(f"kill -9 $(cat {at.folder}/pid); while test -e /proc/$(cat {at.folder}/pid); do sleep 0.1; done")


def clients(at: Measured, *words: object, seconds: float) -> str:
    """What tests/clients.py says, run beside the server."""
    program = at.copy(REPO / "tests" / "clients.py", "clients.py")
    return at.run(f"python3 {program} {' '.join(map(str, words))}", deadline=seconds + 120)


def memory(at: Measured) -> dict[str, int]:
    """Bytes by name of /proc/PID/status: VmHWM, RssAnon, …"""
    lines = (line.split() for line in at.run(f"cat /proc/$(cat {at.folder}/pid)/status").splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1:] == ["kB"]}


def peak(
    at: Measured, server: str, model: str, case: Case, seconds: int, turns: int = TURNS
) -> tuple[dict[str, int], int]:
    """Memory after so many turns, or what could be answered in so many seconds, and how many turns there were."""
    words = min(WORDS, case.context_size // CHATS * 3 // 4)
    with served(at, server, model, case):
        said = clients(at, "chats", PORT, turns, words, seconds, seconds=seconds)
        return memory(at), int(said)


def await_health(at: Measured) -> None:
    """Until the model is loaded. Raises AssertionError with the log's end when the server dies or takes too long."""
    began = time.monotonic()
    while time.monotonic() - began < HEALTH_SECONDS:
        health = f"curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{PORT}/health || true"
        if at.run(health).strip() == "200":
            return
        alive = at.run(f"test -e /proc/$(cat {at.folder}/pid) && echo yes || true").strip()
        assert alive, at.run(f"tail -n 5 {at.folder}/log")
        time.sleep(1)
    raise AssertionError(at.run(f"tail -n 5 {at.folder}/log"))


def row(case: Case, at: Measured, server: str, folder: Path) -> str:
    """Measures one case; its line of the table."""
    model = write(case.shape, folder / "model.gguf")
    guess = estimate_memory(read_gguf_info(model), case.serving).total
    real, turns = peak(at, server, at.copy(model, "served.gguf"), case, ANSWER_SECONDS)
    how = "on" if case.serving.repack else "off" if case.cpu == "cortex-a76" else f"off ({case.cpu})"
    sizes = f"{model.stat().st_size / 1e6:.0f} | {guess / 1e6:.0f} | {real['VmHWM'] / 1e6:.0f}"
    name = ", ".join([case.shape.name, *(f"{key} {value}" for key, value in case.keys)])
    return f"| {name} | {case.context_size} | {how} | {turns} | {sizes} | {guess / real['VmHWM']:.3f} |"


def built(at: Measured, cpu: str) -> str:
    """The llama-server that the deploys build for that CPU, brought there."""
    return at.copy(wanted(cpu).artifact_folder / "llama-server", f"llama-server-{cpu}")


def main() -> None:
    """The cases whose shapes are named, or all, each as a line of the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm.resident")
    parser.add_argument("--server", help="a llama-server of this machine, instead of those in the VM of $BOARDLLAMA_VM")
    parser.add_argument("shapes", nargs="*", metavar="SHAPE")
    told = parser.parse_args()
    print("| shape | context | repacking | turns | file, MB | estimate, MB | VmHWM, MB | ratio |\n" + "|---" * 8 + "|")
    with TemporaryDirectory() as folder, TemporaryDirectory() as there:
        for case in TABLE:
            if case.shape.name in told.shapes or not told.shapes:
                if told.server:
                    line = row(replace(case, repack=False), Here(there), told.server, Path(folder))
                else:
                    at = InVm(Machine.load())
                    line = row(case, at, built(at, case.cpu), Path(folder))
                print(line, flush=True)


if __name__ == "__main__":
    main()
