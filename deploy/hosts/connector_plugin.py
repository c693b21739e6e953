"""Makes connectors of ours known to pyinfra.

pyinfra finds connectors by the entry points of installed distributions, and nothing of this repository is installed: an
entry point in pyproject.toml would hold for the one checkout that the environment was made from. So the process that
reads the inventory announces them, by importlib.metadata's own protocol for providers of distributions, before pyinfra
makes the hosts. Of two connectors of one name pyinfra takes the one that it finds last, which is ours.
"""

import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from types import ModuleType

from pyinfra.connectors.base import BaseConnector

from deploy.paths import REPO

NAME = "boardllama-connectors"
ANY = DistributionFinder.Context()
ANNOUNCED: dict[str, type[BaseConnector]] = {}


def announce(name: str, connector: type[BaseConnector]) -> None:
    """From now on hosts of `@name/…` get this connector; those without a connector's name that of `ssh`."""
    ANNOUNCED[name] = connector
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.append(Finder())


class Connectors(Distribution):
    """A distribution that holds nothing but the entry points."""

    def read_text(self, filename: str) -> str | None:
        """A file of its metadata."""
        entries = "".join(f"{name} = {one.__module__}:{one.__name__}\n" for name, one in ANNOUNCED.items())
        files = {
            "METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1\n",
            "entry_points.txt": f"[pyinfra.connectors]\n{entries}",
        }
        return files.get(filename)

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
