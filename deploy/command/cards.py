"""Verbs of a technician: image, flash, labels, doctor."""

import os
import shutil

import click

from deploy.command.arguments import HANDED_ON, more_words
from deploy.command.programs import become, ensure_packages, stop_with
from deploy.controller.product import environment, module_words

# What root's process is told of the user's: where things are, and secrets, which no command line may hold.
KEPT = (
    "HOME BOARDLLAMA_KEYS BOARDLLAMA_CACHE BOARDLLAMA_DIST BOARDLLAMA_MIRROR BOARDLLAMA_WIFI_PASSWORD "
    "BOARDLLAMA_API_KEY PYTHONPATH PYTHONDONTWRITEBYTECODE"
)


@click.command("image", context_settings=HANDED_ON)
@more_words
def image_verb(words: tuple[str, ...]) -> None:
    """Make a board's disk image, prove it, sign it."""
    ensure_packages()
    become(module_words("deploy.image", *words))


@click.command("flash", context_settings=HANDED_ON)
@more_words
def flash_verb(words: tuple[str, ...]) -> None:
    """Write a signed image to cards and prove each: PASS or FAIL."""
    program = module_words("deploy.flash", *words)
    if os.geteuid() == 0 or {"--to-file", "--help", "-h"} & {word.partition("=")[0] for word in words}:
        become(program)
    if not (sudo := shutil.which("sudo")):
        stop_with("only root may write to disks: run this as root, or install sudo")
    os.execve(sudo, [sudo, f"--preserve-env={','.join(KEPT.split())}", *program], environment())


@click.command("labels", context_settings=HANDED_ON)
@more_words
def labels_verb(words: tuple[str, ...]) -> None:
    """Print stickers for boards: name, address, QR code."""
    become(module_words("deploy.flash.labels", *words))


@click.command("doctor", context_settings=HANDED_ON)
@more_words
def doctor_verb(words: tuple[str, ...]) -> None:
    """Say in one screen why a board does not serve."""
    become(module_words("deploy.doctor", *words))
