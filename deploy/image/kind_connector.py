"""`@kind/BOARD`: the boards of a kind as one host. None of them is reached, and no command runs anywhere.

A deploy prepares for that host what it would bring to each of the boards: the release that a channel offers.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pyinfra.api import StringCommand
from pyinfra.api.exceptions import InventoryError
from pyinfra.connectors.base import BaseConnector, ConnectorData, DataMeta
from pyinfra.connectors.util import CommandOutput

from deploy import cpu
from deploy.errors import BoardllamaError
from deploy.hosts.connector_plugin import announce_connector
from deploy.hosts.facts import BoardInfo
from deploy.hosts.target import board_behind
from deploy.image.boards import board_named


class KindData(ConnectorData, total=False):
    """What the inventory may say of a kind of boards."""

    kind: str
    board: str


TOLD = {
    "kind": DataMeta("The group whose data hold for these boards"),
    "board": DataMeta("What board it is: a BOARD of `make image`"),
}


class KindConnector(BaseConnector):
    """Boards of one kind, told by the smallest of them. `@kind/BOARD/NAME`: those of them in the group NAME."""

    handles_execution = True
    data_cls = KindData
    data_meta = TOLD

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """One host, in the groups of its board and of its name. Raises InventoryError for a board that is not known."""
        short, _, own = (name or "").partition("/")
        try:
            board = board_named(short).name
        except BoardllamaError as error:
            raise InventoryError(f"@kind/{name or ''}: {error}") from None
        groups = [board, own] if own else [board]
        yield f"@kind/{name}", {"kind": groups[-1], "board": board}, groups

    def run_shell_command(
        self, command: StringCommand, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> tuple[bool, CommandOutput]:
        """Every question goes without an answer."""
        return True, CommandOutput([])

    def put_file(self, *_: Any, **__: Any) -> bool:
        """No file is ever brought."""
        return False

    def get_file(self, *_: Any, **__: Any) -> bool:
        """There is no file."""
        return False


@board_behind.register
def board_of_kind(connector: KindConnector, found: BoardInfo) -> BoardInfo:
    profile = board_named(connector.data["board"])
    best = cpu.find_cpu(profile.cpu)
    return replace(
        found,
        machine="aarch64",
        model=profile.title,
        features=best.features,
        part=cpu.part_of(best),
        memory=profile.memory,
        systemd=True,
    )


announce_connector("kind", KindConnector)
