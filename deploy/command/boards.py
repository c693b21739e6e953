"""Verbs over the boards of an inventory: deploy, verify, releases, rollback, uninstall, fleet-report, models, tune."""

import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import click

from deploy.command.arguments import (
    Inventory,
    bundle_option,
    inventory_argument,
    json_option,
    limit_option,
    repeated,
    with_examples,
)
from deploy.command.programs import (
    become,
    board_suite,
    can_answer,
    data_options,
    ensure_packages,
    run_quietly,
    stop_with,
    take_bundle,
)
from deploy.controller.interrupts import INTERRUPTED
from deploy.controller.product import module_words, pyinfra_words, run_shown
from deploy.errors import BoardllamaError
from deploy.fleet import report_files


@with_examples(
    "boardllama deploy                              boards.py of this folder",
    "boardllama deploy fleet.py --limit kitchen.example",
    "boardllama deploy fleet.py --dry --diff        what would change",
    "boardllama deploy site.py --bundle site.bundle without a network",
    "boardllama deploy fleet.py -- --serial -v      what stands after -- is for pyinfra",
)
@click.command("deploy")
@inventory_argument
@limit_option
@click.option("--exclude", multiple=True, metavar="HOST|GROUP", help="All but these.")
@click.option("--data", multiple=True, metavar="NAME=VALUE", help="A setting for all hosts of this run.")
@click.option("--dry", is_flag=True, help="Only say what would change.")
@click.option("--diff", is_flag=True, help="Show how files change.")
@bundle_option
@json_option
@click.argument("pyinfra", nargs=-1, type=click.UNPROCESSED)
def deploy_verb(inventory: Path, bundle: str | None, as_json: bool, pyinfra: tuple[str, ...], **words: Any) -> None:
    """Converge every host of INVENTORY."""
    options = [*pyinfra_options(words), *pyinfra]
    if as_json:
        sys.exit(deploy_for_program(inventory, bundle, options))
    ensure_packages()
    take_bundle(bundle)
    become(pyinfra_words(inventory, options=options))


def deploy_for_program(inventory: Path, bundle: str | None, options: list[str]) -> int:
    """Prints the report as JSON, also of a run that ends before it knows of hosts. Returns the run's exit status."""
    said = "it ended before any host began: standard error says why"
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        try:
            ensure_packages()
            take_bundle(bundle)
            told = [*options, *data_options({"report_json": report})]
            status, said = run_shown(pyinfra_words(inventory, options=told))
            return status
        except BoardllamaError as error:
            said = str(error)
            raise
        except KeyboardInterrupt:
            said = INTERRUPTED
            raise
        finally:
            print((report.read_text() if report.exists() else report_files.as_json([], "", said)).rstrip(), flush=True)


def pyinfra_options(words: Mapping[str, Any]) -> list[str]:
    """pyinfra's options of the same names: flags, and options that may come several times."""
    flags = [f"--{name}" for name, value in words.items() if value is True]
    return flags + [word for name in ("limit", "exclude", "data") for word in repeated(name, words[name])]


@with_examples("boardllama verify", "boardllama verify fleet.py --host kitchen.example --clients")
@click.command("verify")
@inventory_argument
@click.option("--host", help="This target of the inventory alone.")
@click.option("--clients", is_flag=True, help="By official clients, too.")
def verify_verb(inventory: Path, host: str | None, clients: bool) -> None:
    """Judge every target of INVENTORY by the board suite: what a deploy proves, and much more."""
    board_suite(inventory, *(["tests/board/clients"] if clients else []), *(["--host", host] if host else []))


@with_examples("boardllama releases", "boardllama releases fleet.py --json | jq .releases[0].id")
@click.command("releases")
@inventory_argument
@limit_option
@json_option
def releases_verb(inventory: Path, limit: tuple[str, ...], as_json: bool) -> None:
    """Show what each target has, and could go back to. --json: a line for each target."""
    show(inventory, limit, "deploy.stages.activate.releases", as_json)


@with_examples("boardllama rollback --limit kitchen.example", "boardllama rollback fleet.py --to r0a1b2c3d4e5")
@click.command("rollback")
@inventory_argument
@limit_option
@click.option("--to", metavar="RELEASE", help="That release, by its id in `boardllama releases`.")
def rollback_verb(inventory: Path, limit: tuple[str, ...], to: str | None) -> None:
    """Go back to the release before, under the same gate."""
    told = [f"to={to}"] if to else []
    become(pyinfra_words(inventory, "deploy.stages.activate.rollback", *told, options=repeated("limit", limit)))


@with_examples("boardllama uninstall fleet.py --limit kitchen.example", "boardllama uninstall --models --yes")
@click.command("uninstall")
@inventory_argument
@limit_option
@click.option("--models", is_flag=True, help="Remove the models, too.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
def uninstall_verb(inventory: Path, limit: tuple[str, ...], models: bool, yes: bool) -> None:
    """Remove all that deploys brought to boards, gateways and monitors."""
    if not yes and not can_answer():
        stop_with("nobody is here to answer: say --yes")
    if not yes:
        hosts = ", ".join(limit) or "every host"
        click.confirm(f"Remove boardllama from {hosts} of {inventory}?", abort=True)
    told = ["models=True"] if models else []
    become(pyinfra_words(inventory, "deploy.stages.remove.uninstall", *told, options=repeated("limit", limit)))


@with_examples("boardllama fleet-report", "boardllama fleet-report fleet.py --json")
@click.command("fleet-report")
@inventory_argument
@json_option
def report_verb(inventory: Path, as_json: bool) -> None:
    """Show every board: tokens/s, requests, heat, release, last deploy."""
    show(inventory, (), "deploy.fleet.fleet_report.show_fleet", as_json)


@with_examples("boardllama models", "boardllama models fleet.py --limit kitchen.example")
@click.command("models")
@click.argument("inventory", type=Inventory(), required=False)
@limit_option
@json_option
def models_verb(inventory: Path | None, limit: tuple[str, ...], as_json: bool) -> None:
    """List the models by name, and what fits: usual boards, or those of INVENTORY by the memory that each has."""
    if inventory is None:
        become(module_words("deploy.models", *(["--json"] if as_json else [])))
    show(inventory, limit, "deploy.stages.catalogue.show_models", as_json)


@with_examples("boardllama tune --minutes 20", "boardllama tune fleet.py --limit kitchen.example --weight 0.2")
@click.command("tune")
@inventory_argument
@limit_option
@click.option("--weight", type=float, help="Of prompts against answers, from 0 to 1.")
@click.option("--minutes", type=float, help="At most so long on a board.")
@click.option("--stop-serving", is_flag=True, help="Measure also where clients are served.")
def tune_verb(
    inventory: Path, limit: tuple[str, ...], weight: float | None, minutes: float | None, stop_serving: bool
) -> None:
    """Have each target find what is fastest on it; the next deploy uses it."""
    options = [*repeated("limit", limit), *data_options({"tune_prompt_weight": weight, "tune_minutes": minutes})]
    told = [f"inventory={inventory}", *(["stop_serving=True"] if stop_serving else [])]
    become(pyinfra_words(inventory, "deploy.tune.story.tune_boards", *told, options=options))


def show(inventory: Path, limit: tuple[str, ...], story: str, as_json: bool) -> NoReturn:
    """Prints what a story finds out, without pyinfra's words about its work."""
    run_quietly(
        pyinfra_words(inventory, story, *(["as_json=True"] if as_json else []), options=repeated("limit", limit))
    )
    sys.exit(0)
