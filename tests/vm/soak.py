"""An hour of clients of every kind at once, in the VM: llama-server's memory stays within its estimate.

`BOARDLLAMA_VM=NAME python -m tests.vm.soak [MINUTES [SHAPE]]` on a VM that is up; make soak. Prints memory once a
minute and what the clients did; ends with 1 when VmHWM passed the estimate by more than the tenth that is promised, or
when the server went away.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.models.gguf_info import read
from deploy.models.memory import estimate
from deploy.vm.machine import Machine
from tests.build.builds import wanted
from tests.shapes import write
from tests.vm.resident import PORT, TABLE, clients, copy, memory, served


def soak(machine: Machine, seconds: float, shape: str) -> bool:
    """True when the server's memory stayed within the estimate."""
    case = next(case for case in TABLE if case.shape.name == shape)
    with TemporaryDirectory() as folder:
        model = write(case.shape, Path(folder) / "model.gguf")
        guess = estimate(read(model), case.serving).total
        server = copy(machine, wanted(case.cpu).artifact / "llama-server", f"llama-server-{case.cpu}")
        there = copy(machine, model, "model.gguf")
    print(f"{shape}, context {case.context_size}: estimated {guess / 1e6:.0f} MB", flush=True)
    with served(machine, server, there, case.context_size), ThreadPoolExecutor() as pool:
        work = pool.submit(clients, machine, "mixed", PORT, seconds, seconds=seconds)
        began = time.monotonic()
        while not work.done():
            time.sleep(60)
            said = ", ".join(f"{name} {memory(machine)[name] / 1e6:.0f} MB" for name in ("VmHWM", "VmRSS"))
            print(f"{time.monotonic() - began:.0f} s: {said}", flush=True)
        print(work.result().strip(), flush=True)
        return memory(machine)["VmHWM"] <= 1.1 * guess


def main(minutes: str = "60", shape: str = "gemma3") -> int:
    """0 when memory stayed within the estimate."""
    return 0 if soak(Machine.load(), float(minutes) * 60, shape) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
