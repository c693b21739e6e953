"""The kinds of board and the CPUs, as tables of Markdown."""

from collections.abc import Iterable

from deploy.cpu import CPUS, Cpu
from deploy.image.boards import BOARDS, DEBIAN_BOARDS, BoardProfile, DebianBoard, Emulator

JUDGED_BY = {
    Emulator.EFI: "first boot in QEMU `virt` with EFI firmware, board suite",
    Emulator.RASPI3: "first boot in QEMU `raspi3b`, board suite; the firmware itself does not run there",
    Emulator.NONE: "content",
}


def markdown_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown. A | in a cell is escaped."""
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells).replace("| --- |", "|---|").replace(" --- |", "---|")


def boards_table() -> str:
    """Every board of deploy/image/boards.py."""
    head = ("board", "short", "what it is", "CPU", "memory", "starts by", "kernel", "judged by")
    return markdown_table(head, map(board_row, BOARDS.values()))


def board_row(board: BoardProfile) -> list[str]:
    alias = f"`{board.alias}`" if board.alias else ""
    return [f"`{board.name}`", alias, board.title, board.cpu, f"{board.memory_mib} MiB", *start_cells(board)]


def start_cells(board: BoardProfile) -> list[str]:
    """What starts the board's image, its kernel, and how the image is judged."""
    if not isinstance(board, DebianBoard):
        return ["its vendor's image: `BASE=`", "the vendor's", "see there"]
    return [board.starts_by, board.kernel, JUDGED_BY[board.emulator]]


def lacks_list() -> str:
    """What the images of boards cannot do, a line for each."""
    return "".join(f"- `{board.short_name}`: {lack}\n" for board in DEBIAN_BOARDS.values() for lack in board.lacks)


def cpus_table() -> str:
    """Every row of deploy/cpu.py."""
    head = ("`cpu`", "compiled with `-mcpu=`", "the board's /proc/cpuinfo must list", "kernels", "runs in QEMU as")
    return markdown_table(head, map(cpu_row, CPUS.values()))


def cpu_row(cpu: Cpu) -> list[str]:
    features, kernels = " ".join(sorted(cpu.features)), ", ".join(sorted(cpu.kernels))
    return [f"`{cpu.name}`", f"`{cpu.mcpu}`", features, kernels or "NEON alone", f"`{cpu.qemu}`"]
