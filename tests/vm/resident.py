"""How much memory llama-server really takes in the VM: a binary and a model copied there, started as the launcher does.

`BOARDLLAMA_VM=NAME python -m tests.vm.resident` prints the table of docs/benchmarks.md on a VM that is up.
"""

import json
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from gguf import GGMLQuantizationType as Kind

from deploy.cpu import CPUS
from deploy.models.gguf_info import read
from deploy.models.memory import Serving, estimate, repacks
from deploy.onboard.config import KEYS
from deploy.onboard.launch import FIXED
from deploy.vm.machine import Machine
from deploy.vm.ready import ssh
from tests.build.builds import wanted
from tests.shapes import Shape, write

FOLDER = "/root/resident"
PORT = 11999
PROMPT = 530  # tokens: more than one batch of 512
HEALTH_SECONDS = 120.0
# All layers use the same buffers, so the peak comes with the first layers of the first batch. TinyLlama's shape would
# need ten minutes for the prompt under emulation.
ANSWER_SECONDS = 90

TINYLLAMA = Shape("tinyllama", Kind.Q4_K, Kind.Q6_K, 2048, 5632, 22, 32, 4, 32000, 2048)
QWEN = Shape("qwen2.5-0.5b", Kind.Q8_0, Kind.Q8_0, 896, 4864, 24, 14, 2, 32000, 32768, tied=True)
QWEN_Q4 = Shape("qwen2.5-0.5b-q4_0", Kind.Q4_0, Kind.Q8_0, 896, 4864, 24, 14, 2, 32000, 32768, tied=True)
MANY_HEADS = Shape("f16, 16 KV heads", Kind.F16, Kind.F16, 1024, 2816, 12, 16, 16, 8000, 16384)
WIDE = Shape("q8_0, wide", Kind.Q8_0, Kind.Q8_0, 1024, 16384, 2, 16, 8, 4096, 8192)
BIG_VOCABULARY = Shape("q8_0, 150k tokens", Kind.Q8_0, Kind.Q8_0, 512, 1408, 8, 8, 4, 150016, 8192, tied=True)


@dataclass(frozen=True)
class Case:
    """One measurement: a shape, served."""

    shape: Shape
    context_size: int  # tokens
    repack: bool = True
    cpu: str = "cortex-a76"

    @property
    def serving(self) -> Serving:
        """As the estimate wants it: a build without dot products repacks nothing."""
        return Serving(self.context_size, self.repack and repacks(CPUS[self.cpu]))


TABLE = (
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


def copy(machine: Machine, file: Path, name: str) -> str:
    """Copies a file to the VM; its path there."""
    ssh(machine, f"mkdir -p {FOLDER}")
    there = f"{FOLDER}/{name}"
    subprocess.run(["scp", "-q", "-F", str(machine.ssh_config), str(file), f"{machine.name}:{there}"], check=True)
    return there


def flags(context_size: int) -> list[str]:
    """What the launcher gives llama-server with the default config, but for context, port and model."""
    arguments = []
    for keys in KEYS.values():
        for name, key in keys.items():
            changed = {"default_context_size": context_size, "port": PORT}
            arguments += key.arguments(changed.get(name, key.default))
    return [*arguments, "--threads", "2", *FIXED]


def peak(machine: Machine, server: str, model: str, context_size: int, *more: str) -> dict[str, int]:
    """Bytes by name of /proc/PID/status (VmHWM, RssAnon, …) after ANSWER_SECONDS of a prompt of more than one batch."""
    line = shlex.join([server, "--model", model, *flags(context_size), *more])
    ssh(machine, f"cd {FOLDER} && (exec {line} > log 2>&1 < /dev/null & echo $! > pid)")
    try:
        await_health(machine)
        words = min(PROMPT, context_size * 3 // 4)
        body = json.dumps({"prompt": " the" * words, "n_predict": 4})
        url = f"http://127.0.0.1:{PORT}/completion"
        ask = f"curl -sSf --max-time {ANSWER_SECONDS} {url} -d {shlex.quote(body)} || test $? = 28"  # 28: timed out
        ssh(machine, ask, deadline=ANSWER_SECONDS + 60)
        status = ssh(machine, f"cat /proc/$(cat {FOLDER}/pid)/status")
    finally:
        ssh(machine, f"kill -9 $(cat {FOLDER}/pid); while test -e /proc/$(cat {FOLDER}/pid); do sleep 0.1; done")
    lines = (line.split() for line in status.splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1:] == ["kB"]}


def await_health(machine: Machine) -> None:
    """Until the model is loaded. Raises AssertionError with the log's end when the server dies or takes too long."""
    began = time.monotonic()
    while time.monotonic() - began < HEALTH_SECONDS:
        health = f"curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{PORT}/health || true"
        if ssh(machine, health).strip() == "200":
            return
        alive = ssh(machine, f"test -e /proc/$(cat {FOLDER}/pid) && echo yes || true").strip()
        assert alive, ssh(machine, f"tail -n 5 {FOLDER}/log")
        time.sleep(1)
    raise AssertionError(ssh(machine, f"tail -n 5 {FOLDER}/log"))


def row(case: Case, machine: Machine, folder: Path) -> str:
    """Measures one case; its line of the table."""
    model = write(case.shape, folder / "model.gguf")
    guess = estimate(read(model), case.serving).total
    server = copy(machine, wanted(case.cpu).artifact / "llama-server", f"llama-server-{case.cpu}")
    more = [] if case.repack else ["--no-repack"]
    real = peak(machine, server, copy(machine, model, "model.gguf"), case.context_size, *more)["VmHWM"]
    how = "on" if case.serving.repack else "off" if case.cpu == "cortex-a76" else f"off ({case.cpu})"
    sizes = f"{model.stat().st_size / 1e6:.0f} | {guess / 1e6:.0f} | {real / 1e6:.0f} | {guess / real:.3f}"
    return f"| {case.shape.name} | {case.context_size} | {how} | {sizes} |"


def main() -> None:
    """All cases on the VM of $BOARDLLAMA_VM."""
    print(
        "| shape | context | repacking | file, MB | estimate, MB | VmHWM, MB | ratio |\n|---|---|---|---|---|---|---|"
    )
    with TemporaryDirectory() as folder:
        for case in TABLE:
            print(row(case, Machine.load(), Path(folder)), flush=True)


if __name__ == "__main__":
    main()
