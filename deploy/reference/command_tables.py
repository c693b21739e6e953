"""docs/reference/commands.md: `boardllama` of the controller, make's targets, `boardllama` of a board."""

import argparse
import re

import click

from deploy.command.__main__ import SECTIONS
from deploy.onboard.cli import board_arguments
from deploy.paths import REPO
from deploy.reference.tables import markdown_table

TARGET = re.compile(r"^([a-z-]+):.*?## (.*)$", re.M)


def verbs_sections() -> str:
    """Each verb of the product's command line, with its options and its examples."""
    return "\n".join(
        f"### {title}\n\n" + "\n".join(verb_section(verb) for verb in verbs) for title, verbs in SECTIONS.items()
    )


def verb_section(verb: click.Command) -> str:
    """What `boardllama VERB --help` says."""
    head = f"#### boardllama {verb.name}\n\n{' '.join((verb.help or '').split())}\n\n"
    options = [part for part in verb.params if isinstance(part, click.Option)]
    rows = [[f"`{option_text(option)}`", option.help or ""] for option in options]
    table = f"{markdown_table(('option', 'what it does'), rows)}\n" if rows else ""
    lines = (verb.epilog or "").removeprefix("\b\nExamples:\n").splitlines()
    return head + table + "".join(f"    {line.strip()}\n" for line in lines)


def option_text(option: click.Option) -> str:
    """The option with the word for its value."""
    if option.is_flag:
        return option.opts[0]
    return f"{option.opts[0]} {option.metavar or str(option.name).upper()}"


def make_table() -> str:
    """Every target of the Makefile that `make help` lists."""
    rows = ([f"`make {name}`", text] for name, text in TARGET.findall((REPO / "Makefile").read_text()))
    return markdown_table(("command", "what it does"), rows)


def board_table() -> str:
    """Every verb of the board's own `boardllama --help`, with its arguments."""
    verbs = board_verbs()
    rows = [
        [f"`boardllama {verb.dest}{arguments_of(verbs.choices[verb.dest])}`", verb.help or ""]
        for verb in verbs._choices_actions
    ]
    return markdown_table(("command", "what it does"), rows)


def board_verbs() -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    """The verbs of the board's parser: `choices` has all of them, also those that only units and deploys use."""
    return next(part for part in board_arguments()._actions if isinstance(part, argparse._SubParsersAction))


def arguments_of(parser: argparse.ArgumentParser) -> str:
    """The arguments of a verb as its usage has them."""
    usage = parser.format_usage().split("[-h]", 1)[-1]
    return f" {' '.join(usage.split())}".rstrip()
