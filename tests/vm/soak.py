"""An hour of clients of every kind at once: llama-server's memory stays within its estimate.

`BOARDLLAMA_VM=NAME python -m tests.vm.soak [MINUTES [SHAPE]]` on a VM that is up; make soak. With `--server PROGRAM` a
llama-server of this machine serves, which does some twenty times as much in that time. Prints memory once a minute and
what the clients did; ends with 1 when VmHWM passed the estimate by more than the tenth that is promised, or when the
server went away.
"""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.models.gguf.info import read_gguf_info
from deploy.models.memory.estimate import estimate_memory
from deploy.vm.machine import Machine
from tests.shapes import write
from tests.vm.resident import PORT, TABLE, Case, Here, InVm, Measured, built, clients, memory, served


def soak(at: Measured, server: str, case: Case, seconds: float) -> bool:
    """True when the server's memory stayed within the estimate."""
    with TemporaryDirectory() as folder:
        model = write(case.shape, Path(folder) / "model.gguf")
        guess = estimate_memory(read_gguf_info(model), case.serving).total
        there = at.copy(model, "served.gguf")
    print(f"{case.shape.name}, context {case.context_size}: estimated {guess / 1e6:.0f} MB", flush=True)
    with served(at, server, there, case), ThreadPoolExecutor() as pool:
        work = pool.submit(clients, at, "mixed", PORT, seconds, seconds=seconds)
        began = time.monotonic()
        while not work.done():
            time.sleep(60)
            said = ", ".join(f"{name} {memory(at)[name] / 1e6:.0f} MB" for name in ("VmHWM", "VmRSS"))
            print(f"{time.monotonic() - began:.0f} s: {said}", flush=True)
        print(work.result().strip(), flush=True)
        return memory(at)["VmHWM"] <= 1.1 * guess


def main() -> int:
    """0 when memory stayed within the estimate."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm.soak")
    parser.add_argument("--server", help="a llama-server of this machine, instead of the one in the VM")
    parser.add_argument("minutes", nargs="?", type=float, default=60.0)
    parser.add_argument("shape", nargs="?", default="gemma3", choices=sorted({case.shape.name for case in TABLE}))
    told = parser.parse_args()
    case, seconds = next(case for case in TABLE if case.shape.name == told.shape), told.minutes * 60
    if not told.server:
        at = InVm(Machine.load())
        return 0 if soak(at, built(at, case.cpu), case, seconds) else 1
    with TemporaryDirectory() as there:
        return 0 if soak(Here(there), told.server, replace(case, repack=False), seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
