"""This product's programs, from whatever folder: pyinfra with its deploy, and modules of deploy/."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.controller.programs import program_output
from deploy.errors import BoardllamaError
from deploy.onboard.json_parts import parse_json
from deploy.paths import PACKAGE, REPO, STORY

PYINFRA = Path(sys.executable).with_name("pyinfra")
READ_SECONDS = 120.0
# As pyinfra ends a run that no host can begin: "--> pyinfra error in FILE line 52: kitchen: threads is -1: must be …".
PYINFRA_ERROR = re.compile(r"pyinfra error(?: in .+? line \d+)?: (?P<reason>.+)")
# A heading of pyinfra's, or its advice after a traceback.
HEADING = "-->"


def environment() -> dict[str, str]:
    """What the programs are told: `deploy` is this product, whatever stands in the current folder."""
    own = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(own)}


def module_words(module: str, *words: str) -> list[str]:
    """The command line of a module of deploy/."""
    return [sys.executable, "-m", module, *words]


def read_targets(inventory: Path) -> list[tuple[str, list[str], dict[str, Any]]]:
    """Name, groups and data of each target, as pyinfra reads the inventory. Raises BoardllamaError, ValueError."""
    asking = pyinfra_words(inventory, "debug-inventory", options=["--json"])
    said = parse_json(program_output(*asking, env=environment(), deadline=READ_SECONDS))
    return [(one["name"], one["groups"], one["data"]) for one in said if "targets" in one["groups"]]


def pyinfra_words(inventory: Path, *words: str, options: Sequence[str] = ()) -> list[str]:
    """The command line of pyinfra for an inventory: with deploy.py, or with the story that `words` name.

    With -y pyinfra looks for no changes before it makes them: a dry run is not told so. Raises BoardllamaError for an
    inventory that is no Python.
    """
    require_python(inventory)
    story = words or (str(STORY),)
    agreed = [] if "--dry" in options else ["-y"]
    return [str(PYINFRA), *agreed, "--config", str(REPO / "config.py"), *options, str(inventory), *story]


def require_python(inventory: Path) -> None:
    """Raises BoardllamaError where inventory or group data are no Python: pyinfra calls that a bug of its own."""
    for file in (inventory, *sorted(inventory.parent.glob("group_data/*.py"))):
        try:
            compile(file.read_bytes() if file.is_file() else b"", str(file), "exec")
        except (SyntaxError, ValueError) as error:  # a NUL byte is a ValueError
            place = f" line {error.lineno}" if isinstance(error, SyntaxError) else ""
            said = error.msg if isinstance(error, SyntaxError) else error
            raise BoardllamaError(f"{file}{place} is no Python: {said}; mend it there") from None


def run_shown(words: Sequence[str]) -> tuple[int, str]:
    """Runs a program whose lines are shown on standard error.

    Returns its exit status, and the last error of pyinfra's in its lines, else the last line.
    """
    last = error = ""
    with subprocess.Popen(
        words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as running:
        assert running.stdout
        for line in running.stdout:
            print(line, end="", file=sys.stderr, flush=True)
            last = last if line.startswith(HEADING) else line.strip() or last
            if found := PYINFRA_ERROR.search(line):
                error = found["reason"]
    return running.returncode, error or last
