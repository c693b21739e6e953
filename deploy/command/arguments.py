"""What the verbs take alike: an inventory, hosts of it, words that another program understands."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from deploy.command.programs import USUAL
from deploy.image.board_names import profile_names

Verb = TypeVar("Verb", bound=click.Command)
# What stands after a verb goes to the verb's own program, which explains its words itself.
HANDED_ON: dict[str, Any] = {"ignore_unknown_options": True, "help_option_names": []}


class Inventory(click.Path):
    """An inventory file, or a folder with a boards.py. Without one: boards.py of the current folder."""

    name = "inventory"

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Fails with one line for a file that is not there."""
        path = Path(value) / USUAL if Path(value).is_dir() else Path(value)
        if not path.is_file():
            named = "name an inventory file; --limit names hosts of it"
            usual = "`boardllama init` writes one" if path.name == str(USUAL) else named
            self.fail(f"{path} is no inventory file: {usual}", param, ctx)
        return path


inventory_argument = click.argument("inventory", type=Inventory(), default=str(USUAL))
more_words = click.argument("words", nargs=-1, type=click.UNPROCESSED)
limit_option = click.option("--limit", multiple=True, metavar="HOST|GROUP", help="These of the inventory alone.")
json_option = click.option("--json", "as_json", is_flag=True, help="For a program that reads it.")


bundle_option = click.option(
    "--bundle", type=click.Path(exists=True, dir_okay=False), help="Take builds and models from this file."
)


def repeated(option: str, values: Iterable[str]) -> list[str]:
    """pyinfra's words for an option that may come several times."""
    return [word for value in values for word in (f"--{option}", value)]


def complete_board(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """The kinds of boards whose names begin so."""
    return [CompletionItem(name) for name in profile_names() if name.startswith(begun)]


def with_examples(*lines: str) -> Callable[[Verb], Verb]:
    """Shows these command lines below the help of a verb."""

    def add(command: Verb) -> Verb:
        command.epilog = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
        return command

    return add
