"""`boardllama VERB …`, or `python -m deploy.command VERB …` in a clone."""

import sys
from importlib.metadata import PackageNotFoundError, version

import click
from click.shell_completion import get_completion_class

from deploy.command.arguments import with_examples
from deploy.command.boards import (
    deploy_verb,
    models_verb,
    releases_verb,
    report_verb,
    rollback_verb,
    tune_verb,
    uninstall_verb,
    verify_verb,
)
from deploy.command.cards import doctor_verb, flash_verb, image_verb, labels_verb
from deploy.command.init import init_verb
from deploy.command.machine import bench_verb, rehearse_verb, up_verb, vm_verb
from deploy.command.sites import bundle_verb, channel_verb, pin_verb, reports_verb
from deploy.errors import BoardllamaError

NAME = "boardllama"


@with_examples(
    'eval "$(boardllama completion bash)"', "boardllama completion fish > ~/.config/fish/completions/boardllama.fish"
)
@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_verb(shell: str) -> None:
    """Print what has a shell complete verbs and options."""
    kind = get_completion_class(shell)
    assert kind
    print(kind(boardllama, {}, NAME, "_BOARDLLAMA_COMPLETE").source())


# What the help shows, in this order.
SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "Begin": (up_verb, init_verb, rehearse_verb, vm_verb),
    "Boards": (deploy_verb, verify_verb, releases_verb, rollback_verb, report_verb, models_verb, tune_verb, pin_verb),
    "Cards": (image_verb, flash_verb, labels_verb, doctor_verb),
    "Sites without a controller": (channel_verb, reports_verb, bundle_verb),
    "The end of it": (uninstall_verb,),
    "This computer": (bench_verb, completion_verb),
}


class Sectioned(click.Group):
    """A group of commands whose help has a heading for each section."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(verb.name or "", verb.get_short_help_str(80)) for verb in verbs])


def product_version() -> str:
    """The version that is installed, or "a clone"."""
    try:
        return version(NAME)
    except PackageNotFoundError:
        return "a clone"


@with_examples(
    "boardllama up                          the whole way, on this computer",
    "boardllama deploy                      your boards: boards.py of this folder",
    "boardllama VERB --help",
)
@click.group(cls=Sectioned, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(product_version(), prog_name=NAME)
def boardllama() -> None:
    """Turns arm64 boards into verified LLM appliances."""


for _verbs in SECTIONS.values():
    for _verb in _verbs:
        boardllama.add_command(_verb)


def main() -> None:
    """The program `boardllama`: a refusal of ours is one line."""
    try:
        boardllama(prog_name=NAME)
    except (BoardllamaError, OSError) as error:
        sys.exit(f"{NAME}: {error}")


if __name__ == "__main__":
    main()
