"""`boardllama init`: the first inventory of a fleet, in a folder of its own, with what CI runs on each change of it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from json import loads
from pathlib import Path
from shlex import quote
from typing import Any

import click

from deploy.command.arguments import complete_board, with_examples
from deploy.command.programs import USUAL, can_answer, stop_with
from deploy.controller.templates import render_template
from deploy.errors import BoardllamaError, shown
from deploy.image.board_names import profile_names
from deploy.image.boards import board_named
from deploy.models.catalogue.choice import AUTO, SMOKE
from deploy.models.catalogue.entries import catalogue_model

HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
# What CI runs, by the system: the file that the system reads, and the template of it.
CI_FILES = {"github": (".github/workflows/boards.yml", "github.yml"), "gitlab": (".gitlab-ci.yml", "gitlab-ci.yml")}


class Answer(click.ParamType[Any]):
    """An answer: an option of another value is refused at once, and a person is asked again.

    `checked`: gives the answer as it is used; it raises BoardllamaError for one that cannot be.
    """

    name = "answer"

    def __init__(self, checked: Callable[[str], Any]) -> None:
        self.checked = checked

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The answer as it is used. Fails with one line."""
        try:
            return self.checked(value)
        except BoardllamaError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True)
class Question:
    """What a person is asked. `kind`: of its answers, yes or no where nothing else is said."""

    text: str
    kind: click.ParamType[Any] = click.BOOL
    usual: Any = True


def board_name(answer: str) -> str:
    """The full name of the board. Raises BoardllamaError for an unknown one."""
    return board_named(answer).name


def host_names(answer: str) -> tuple[str, ...]:
    """The names, which have spaces between them."""
    for host in answer.split():
        if not HOST.fullmatch(host) or host.count(":") == 1:  # an address of IPv6 has several
            raise BoardllamaError(f"host {shown(host)}: must be a name or an address, without a user or a port")
    return tuple(answer.split())


def user_name(answer: str) -> str:
    """The name of the account. Raises BoardllamaError for what is none."""
    if not USER.fullmatch(answer):
        raise BoardllamaError(f"user {shown(answer)}: must be the name of an account, such as pi")
    return answer


def model_name(answer: str) -> str:
    """A name of the catalogue, or a word for a choice of ours."""
    if answer not in (AUTO, SMOKE):
        catalogue_model(answer, (AUTO, SMOKE))
    return answer


BOARD, HOSTS, USER_NAME, MODEL = map(Answer, (board_name, host_names, user_name, model_name))
QUESTIONS = {
    "board": Question("What kind of board is it (all kinds: docs/reference/boards.md)", BOARD, "raspberry_pi_5"),
    "host": Question("Names or addresses of the boards, with spaces between them", HOSTS, None),
    "user": Question("The account by which you log in there (root, or one that may use sudo)", USER_NAME, "pi"),
    "model": Question("The model (auto: the best for the board's memory; `boardllama models` lists all)", MODEL, AUTO),
    "network": Question("Shall other computers reach the model, with a key that each board makes"),
}


@dataclass(frozen=True)
class Fleet:
    """The answers. `board`: a name of docs/reference/boards.md."""

    board: str
    hosts: tuple[str, ...]
    user: str
    model: str
    network: bool

    @property
    def files(self) -> dict[str, str]:
        """The texts of inventory and group data, by their paths."""
        told = {**vars(self), "title": board_named(self.board).title, "sudo": self.user != "root"}
        templates = {str(USUAL): "fleet/boards.py", "group_data/all.py": "fleet/all.py"}
        return {path: render_template(template, **told) for path, template in templates.items()}


@with_examples(
    "boardllama init                          five questions, then boards.py, group_data/ and a file for CI",
    "boardllama init fleet --board raspberry_pi_5 --host kitchen.local --host hall.local --user pi",
    "boardllama init --board rock_5b --host 192.168.1.20 --user root --model qwen3.5-2b --local --ci gitlab",
)
@click.command("init")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--board", type=BOARD, help=f"{', '.join(profile_names())}.", shell_complete=complete_board)
@click.option("--host", type=HOSTS, multiple=True, help="A board's name or address; once for each.")
@click.option("--user", type=USER_NAME, help="The account by which you log in there.")
@click.option("--model", type=MODEL, help="A name that `boardllama models` lists, or auto.")
@click.option("--network/--local", default=None, help="Let others reach the model, by a key; or the board alone.")
@click.option("--ci", type=click.Choice([*CI_FILES, "none"]), default="github", show_default=True)
def init_verb(folder: Path, ci: str, host: tuple[tuple[str, ...], ...], **told: Any) -> None:
    """Write an inventory of your own boards into FOLDER, and what CI runs on each change of it."""
    given: dict[str, Any] = {**told, "host": sum(host, ()) or None}
    answers = {name: ask(name) if given[name] is None else given[name] for name in QUESTIONS}
    hosts = answers.pop("host")
    if not hosts or len({*hosts}) < len(hosts):
        stop_with("each board needs a name or an address, and each of them once")
    files = Fleet(hosts=hosts, **answers).files
    if ci in CI_FILES:
        place, template = CI_FILES[ci]
        files[place] = render_template(f"fleet/{template}", source=source_of_this())
    try:
        write_files(folder, files)
    except OSError as error:
        stop_with(f"{error.filename} cannot be written here ({error.strerror}): name another folder")
    print(f"\nNext, in {folder}:\n  boardllama rehearse      the same on a virtual board, before yours see it")
    print("  boardllama deploy\n  boardllama verify")


def ask(name: str) -> Any:
    """What a person answers. Refuses where nobody can be asked."""
    question = QUESTIONS[name]
    option = "--network or --local" if name == "network" else f"--{name}"
    if not can_answer():
        stop_with(f"{option} is missing, and nobody can be asked: {question.text}?")
    if question.kind is click.BOOL:
        return click.confirm(question.text, default=question.usual)
    return click.prompt(question.text, default=question.usual, type=question.kind)


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Writes the files, and names them. Refuses before it writes any when one of them is there with another text.

    Raises OSError.
    """
    theirs = [name for name, text in files.items() if (folder / name).exists() and (folder / name).read_text() != text]
    if theirs:
        stop_with(f"{', '.join(theirs)} of {folder} would be overwritten: name another folder, or move that away")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        print(f"written: {folder / name}")


def source_of_this() -> str:
    """What pip installs this boardllama from, as a word of a shell: where pip has kept that, else a variable of CI."""
    try:
        told = loads(distribution("boardllama").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        told = {}
    url = str(told.get("url", ""))
    return quote(f"git+{url}" if "vcs_info" in told else url) if url.startswith("http") else '"$BOARDLLAMA"'
