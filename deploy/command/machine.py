"""Verbs of virtual boards and of this computer: up, rehearse, vm, bench."""

import os
import shlex
from pathlib import Path

import click

from deploy.command.arguments import (
    HANDED_ON,
    inventory_argument,
    json_option,
    limit_option,
    more_words,
    repeated,
    with_examples,
)
from deploy.command.programs import become, ensure_packages, run_step, stop_with
from deploy.controller.product import module_words, pyinfra_words
from deploy.paths import INSTALLED, REPO


@with_examples("boardllama up", "boardllama vm ssh", "boardllama vm down")
@click.command("up")
def up_verb() -> None:
    """A virtual board on this computer: VM, build, deploy, check, first answer. Again and it goes on where it was."""
    ensure_packages()
    # The VM's root tree and its boot, and the parts of a build that keep one core busy, take half of the time.
    beside = [shlex.join(module_words("deploy.vm", "up")), shlex.join(module_words("deploy.stages.vm_build"))]
    run_step(module_words("deploy.controller.beside", *beside))
    run_step(pyinfra_words(REPO / "inventory" / "qemu.py"))
    become(module_words("deploy.vm.answer"))


@with_examples(
    "boardllama rehearse                     boards.py of this folder, a virtual board for each kind",
    "boardllama rehearse fleet.py --limit raspberry_pi_5 --model smoke --junit rehearsal.xml",
)
@click.command("rehearse")
@inventory_argument
@limit_option
@click.option("--model", help="In place of the inventory's: smoke takes a minute.")
@click.option("--junit", type=click.Path(dir_okay=False), help="Leave the result there, as CI systems read it.")
@json_option
def rehearse_verb(inventory: Path, limit: tuple[str, ...], model: str | None, junit: str | None, as_json: bool) -> None:
    """Try INVENTORY on virtual boards: each kind's processor and memory, your settings, gate and board suite."""
    ensure_packages()
    words = [*repeated("limit", limit), *(["--model", model] if model else []), *(["--junit", junit] if junit else [])]
    become(module_words("deploy.rehearsal", str(inventory), *words, *(["--json"] if as_json else [])))


@click.command("bench", context_settings=HANDED_ON)
@more_words
def bench_verb(words: tuple[str, ...]) -> None:
    """Measure llama.cpp of five origins in turn: the reference, Debian's, upstream's, ours, ours tuned. In a clone."""
    if INSTALLED:
        stop_with("bench compiles and compares in a clone of the repository: `make bench` there")
    os.chdir(REPO)
    become(module_words("tests.bench", *words))


@click.command("vm", context_settings=HANDED_ON)
@more_words
def vm_verb(words: tuple[str, ...]) -> None:
    """The VM alone: up, ssh, log, status, reboot, down. $BOARDLLAMA_VM names another one."""
    if words[:1] == ("up",):
        ensure_packages()
    become(module_words("deploy.vm", *(words or ("--help",))))
