"""Verbs of the QEMU arm64 machine: up, vm."""

import shlex

import click

from deploy.command.arguments import HANDED_ON, more_words, with_examples
from deploy.command.programs import become, ensure_packages, module_words, pyinfra_words, run_step
from deploy.paths import REPO


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


@with_examples("boardllama vm up --cpu cortex-a53 --cores 4 --memory 1024", "boardllama vm ssh", "boardllama vm log")
@click.command("vm", context_settings=HANDED_ON)
@more_words
def vm_verb(words: tuple[str, ...]) -> None:
    """The VM alone: up, ssh, log, status, reboot, down. $BOARDLLAMA_VM names another one."""
    if words[:1] == ("up",):
        ensure_packages()
    become(module_words("deploy.vm", *(words or ("--help",))))
