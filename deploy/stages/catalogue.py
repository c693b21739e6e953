"""`make models HOST=…`: what of the catalogue fits the boards of an inventory, by the memory that each really has."""

from pyinfra import host

from deploy.hosts.target import board_of, build_for, settings_of, why_refused
from deploy.models.catalogue.table import NOTES, automatic_line, catalogue_rows
from deploy.models.memory.estimate import can_repack
from deploy.models.memory.fit import BoardMemory
from deploy.onboard.release.release_table import aligned_lines


def show_models() -> None:
    """`pyinfra INVENTORY deploy.stages.catalogue.show_models`: the catalogue for each target, on stdout."""
    if "targets" in host.groups:
        print(f"{host.name}: {models_text()}\n", flush=True)


def models_text() -> str:
    """The table for the host's board; or why there is none."""
    settings, memory = settings_of(host), board_of(host).memory
    build = build_for(host, settings)
    if build is None or not memory:
        return why_refused(host, settings) or "how much memory this board has is not known"
    boards = {f"{memory // 1_000_000} MB": BoardMemory.of_unit(memory)}
    rows = catalogue_rows(boards, can_repack(build.cpu))
    return "\n".join([f"{memory // 1_000_000} MB of memory", *aligned_lines(rows), "", automatic_line(boards), NOTES])
