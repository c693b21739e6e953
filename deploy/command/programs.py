"""How a verb becomes a program."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import NoReturn

import click

from deploy.controller.product import environment, module_words
from deploy.paths import INSTALLED, PACKAGE, REPO

# The inventory of a folder that `boardllama init` has made.
USUAL = Path("boards.py")


def become(words: Sequence[str]) -> NoReturn:
    """Goes on as that program: signals, terminal and exit status are the program's."""
    sys.stdout.flush()
    os.execve(words[0], list(words), environment())


def run_step(words: Sequence[str]) -> None:
    """Runs a program to its end. Ends this program with the same status when it fails."""
    if status := subprocess.run(words, env=environment(), check=False).returncode:
        sys.exit(status if status > 0 else 128 - status)


def run_quietly(words: Sequence[str]) -> None:
    """Runs a program that prints what was asked for. What else it says is shown where it fails, or prints nothing."""
    with TemporaryFile() as said:
        done = subprocess.run(words, env=environment(), stdout=subprocess.PIPE, stderr=said, check=False)
        sys.stdout.buffer.write(done.stdout)
        sys.stdout.flush()
        if done.returncode or not done.stdout:
            said.seek(0)
            sys.stderr.buffer.write(said.read())
            sys.exit(done.returncode or 1)


def ensure_packages() -> None:
    """Installs the Debian packages that this computer lacks. Ends this program when they cannot be had."""
    run_step(["/bin/sh", str(PACKAGE / "controller" / "setup.sh"), "packages"])


def board_suite(inventory: Path, *words: str) -> NoReturn:
    """Has the board suite judge the targets of an inventory."""
    inventory, suite = inventory.absolute(), ["tests/board/test_board.py", *words]
    kept = ["-p", "no:cacheprovider"] if INSTALLED else []
    os.chdir(REPO)
    become(module_words("pytest", *kept, *suite, f"--inventory={inventory}"))


def data_options(values: Mapping[str, object]) -> list[str]:
    """pyinfra's options for settings that the command line tells; None: it tells nothing."""
    return [word for name, value in values.items() if value is not None for word in ("--data", f"{name}={value}")]


def take_bundle(bundle: str | None) -> None:
    """Puts what a bundle holds into the cache, where there is a bundle. Ends this program when it is not good."""
    if bundle:
        run_step(module_words("deploy.fleet.bundle", bundle))


def can_answer() -> bool:
    """Whether a person sits at the terminal."""
    return sys.stdin.isatty()


def stop_with(message: str) -> NoReturn:
    """Ends this program with one line."""
    raise click.ClickException(message)
