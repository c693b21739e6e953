"""`make models HOST=…`: what of the catalogue fits the boards of an inventory, by the memory that each really has."""

import json

from pyinfra import host

from deploy.hosts.target import board_of, build_for, settings_of, why_refused
from deploy.models.catalogue.table import NOTES, automatic_line, catalogue_rows
from deploy.models.memory.estimate import can_repack
from deploy.models.memory.fit import BoardMemory
from deploy.onboard.release.release_table import aligned_lines


def show_models(as_json: bool = False) -> None:
    """`pyinfra INVENTORY deploy.stages.catalogue.show_models`: the catalogue for each target, on stdout.

    `as_json`: a line for each target, {"host": "kitchen", "memory": 4_000_000_000, "refused": "", "models": […]}.
    """
    if "targets" in host.groups:
        settings, memory = settings_of(host), board_of(host).memory
        build = build_for(host, settings)
        refused = "" if memory else "how much memory this board has is not known"
        refused = why_refused(host, settings) or refused if build is None else refused
        boards = {f"{(memory or 0) // 1_000_000} MB": BoardMemory.of_unit(memory or 0)}
        rows = [] if build is None or refused else catalogue_rows(boards, can_repack(build.cpu))
        told = {"host": host.name, "memory": memory, "refused": refused, "models": rows}
        print(json.dumps(told) if as_json else f"{host.name}: {models_text(boards, rows, refused)}\n", flush=True)


def models_text(boards: dict[str, BoardMemory], rows: list[dict[str, str]], refused: str) -> str:
    """The table for the host's board; or why there is none."""
    return refused or "\n".join(
        [f"{next(iter(boards))} of memory", *aligned_lines(rows), "", automatic_line(boards), NOTES]
    )
