"""Makes connectors of ours known to pyinfra.

pyinfra finds connectors by the entry points of installed distributions, and nothing of this repository is installed: an
entry point in pyproject.toml would hold for the one checkout that the environment was made from. So the process that
reads the inventory announces them, by importlib.metadata's own protocol for providers of distributions, before pyinfra
makes the hosts. Of two connectors with the same name pyinfra takes the connector that it finds last, which is ours.
"""

import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from types import ModuleType

from pyinfra.connectors.base import BaseConnector

from deploy.paths import PACKAGE

NAME = "boardllama-connectors"
ANY = DistributionFinder.Context()
ANNOUNCED: dict[str, type[BaseConnector]] = {}


def announce_connector(name: str, connector: type[BaseConnector]) -> None:
    """Gives this connector to hosts of `@name/…`; the name `ssh` stands for hosts without a connector's name."""
    ANNOUNCED[name] = connector
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.append(Finder())


class Connectors(Distribution):
    """A distribution that holds nothing but the entry points."""

    def read_text(self, filename: str) -> str | None:
        """The text of a file of the distribution's metadata; None for any other name."""
        entries = "".join(f"{name} = {one.__module__}:{one.__name__}\n" for name, one in ANNOUNCED.items())
        files = {
            "METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1\n",
            "entry_points.txt": f"[pyinfra.connectors]\n{entries}",
        }
        return files.get(filename)

    def locate_file(self, path: object) -> Path:
        """Where a file of the distribution would lie: it has none."""
        return PACKAGE / str(path)


class Finder(DistributionFinder):
    """Finds the distribution `Connectors`, and no module."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Finds nothing, whatever the module."""

    def find_distributions(self, context: DistributionFinder.Context = ANY) -> Iterable[Distribution]:
        """The distribution, when it or every distribution is asked for."""
        return [Connectors()] if context.name in (None, NAME) else []
