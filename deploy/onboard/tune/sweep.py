"""`make tune` on the board, from its request to its result, over the connection of whoever asked.

Each line of output is JSON: {"say": …} while it works, then {"result": …} or {"refused": why}. The end of the input is
the end of whoever asked: the sweep ends too, and the board is as it was.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from ..doctor.sensors import board_model
from ..gguf.header import GgufError
from ..places import PLACES, Places
from ..release.releases import Release, current_release
from ..server.companions import files_served
from ..server.config import ConfigError, load_config
from ..server.cores import physical_cores, share_out
from ..server.launch import find_model, ready_services
from ..service import Service
from .bandwidth import memory_bandwidth
from .bench import SPARE, Bench, free_memory
from .bench_run import BenchFailed
from .borrowed import NOTE, Borrowed, give_back
from .conditions import Conditions
from .core_kinds import kinds_of_cores
from .setup import Setup
from .stages import Stage, builds_stage, later_stages, threads_label, threads_setups
from .system_costs import system_costs
from .traffic import Traffic
from .weights_read import bytes_per_token

PROGRAM = "llama-bench"
# Of the time: the rest is for the last contest, between what is served now and the winner.
FOR_STAGES = 0.8
# Without a header on the controller: what a run takes beside the weights and their repacked copy, in bytes.
BESIDE_WEIGHTS = 300_000_000
DEEP = 2  # prompts that a conversation has already, where its cache is asked about


class Unfit(Exception):
    """This board cannot be tuned now. The message says why, and what to do."""


class Interrupted(BaseException):
    """Whoever asked is gone, or has interrupted the sweep."""


@dataclass(frozen=True)
class Request:
    """What the controller asks. `builds`: names of further builds, each a folder of `folder`. `needs`: bytes of memory
    with repacked weights and without; None where the controller does not have the model.
    """

    folder: Path
    minutes: float
    prompt_weight: float
    stop_serving: bool
    builds: list[str]
    needs: dict[bool, int] | None

    @staticmethod
    def read(file: Path) -> "Request":
        """The request in a file, beside its builds. Raises OSError, ValueError, KeyError."""
        told = json.loads(file.read_text())
        needs = told["needs"] and {True: told["needs"]["repack"], False: told["needs"]["plain"]}
        names = ("minutes", "prompt_weight", "stop_serving", "builds")
        return Request(file.parent, needs=needs, **{name: told[name] for name in names})


def say_line(line: str) -> None:
    print(json.dumps({"say": line}), flush=True)


def run_tune(words: list[str] | None = None, places: Places = PLACES, note: Path = NOTE) -> int:
    """Answers the request in the file that the command line names. Returns the exit status."""
    file = Path((words or sys.argv[2:])[0])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    threading.Thread(target=await_end_of_input, daemon=True).start()
    try:
        with borrowed_board(note) as borrowed:
            answer: dict[str, Any] = {"result": tune_board(Request.read(file), places, borrowed)}
    except (Unfit, BenchFailed, ConfigError, GgufError, OSError, ValueError, LookupError) as error:
        answer = {"refused": str(error)}
    except Interrupted:
        return 130
    print(json.dumps(answer), flush=True)
    return 0


def interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


def await_end_of_input() -> None:
    """Ends this program when its input does."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def borrowed_board(note: Path) -> Iterator[Borrowed]:
    """The board to change, which is put back at the end; first after a sweep that was killed. Raises Unfit."""
    give_back(note)
    try:
        yield Borrowed(note)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if wrong := give_back(note):
            raise Unfit("; ".join(wrong))


def tune_board(request: Request, places: Places, borrowed: Borrowed) -> dict[str, Any]:
    """The result, as deploy/tune/outcome.py reads it. Raises as `run_tune` catches."""
    end = time.monotonic() + 60 * request.minutes
    release, services = servers_here(places)
    service = services[0]
    config = load_config(service, release.config(service))
    model = find_model(config["models"], release, service)
    files = [path for kind, path in files_served(release, service, model) if kind == "weights"]
    base = setup_now(release, config)
    needs = request.needs or rough_needs(files)
    if request.stop_serving:
        for one in services:
            borrowed.stop_unit(one.unit)
    require_memory(model.name, needs[base.repack], request.stop_serving)
    programs = {name: request.folder / "builds" / name / PROGRAM for name in request.builds}
    bench = Bench(
        programs={**programs, base.build: release.folder / PROGRAM},
        model=model.resolve(),
        needs=needs,
        traffic=Traffic([] if request.stop_serving else services),
        conditions=Conditions(),
        borrowed=borrowed,
        say=say_line,
        end=end - (1 - FOR_STAGES) * 60 * request.minutes,
    )
    bench.traffic.await_quiet(bench.end, say_line)
    costs = list(system_costs())
    moved = memory_bandwidth(base.cores, free_memory())
    say_line(f"the memory moves {moved / 1e9:.1f} GB/s")
    bench.calibrate(base)
    stages, best = sweep_stages(bench, base, request)
    bench.end = end
    last, best = confirm_winner(bench, base, best, request.prompt_weight)
    return {
        "board": board_model(),
        "model": model.name,
        "now": base.to_json(),
        "best": best.to_json(),
        "stages": [stage.to_json() for stage in stages],
        "last": last.to_json(),
        "bandwidth": round(moved),
        "bytes_per_token": bytes_per_token(files),
        "costs": costs,
        "hottest": bench.conditions.hottest,
    }


def servers_here(places: Places) -> tuple[Release, list[Service]]:
    """The committed release and its servers that have a model. Raises Unfit without one."""
    release = current_release(places)
    servers = [service for service in ready_services(release) if service.has_model] if release else []
    if release is None or not servers:
        raise Unfit("no model is served here: `make deploy` first")
    return release, servers


def setup_now(release: Release, config: dict[str, Any]) -> Setup:
    """How the release computes."""
    work = share_out(config["models"])
    return Setup(
        build=str(release.stated("build", "name")).rpartition("-")[0],
        cores=tuple(sorted(work.cores)),
        threads=work.threads,
        batch_threads=work.batch_threads,
        repack=config["inference"]["repack"],
        kv_cache=config["inference"]["kv_cache"],
    )


def rough_needs(files: list[Path]) -> dict[bool, int]:
    """Bytes of memory that a run takes at most, by the size of the weights alone."""
    size = sum(file.stat().st_size for file in files)
    return {True: 2 * size + BESIDE_WEIGHTS, False: size + BESIDE_WEIGHTS}


def require_memory(name: str, need: int, stopped: bool) -> None:
    """Raises Unfit when not even the setup in place has the memory that is free now."""
    free, mb = free_memory(), 1_000_000
    if need + SPARE > free:
        advice = "take a smaller model" if stopped else "STOP_SERVING=1 stops the server meanwhile"
        raise Unfit(f"a run of {name} takes {(need + SPARE) // mb} MB, and {free // mb} MB are free here: {advice}")


def sweep_stages(bench: Bench, base: Setup, request: Request) -> tuple[list[Stage], Setup]:
    """The stages that there was time for, and the best setup."""
    kinds = kinds_of_cores(os.sched_getaffinity(0))
    best, stages = base, list[Stage]()
    depth = DEEP * bench.size.prompt
    questions = [
        lambda now: threads_setups(now, kinds, lambda cores: physical_cores(cores=set(cores))),
        lambda now: builds_stage(now, request.builds),
        *later_stages(base, depth),
    ]
    for ask in questions:
        stage = ask(best)
        if len(stage.setups) > 1 and not bench.is_late():
            best = stage.run(bench, request.prompt_weight)
            stages.append(stage)
    return stages, best


def confirm_winner(bench: Bench, base: Setup, best: Setup, prompt_weight: float) -> tuple[Stage, Setup]:
    """The last contest, between what is served now and the winner of the stages, and which of the two is faster."""
    setups = {"now": base, **({"tuned": best} if best != base else {})}
    bench.say(f"last: {threads_label(best)}")
    last = Stage("last", setups, all_rounds=True)
    return last, last.run(bench, prompt_weight)
