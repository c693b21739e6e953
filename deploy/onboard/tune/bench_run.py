"""One run of llama-bench, watched: ended at once when a client of the board comes.

It is below the server in everything: lower priority, first to be ended when memory is short, and gone with this program
however this program ends.
"""

import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..json_parts import parse_json
from .conditions import Conditions
from .setup import Figure, Setup, Size

LOOK_SECONDS = 1.0
BELOW = ("setpriv", "--pdeathsig", "KILL", "choom", "--adjust", "1000", "--", "nice", "-n", "10")


class Disturbed(Exception):
    """A client of the board came during a run, which was ended."""


class BenchFailed(Exception):
    """llama-bench ended badly. The message has its last words."""


def bench_command(program: Path, model: Path, setup: Setup, size: Size) -> list[str]:
    """llama-bench's argument vector, on the cores of the setup."""
    threads = ",".join(map(str, dict.fromkeys((setup.threads, setup.batch_threads))))
    cores = ",".join(map(str, setup.cores))
    words = {
        "--model": model,
        "--n-prompt": size.prompt,
        "--n-gen": size.generation,
        "--n-depth": size.depth,
        "--repetitions": 1,
        "--threads": threads,
        "--batch-size": setup.ubatch,
        "--ubatch-size": setup.ubatch,
        "--flash-attn": "on" if setup.flash else "off",
        "--cache-type-k": setup.kv_cache,
        "--cache-type-v": setup.kv_cache,
        "--load-mode": setup.load,
        "--repack": int(setup.repack),
        "--output": "jsonl",
    }
    told = [str(word) for pair in words.items() for word in pair]
    return [*BELOW, "taskset", "--cpu-list", cores, str(program), *told]


def run_bench(command: list[str], setup: Setup, conditions: Conditions, is_disturbed: Callable[[], bool]) -> Figure:
    """The figures of one run. Raises Disturbed, BenchFailed, OSError."""
    conditions.begin_run(setup.cores)
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", "XDG_CONFIG_HOME": "/nonexistent"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        try:
            printed = watch_output(process, conditions, is_disturbed)
            said = process.stderr.read().decode(errors="replace") if process.stderr else ""
        except BaseException:
            process.kill()
            raise
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchFailed(end_words(process.returncode, said))
    spoiled = conditions.end_run(usage.ru_utime + usage.ru_stime)
    return read_figure(printed, setup, usage.ru_maxrss * 1024, spoiled)


def watch_output(process: "subprocess.Popen[bytes]", conditions: Conditions, is_disturbed: Callable[[], bool]) -> bytes:
    """All that llama-bench prints. Raises Disturbed."""
    assert process.stdout
    printed = b""
    while True:
        if select.select([process.stdout], [], [], LOOK_SECONDS)[0]:
            if not (piece := os.read(process.stdout.fileno(), 1 << 16)):
                return printed
            printed += piece
        conditions.look()
        if is_disturbed():
            raise Disturbed


def end_words(status: int, said: str) -> str:
    """Why llama-bench ended badly."""
    if status == -signal.SIGKILL:
        return "the kernel ended it: memory was short"
    if status == -signal.SIGILL:
        return "this CPU lacks an instruction of the build"
    last = [line.strip() for line in said.splitlines() if line.strip()]
    return last[-1] if last else f"it ended with status {status}"


def read_figure(printed: bytes, setup: Setup, memory: int, spoiled: str) -> Figure:
    """The figures out of lines of JSON, each for the threads that the setup gives to prompts or tokens.

    Raises BenchFailed.
    """
    try:
        rows = [parse_json(line) for line in printed.decode().splitlines() if line.strip()]
        return Figure(
            prompt=rate_of(rows, "n_prompt", setup.batch_threads),
            generation=rate_of(rows, "n_gen", setup.threads),
            memory=memory,
            spoiled=spoiled,
        )
    except (ValueError, KeyError, TypeError, StopIteration):
        raise BenchFailed(f"it printed {printed[:100]!r}, which holds no figures") from None


def rate_of(rows: list[Mapping[str, Any]], kind: str, threads: int) -> float:
    """Tokens per second of the row of that kind, computed by so many threads."""
    return float(next(row["avg_ts"] for row in rows if row[kind] and row["n_threads"] == threads))
