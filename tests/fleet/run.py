"""One run of `make fleet`: fleets of several sizes, each asked for the same work by each tool, and the odd boards."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cached_property
from typing import Any

from gguf import GGMLQuantizationType as Kind

from deploy.build.artifact import require_artifact
from deploy.controller.programs import program_output
from deploy.controller.progress import say_line
from deploy.errors import BoardllamaError
from deploy.models.smoke import smoke_model
from deploy.vm.lifecycle import start_machine, stop_machine
from deploy.vm.machine import Hardware, machine_folder
from deploy.vm.root_tree import ensure_vm_root
from tests.bench.run import processor_name
from tests.bench.shapes import ensure_model
from tests.build.builds import wanted
from tests.fleet.apart import run_folder
from tests.fleet.board_tree import deploys_cache, ensure_board_tree, fleet_folder
from tests.fleet.boards import Board, Fleet
from tests.fleet.history import Measured, OddBoard, Record, UnderLoad
from tests.fleet.measure import Costs, measure_command
from tests.fleet.odd import judge_odd_boards
from tests.fleet.stand_ins import ensure_stand_ins
from tests.fleet.tools import MITOGEN, OURS, TOOLS, Work, ensure_ansible
from tests.fleet.under_load import DEATH, HAPPENINGS, NOT_BACK, UPGRADE, judge_under_load
from tests.shapes import Shape

# The boards' processor, whose programs are stand-ins, and that of the virtual machines, whose programs are real.
BOARD_CPU, MACHINE_CPU = "cortex-a76", "cortex-a72"
# 222 MB, as small as a model is that anybody serves.
ROLLED_OUT = Shape("rolled-out", Kind.Q4_K, Kind.Q6_K, 2048, 5632, 8, 32, 4, 4000, 2048)
SHARED = replace(ROLLED_OUT, name="shared")
SMALLER = (1, 10)
ODD = "odd"
# As few as show that the others go on.
FEWEST_BEHIND_GATEWAY = 3
SCENARIOS = {
    "first": "first deploy",
    "nochange": "no change",
    "config": "config change",
    "model": "model of 222 MB",
    "peers": "model of 222 MB, from board to board",
    ODD: "odd boards",
    UPGRADE: "upgrade of all boards",
    NOT_BACK: "upgrade from which a board does not come back",
    DEATH: "death of a board",
}


@dataclass(frozen=True)
class Run:
    """`sizes`: boards of each fleet, virtual machines among them; `machines`: at most so many of them."""

    sizes: tuple[int, ...]
    machines: int
    rivals: tuple[str, ...]
    scenarios: tuple[str, ...]

    @property
    def compared(self) -> bool:
        """Whether there is anything that each tool does."""
        return bool(set(self.scenarios) - {ODD, *HAPPENINGS})

    @property
    def in_fleets(self) -> bool:
        """Whether anything is done with the fleets, which virtual machines are in."""
        return self.compared or ODD in self.scenarios

    @cached_property
    def work(self) -> Work:
        """What a board has at first."""
        return Work(deploys_cache() / "builds" / wanted(BOARD_CPU).name, smoke_model())

    def prepare(self) -> None:
        """Makes all that takes a network, or long. Raises BoardllamaError."""
        ensure_board_tree()
        ensure_stand_ins(wanted(BOARD_CPU), deploys_cache())
        assert self.work
        if {"model", ODD} & set(self.scenarios):
            ensure_model(ROLLED_OUT)
        if "peers" in self.scenarios:
            ensure_model(SHARED)
        if self.rivals and self.compared:
            ensure_ansible()
        if self.machines and self.in_fleets:
            ensure_vm_root()
            self.take_real_build()

    def take_real_build(self) -> None:
        """Has the machines' build in the fleet's cache, of the user's own. Raises BoardllamaError."""
        build = wanted(MACHINE_CPU)
        link = deploys_cache() / "builds" / build.name
        try:
            require_artifact(build)
        except BoardllamaError as error:
            raise BoardllamaError(f"{error}; `make builds` makes it, or say VMS=0") from None
        link.unlink(missing_ok=True)
        link.symlink_to(build.artifact_folder)

    def measure(self) -> Iterator[Record]:
        """Measures each fleet, inside of the namespaces: a record of each tool there. Raises BoardllamaError."""
        for size in self.sizes if self.in_fleets else ():
            with self.fleet(size) as (fleet, hosts):
                for tool in (OURS, *self.rivals) if self.compared else ():
                    yield new_record(list(self.each_scenario(tool, fleet, hosts)))
                if ODD in self.scenarios and size == self.sizes[-1]:
                    yield new_record([], judge_odd_boards(fleet, hosts, replace(self.rolled_out, top_k=42)))
        if happenings := [name for name in HAPPENINGS if name in self.scenarios]:
            size = max(self.sizes[-1], FEWEST_BEHIND_GATEWAY)
            with replace(self, machines=0).fleet(size) as (fleet, _):
                yield new_record([], under_load=list(judge_under_load(fleet, self.work_with, happenings)))

    def work_with(self, top_k: int) -> Work:
        return replace(self.work, top_k=top_k)

    @property
    def rolled_out(self) -> Work:
        return replace(self.work, model=ensure_model(ROLLED_OUT), top_k=41)

    @contextmanager
    def fleet(self, size: int) -> Iterator[tuple[Fleet, dict[str, dict[str, Any]]]]:
        """That many boards, up, with their hosts' data; the last ones are virtual machines, if there are enough."""
        machines = min(self.machines, size // 2)
        fleet = Fleet(ensure_board_tree())
        say_line(f"fleet: {size} boards start, {machines} of them virtual machines")
        boards = [Board(number) for number in range(1, size - machines + 1)]
        try:
            fleet.start(boards)
            hosts = {board.title: board.host_data() for board in boards}
            hosts |= {name: start_machine(name, Hardware(MACHINE_CPU, 1)).host_data for name in names(machines)}
            yield fleet, hosts
        finally:
            fleet.stop()
            remove_machines(machines)

    def each_scenario(self, tool: str, fleet: Fleet, hosts: dict[str, dict[str, Any]]) -> Iterator[Measured]:
        """One tool does each scenario, one after the other. A rival that fails does no more. Raises BoardllamaError."""
        found = None  # what the boards have by this tool
        for scenario in (one for one in steps_of(tool) if one in self.scenarios):
            before, work = self.states(scenario)
            try:
                if before not in (None, found):
                    run_tool(tool, fleet, hosts, before)  # not measured: a scenario costs the same whatever was before
                costs, found = run_tool(tool, fleet, hosts, work), work
            except BoardllamaError as error:
                if tool == OURS:
                    raise
                say_line(f"fleet: without the rest of {tool}: {error}")
                return
            sizes = {"boards": len(hosts), "simulated": len(fleet.boards)}
            one = Measured(tool=tool, scenario=scenario, **sizes, costs=costs)
            say_line(f"fleet: {len(hosts)} boards, {tool}, {SCENARIOS[scenario]}: {one.summary}")
            yield one

    def states(self, scenario: str) -> tuple[Work | None, Work]:
        """What the boards must have before a scenario, None: nothing; and what they have after it."""
        changed = replace(self.work, top_k=41)
        if scenario == "peers":
            before = self.rolled_out if "model" in self.scenarios else changed
            return before, replace(changed, model=ensure_model(SHARED), distribution="peers")
        if scenario == "model":
            return changed, self.rolled_out
        return None if scenario == "first" else self.work, changed if scenario == "config" else self.work


def steps_of(tool: str) -> tuple[str, ...]:
    """The scenarios that a tool does, in this order. Mitogen runs Ansible's playbook, and brings files as that does."""
    measured = ("nochange", "config") if tool == MITOGEN else ("first", "nochange", "config", "model")
    return (*measured, "peers") if tool == OURS else measured


def new_record(
    measured: list[Measured], odd: list[OddBoard] | None = None, under_load: list[UnderLoad] | None = None
) -> Record:
    """What was measured now, of this commit on this machine."""
    return Record(
        date=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        commit=program_output("git", "describe", "--always", "--dirty", "--abbrev=12").decode().strip(),
        machine=f"{processor_name()}, {os.cpu_count()} cores, load {os.getloadavg()[2]:.1f}",
        measured=measured,
        odd=odd or [],
        under_load=under_load or [],
    )


def run_tool(tool: str, fleet: Fleet, hosts: dict[str, dict[str, Any]], work: Work) -> Costs:
    """What the work costs by that tool. Raises BoardllamaError when the tool fails."""
    called = TOOLS[tool](hosts, work)
    log = run_folder() / f"{tool}.log"
    costs = measure_command(called.command, fleet.boards, log, called.cwd, called.env)
    if costs.status:
        kept = shutil.copy(log, fleet_folder() / log.name)
        raise BoardllamaError(f"{tool} ended with status {costs.status}: look into {kept}")
    return costs


def names(machines: int) -> list[str]:
    """The names of virtual machines."""
    return [f"fleet-{number}" for number in range(1, machines + 1)]


def remove_machines(machines: int) -> None:
    """Removes the files of the virtual machines."""
    for name in names(machines):
        if machine_folder(name).exists():
            stop_machine(name, wipe=True)
