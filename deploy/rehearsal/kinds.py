"""Which boards of an inventory are alike: for each kind and each set of settings one stands for all."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy import cpu
from deploy.image.boards import BOARDS, BoardProfile
from deploy.vm.machine import Hardware

# What belongs to the real board alone: how it is reached (words of pyinfra and its connector), where it gets its model
# and its releases from, and where its reports go.
OF_THE_BOARD_ALONE = ("ssh_", "_")
LEFT_OUT = "distribution site_cache channel_url channel_report report_json report_junit server_clients".split()
# GiB, of which only what is written takes room: a model lies there twice while it is brought.
DISK = 64


@dataclass(frozen=True)
class Rehearsal:
    """`hosts`: those that are told `data`. `board`: their kind; None where no group of theirs names a kind."""

    hosts: tuple[str, ...]
    board: BoardProfile | None
    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The virtual board's name in tables: that of the first host that it stands for."""
        return self.hosts[0]

    @property
    def hardware(self) -> Hardware:
        """The board's processor and memory. Of its cores as many as this computer has, unless settings name more.

        Emulated cores wait for each other in each barrier of llama.cpp: more than the computer has would take hours.
        """
        if self.board is None:
            return Hardware(disk=DISK)
        wanted = max(self.data.get("threads") or 0, 1 + max(named_cores(self.data.get("cores") or ""), default=0))
        cores = max(min(self.board.cores, os.cpu_count() or 1), min(wanted, self.board.cores))
        return Hardware(cpu.find_cpu(self.board.cpu).qemu, cores, self.board.memory_mib, DISK)


def named_cores(text: str) -> Iterable[int]:
    """The numbers at the ends of a list of cores such as 0-3,6; none of a word such as fast."""
    return [int(part) for part in text.replace("-", ",").split(",") if part.isdecimal()]


def rehearsals_of(
    targets: Iterable[tuple[str, list[str], dict[str, Any]]], changes: Mapping[str, Any]
) -> list[Rehearsal]:
    """What is to be rehearsed, each once. `changes`: settings that hold for the rehearsal alone."""
    alike: dict[str, list[str]] = {}
    rehearsals: dict[str, Rehearsal] = {}
    for name, groups, told in targets:
        board = next((BOARDS[group] for group in groups if group in BOARDS), None)
        data = {key: value for key, value in told.items() if not key.startswith(OF_THE_BOARD_ALONE)}
        data = {key: value for key, value in data.items() if key not in LEFT_OUT} | {**changes}
        key = json.dumps([board.name if board else "", data], sort_keys=True)
        alike.setdefault(key, []).append(name)
        rehearsals[key] = Rehearsal(tuple(alike[key]), board, data)
    return list(rehearsals.values())
