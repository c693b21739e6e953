"""Tokens per second on a VM with two fast and two slow cores: with all of them at work, and with the fast ones alone.

`BOARDLLAMA_VM=NAME python -m tests.vm.big_little`, as root, prints a table for docs/explanation/benchmarks.md. It
starts the VM with a device tree that says how fast its cores are, deploys a model to it, and makes it so: a cgroup
(version 1) holds each virtual CPU to its share of the host. Needs fdtput, of Debian's device-tree-compiler.
"""

import json
import shlex
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from gguf import GGMLQuantizationType as Kind

from deploy.onboard.service import OLLAMA
from deploy.vm.guest import run_in_guest
from deploy.vm.lifecycle import start_machine, stop_machine
from deploy.vm.machine import Hardware, Machine, machine_folder
from tests.shapes import Shape, write
from tests.vm.machine import INVENTORY, PYINFRA

CONFIG, UNIT = OLLAMA.config, OLLAMA.unit

# The fastest core's speed is 1024. As much of the host's time, in microseconds of PERIOD, has each virtual CPU.
CAPACITIES = (400, 400, 1024, 1024)
PERIOD, QUOTAS = 10_000, (1000, 1000, 2560, 2560)
CGROUPS = Path("/sys/fs/cgroup/cpu")
# The kernels with repacked weights, and those without.
MODELS = (
    Shape("q4_0", Kind.Q4_0, Kind.Q8_0, 1024, 8192, 3, 16, 8, 4096, 2048),
    Shape("q3_k", Kind.Q3_K, Kind.Q3_K, 1024, 8192, 3, 16, 8, 4096, 2048),
)
# models.default_threads and models.default_batch_threads.
WAYS = {"all cores": (4, 0), "fast cores (the default)": (0, 0), "tokens on fast cores, prompts on all": (0, 4)}
QUESTION = {"prompt": " the" * 48, "n_predict": 12, "cache_prompt": False, "ignore_eos": True}
TIMES, DEADLINE = 3, 600.0


def device_tree(folder: Path, hardware: Hardware) -> Path:
    """QEMU's own device tree for that hardware, with the capacities in it."""
    tree = folder / "capacities.dtb"
    machine = ["-machine", f"virt,dumpdtb={tree}", "-cpu", hardware.cpu, "-smp", str(hardware.cores)]
    subprocess.run(
        ["qemu-system-aarch64", "-nodefaults", "-display", "none", *machine], check=True, capture_output=True
    )
    for number, capacity in enumerate(CAPACITIES):
        words = [str(tree), f"/cpus/cpu@{number}", "capacity-dmips-mhz", str(capacity)]
        subprocess.run(["fdtput", "-t", "i", *words], check=True)
    return tree


def virtual_cpus(machine: Machine) -> dict[str, int]:
    """QEMU's threads by name: {"CPU 0/TCG": 4711, …}."""
    threads = Path(f"/proc/{machine.process_id()}/task").iterdir()
    return {(thread / "comm").read_text().strip(): int(thread.name) for thread in threads}


@contextmanager
def slowed(machine: Machine, quotas: tuple[int, ...] = QUOTAS) -> Iterator[None]:
    """Each virtual CPU has its share of the host's time, and gets it before others do."""
    threads = virtual_cpus(machine)
    groups = [CGROUPS / f"{machine.name}-cpu{number}" for number in range(len(quotas))]
    for number, (group, quota) in enumerate(zip(groups, quotas, strict=True)):
        group.mkdir(exist_ok=True)
        (group / "cpu.shares").write_text("100000")
        (group / "cpu.cfs_period_us").write_text(str(PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
        (group / "tasks").write_text(str(threads[f"CPU {number}/TCG"]))
    try:
        yield
    finally:
        for group in groups:
            for thread in (group / "tasks").read_text().split():
                (CGROUPS / "tasks").write_text(thread)
            group.rmdir()


def serve(machine: Machine, threads: int, batch_threads: int) -> str:
    """Restarts the service with those threads; the cores that its own threads may use, as the kernel says."""
    keys = {"default_threads": threads, "default_batch_threads": batch_threads}
    edits = " ".join(f'-e \'s/"{key}": [0-9]*/"{key}": {value}/\'' for key, value in keys.items())
    process = f"$(systemctl show -P MainPID {UNIT})"
    allowed = f"sed -n 's/^Cpus_allowed_list:\t//p' /proc/{process}/task/*/status | sort -u"
    return run_in_guest(
        machine, f"sed -i {edits} {CONFIG} && systemctl restart {UNIT} && {allowed}", deadline=DEADLINE
    ).strip()


def speeds(machine: Machine) -> tuple[float, float]:
    """Tokens per second of the prompt and of the answer: medians, after one answer that does not count."""
    ask = f"curl -sSf http://127.0.0.1:11434/completion -d {shlex.quote(json.dumps(QUESTION))}"
    answers = [json.loads(run_in_guest(machine, ask, deadline=DEADLINE))["timings"] for _ in range(TIMES + 1)][1:]
    return (
        statistics.median(answer["prompt_per_second"] for answer in answers),
        statistics.median(answer["predicted_per_second"] for answer in answers),
    )


def rows(machine: Machine, model: Path) -> Iterator[str]:
    """The lines of the table for one model, which is deployed first."""
    told = ["--data", "model=path", "--data", f"model_path={model}", "--data", "config_conflict=overwrite"]
    subprocess.run([str(PYINFRA), "-y", str(INVENTORY), "deploy.py", *told], check=True, capture_output=True)
    for way, threads in WAYS.items():
        cores = serve(machine, *threads)
        with slowed(machine):
            prompt, answer = speeds(machine)
        yield f"| {model.stem} | {way} | {cores} | {prompt:.2f} | {answer:.2f} |"


def main() -> None:
    """The whole table, on a VM of its own that is gone afterwards."""
    folder = machine_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    hardware = Hardware(cores=len(CAPACITIES))
    machine = start_machine(hardware=replace(hardware, device_tree=str(device_tree(folder, hardware))))
    print("| model | at work | cores allowed | prompt, tokens/s | answer, tokens/s |\n|---|---|---|---|---|")
    try:
        with TemporaryDirectory() as models:
            for shape in MODELS:
                for row in rows(machine, write(shape, Path(models) / f"{shape.name}.gguf")):
                    print(row, flush=True)
    finally:
        stop_machine(wipe=True)


if __name__ == "__main__":
    main()
