"""Makes `@tree` known to pyinfra, and a tree known to the deploy: importing it is enough."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from deploy import cpu
from deploy.errors import BoardllamaError
from deploy.hosts.connector_plugin import announce_connector
from deploy.hosts.facts import BoardInfo
from deploy.hosts.remote import Talk, feed_command, start_talk
from deploy.hosts.target import board_behind
from deploy.image.tree.connector import TreeConnector


@feed_command.register
def feed_tree(connector: TreeConnector, command: str, source: Iterable[bytes]) -> tuple[int, str]:
    return connector.channel.carry(command, source)


@start_talk.register
def talk_to_tree(connector: TreeConnector, command: str) -> Talk:
    talking = connector.talk(command)
    return Talk(talking.next_line, talking.send, talking.end)


@board_behind.register
def board_of_tree(connector: TreeConnector, found: BoardInfo) -> BoardInfo:
    name, memory = connector.data["board_cpu"], connector.data["board_memory"]
    if not name:
        raise BoardllamaError(
            f"{connector.tree} is for a board that is not here: set board_cpu to a name of deploy/cpu.py"
        )
    board = cpu.find_cpu(name)
    # Of these the build machine's kernel and mounts have answered; the board has its own.
    found = replace(found, forgets=False, read_only=False, limits_memory=True, filters_addresses=True)
    return replace(found, features=board.features, part=cpu.part_of(board), memory=memory)


announce_connector("tree", TreeConnector)


def tree_host_name(tree: str) -> str:
    """The name of a tree in an inventory."""
    return f"@tree{Path(tree).expanduser().resolve()}"
