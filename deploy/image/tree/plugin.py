"""Makes `@tree` known to pyinfra, and a tree known to the deploy: importing it is enough.

pyinfra finds connectors by the entry points of installed distributions, and nothing of this repository is installed: an
entry point in pyproject.toml would hold for the one checkout that the environment was made from. So the process that
reads the inventory announces it, by importlib.metadata's own protocol for providers of distributions, before pyinfra
makes the hosts.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from types import ModuleType

from deploy import cpu
from deploy.board import Board, BoardInfo
from deploy.errors import BoardllamaError
from deploy.image.tree.connector import TreeConnector
from deploy.paths import REPO
from deploy.remote import Talk, feed, talk
from deploy.target import ask_board

NAME = "boardllama-connectors"
ANY = DistributionFinder.Context()
FILES = {
    "METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1\n",
    "entry_points.txt": f"[pyinfra.connectors]\ntree = {TreeConnector.__module__}:{TreeConnector.__name__}\n",
}


class Connectors(Distribution):
    """A distribution that holds nothing but the entry point."""

    def read_text(self, filename: str) -> str | None:
        """A file of its metadata."""
        return FILES.get(filename)

    def locate_file(self, path: object) -> Path:
        """Where a file of it would lie."""
        return REPO / str(path)


class Finder(DistributionFinder):
    """Finds that distribution, and no module."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """None."""

    def find_distributions(self, context: DistributionFinder.Context = ANY) -> Iterable[Distribution]:
        """It, when it or any is asked for."""
        return [Connectors()] if context.name in (None, NAME) else []


@feed.register
def _(connector: TreeConnector, command: str, source: Iterable[bytes]) -> tuple[int, str]:
    return connector.channel.carry(command, source)


@talk.register
def _(connector: TreeConnector, command: str) -> Talk:
    talking = connector.talk(command)
    return Talk(talking.line, talking.send)


@ask_board.register
def _(connector: TreeConnector) -> BoardInfo:
    name, memory = connector.data["board_cpu"], connector.data["board_memory"]
    if not name:
        raise BoardllamaError(
            f"{connector.tree} is for a board that is not here: set board_cpu to a name of deploy/cpu.py"
        )
    board = cpu.named(name)
    found: BoardInfo = connector.host.get_fact(Board)
    # The build machine's kernel and mounts answered, too.
    found = replace(found, forgets=False, limits_memory=True, filters_addresses=True)
    return replace(found, features=board.features, part=cpu.part_of(board), memory=memory)


if not any(isinstance(finder, Finder) for finder in sys.meta_path):
    sys.meta_path.append(Finder())


def host_name(tree: str) -> str:
    """The name of a tree in an inventory."""
    return f"@tree{Path(tree).expanduser().resolve()}"
