"""`boardllama init`: the first inventory of a fleet, in a folder of its own, with what CI runs on each change of it."""

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from json import loads
from pathlib import Path
from shlex import quote

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
QUESTIONS = {
    "board": "What kind of board is it (all kinds: docs/reference/boards.md)",
    "host": "Names or addresses of the boards, with spaces between them",
    "user": "The account by which you log in there (root, or one that may use sudo)",
    "model": "The model (auto: the best for the board's memory; `boardllama models` lists all)",
    "network": "Shall other computers reach the model, with a key that each board makes",
}
USUAL_ANSWERS = {"board": "raspberry_pi_5", "user": "pi", "model": AUTO}


@dataclass(frozen=True)
class Fleet:
    """The answers. `board`: a name of docs/reference/boards.md."""

    board: str
    hosts: tuple[str, ...]
    user: str
    model: str
    network: bool

    def check(self) -> "Fleet":
        """The answers, with the board's full name. Raises BoardllamaError for the first that cannot be."""
        board = board_named(self.board).name
        for host in self.hosts:
            if not HOST.fullmatch(host):
                raise BoardllamaError(f"host {shown(host)}: must be a name or an address, without a user or a port")
        if not self.hosts or len({*self.hosts}) < len(self.hosts):
            raise BoardllamaError("each board needs a name or an address, and each of them once")
        if not USER.fullmatch(self.user):
            raise BoardllamaError(f"user {shown(self.user)}: must be the name of an account, such as pi")
        if self.model not in (AUTO, SMOKE):
            catalogue_model(self.model, (AUTO, SMOKE))
        return Fleet(board, self.hosts, self.user, self.model, self.network)

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
@click.option("--board", help=f"{', '.join(profile_names())}.", shell_complete=complete_board)
@click.option("--host", multiple=True, help="A board's name or address; once for each.")
@click.option("--user", help="The account by which you log in there.")
@click.option("--model", help="A name that `boardllama models` lists, or auto.")
@click.option("--network/--local", default=None, help="Let others reach the model, by a key; or the board alone.")
@click.option("--ci", type=click.Choice([*CI_FILES, "none"]), default="github", show_default=True)
def init_verb(folder: Path, ci: str, **told: str | tuple[str, ...] | bool | None) -> None:
    """Write an inventory of your own boards into FOLDER, and what CI runs on each change of it."""
    answers = {name: ask(name, told[name]) for name in QUESTIONS}
    hosts = answers["host"] if isinstance(answers["host"], tuple) else tuple(str(answers["host"]).split())
    fleet = Fleet(str(answers["board"]), hosts, str(answers["user"]), str(answers["model"]), bool(answers["network"]))
    files = fleet.check().files
    if ci in CI_FILES:
        place, template = CI_FILES[ci]
        files[place] = render_template(f"fleet/{template}", source=source_of_this())
    write_files(folder, files)
    print(f"\nNext, in {folder}:\n  boardllama rehearse      the same on a virtual board, before yours see it")
    print("  boardllama deploy\n  boardllama verify")


def ask(name: str, told: str | tuple[str, ...] | bool | None) -> str | tuple[str, ...] | bool:
    """What the command line tells, or a person answers. Refuses where nobody can be asked."""
    if told not in (None, ()):
        assert told is not None
        return told
    option = "--network or --local" if name == "network" else f"--{name}"
    if not can_answer():
        stop_with(f"{option} is missing, and nobody can be asked: {QUESTIONS[name]}?")
    if name == "network":
        return click.confirm(QUESTIONS[name], default=True)
    answer: str = click.prompt(QUESTIONS[name], default=USUAL_ANSWERS.get(name))
    return answer


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Writes the files, and names them. Refuses before it writes any when one of them is there with another text."""
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
