"""`make tune` on the board, from its request to its result, over the connection of whoever asked.

Each line of output is JSON: {"say": …} while it works, then {"result": …} or {"refused": why}. The input is signs of
life, as for the lock. When it ends or falls silent, the sweep ends too, and the board is as it was.
"""

import json
import os
import select
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
from ..json_parts import parse_json
from ..places import PLACES, Places
from ..release.lease import SILENCE
from ..server.config import ConfigError
from ..server.cores import physical_cores
from .bandwidth import memory_bandwidth
from .bench import Bench, free_memory
from .bench_run import BenchFailed
from .borrowed import NOTE, Borrowed, give_back
from .conditions import Conditions
from .core_kinds import kinds_of_cores
from .served_model import ServedModel, Unfit, read_served_model, rough_needs
from .setup import Setup
from .stages import Stage, builds_stage, later_stages, threads_label, threads_setups
from .system_costs import system_costs
from .traffic import Traffic
from .weights_read import bytes_per_token

PROGRAM = "llama-bench"
# Of the time: the rest is for the last contest, between what is served now and the winner.
FOR_STAGES = 0.8


class SweepInterrupted(BaseException):
    """Whoever asked is gone, or has interrupted the sweep."""


@dataclass(frozen=True)
class SweepRequest:
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
    def read(file: Path) -> "SweepRequest":
        """The request in a file, beside its builds. Raises OSError, ValueError, KeyError."""
        told = parse_json(file.read_text())
        needs = told["needs"] and {True: told["needs"]["repack"], False: told["needs"]["plain"]}
        names = ("minutes", "prompt_weight", "stop_serving", "builds")
        return SweepRequest(file.parent, needs=needs, **{name: told[name] for name in names})


def say_to_controller(line: str) -> None:
    print(json.dumps({"say": line}), flush=True)


def run_tune(words: list[str] | None = None, places: Places = PLACES, note: Path = NOTE) -> int:
    """Answers the request in the file that the command line names. Returns the exit status."""
    file = Path((words or sys.argv[2:])[0])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    threading.Thread(target=await_end_of_input, daemon=True).start()
    try:
        with borrowed_board(note) as borrowed:
            answer: dict[str, Any] = {"result": tune_board(SweepRequest.read(file), places, borrowed)}
    except (Unfit, BenchFailed, ConfigError, GgufError, OSError, ValueError, LookupError) as error:
        answer = {"refused": str(error)}
    except SweepInterrupted:
        return 130
    print(json.dumps(answer), flush=True)
    return 0


def interrupt(_number: int, _frame: FrameType | None) -> None:
    raise SweepInterrupted


def await_end_of_input() -> None:
    """Ends this program when its input does, or gives no sign of life: a pulled cable ends no connection."""
    while select.select([0], [], [], SILENCE)[0] and os.read(0, 4096):
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


def tune_board(request: SweepRequest, places: Places, borrowed: Borrowed) -> dict[str, Any]:
    """The result, as deploy/tune/outcome.py reads it. Raises as `run_tune` catches."""
    began, seconds = time.monotonic(), 60 * request.minutes
    served = read_served_model(places)
    if request.stop_serving:
        for service in served.services:
            borrowed.stop_unit(service.unit)
    bench = bench_for(request, served, borrowed, end=began + FOR_STAGES * seconds)
    require_memory(served, bench, request.stop_serving)
    bench.traffic.await_quiet(bench.end, say_to_controller)
    costs, kinds = list(system_costs()), kinds_of_cores(os.sched_getaffinity(0))
    bandwidth = max(memory_bandwidth(cores, free_memory()) for cores in kinds)
    say_to_controller(f"the memory moves {bandwidth / 1e9:.1f} GB/s")
    bench.calibrate(served.setup)
    stages, best = sweep_stages(bench, served.setup, kinds, request)
    bench.end = began + seconds
    last, best = confirm_winner(bench, served.setup, best, request.prompt_weight)
    return {
        "board": board_model(),
        "model": served.model.name,
        "now": served.setup.to_json(),
        "best": best.to_json(),
        "stages": [stage.to_json() for stage in stages],
        "last": last.to_json(),
        "bandwidth": round(bandwidth),
        "bytes_per_token": bytes_per_token(served.weights),
        "costs": costs,
        "hottest": bench.conditions.hottest,
    }


def bench_for(request: SweepRequest, served: ServedModel, borrowed: Borrowed, end: float) -> Bench:
    """What measures here. `end`: time.monotonic, of the stages."""
    brought = {name: request.folder / "builds" / name / PROGRAM for name in request.builds}
    return Bench(
        programs=brought | {served.setup.build: served.release.folder / PROGRAM},
        model=served.model.resolve(),
        needs=request.needs or rough_needs(served.weights),
        traffic=Traffic([] if request.stop_serving else served.services),
        conditions=Conditions(),
        borrowed=borrowed,
        say=say_to_controller,
        end=end,
    )


def require_memory(served: ServedModel, bench: Bench, stopped: bool) -> None:
    """Raises Unfit when not even the setup in place has the memory that is free now."""
    if lacking := bench.lacking_memory(served.setup):
        advice = "take a smaller model" if stopped else "STOP_SERVING=1 stops the server meanwhile"
        raise Unfit(f"{served.model.name} cannot be run beside what serves: {lacking}; {advice}")


def sweep_stages(
    bench: Bench, base: Setup, kinds: list[tuple[int, ...]], request: SweepRequest
) -> tuple[list[Stage], Setup]:
    """The stages that there was time for, and the best setup."""
    best, stages = base, list[Stage]()
    questions = [
        lambda now: threads_setups(now, kinds, lambda cores: physical_cores(cores=set(cores))),
        lambda now: builds_stage(now, request.builds),
        *later_stages(base, bench.size.prompt),
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
