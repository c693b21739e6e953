"""For which board a base is: what BOARD says, proven by the device trees of the base, or what these say alone."""

from deploy.errors import BoardllamaError
from deploy.image.base.vendor_system import VendorSystem
from deploy.image.boards import BOARDS, BoardProfile


def choose_board(told: BoardProfile | None, base: str, system: VendorSystem) -> BoardProfile:
    """The board. `told`: what the user said; `base`: the name of the base, for errors.

    Raises BoardllamaError for a board that the base does not hold, and where several fit or none does.
    """
    fitting = [board for board in BOARDS.values() if system.device_trees & {*board.device_trees}]
    names = ", ".join(board.short_name for board in fitting)
    if told is None and len(fitting) != 1:
        which = (
            f"holds the device trees of {names}" if fitting else "holds the device tree of no board that is known here"
        )
        raise BoardllamaError(
            f"{base} ({system.title}) {which}: say which board, make image BASE=… BOARD=NAME; its CPU decides the build"
            f"{'' if fitting else f'. Boards: {all_names()}'}"
        )
    if told is None:
        return fitting[0]
    if told.device_trees and system.device_trees and told not in fitting:
        raise BoardllamaError(
            f"BOARD is {told.short_name} and {base} ({system.title}) holds no device tree of a {told.title} "
            f"({', '.join(told.device_trees)}): take its vendor's image for that board"
            f"{f', or say one of {names}' if names else ''}"
        )
    return told


def all_names() -> str:
    """Every board's short name."""
    return ", ".join(board.short_name for board in BOARDS.values())
