"""Verbs of sites that no controller reaches: channel, bundle, reports; and pin, of a hub's files."""

from pathlib import Path

import click

from deploy.command.arguments import HANDED_ON, bundle_option, inventory_argument, more_words, with_examples
from deploy.command.programs import become, data_options, ensure_packages, stop_with, take_bundle
from deploy.controller.product import module_words, pyinfra_words

# No board is reached, and none is changed where the builder is a target, too.
KINDS = ("--limit", "builders", "--limit", "channels", "--exclude", "targets")


@with_examples(
    "boardllama channel fleet.py --dest /srv/www/boards",
    "boardllama channel fleet.py --dest www@updates.example:/srv/www/boards",
)
@click.command("channel")
@inventory_argument
@click.option("--dest", metavar="FOLDER|USER@HOST:PATH", help="Where; else the setting channel_dest.")
@click.option("--resume", is_flag=True, help="Offer a release again that was stopped.")
@bundle_option
def channel_verb(inventory: Path, dest: str | None, resume: bool, bundle: str | None) -> None:
    """Publish what boards that pull get: the releases of INVENTORY's channels."""
    require_channels(inventory)
    ensure_packages()
    take_bundle(bundle)
    told = data_options({"channel_dest": dest, "channel_resume": resume or None})
    become(pyinfra_words(inventory, options=[*KINDS, *told]))


@with_examples("boardllama bundle fleet.py --out site.bundle")
@click.command("bundle")
@inventory_argument
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
def bundle_verb(inventory: Path, out: Path) -> None:
    """Write what INVENTORY's channels offer into one signed file, for a site without a network."""
    require_channels(inventory)
    ensure_packages()
    become(pyinfra_words(inventory, options=[*KINDS, *data_options({"channel_bundle": out.absolute()})]))


def require_channels(inventory: Path) -> None:
    """Refuses an inventory that offers nothing."""
    if "channels" not in inventory.read_text():
        stop_with(
            f'{inventory} has no group channels, such as channels = ["@kind/raspberry_pi_5"]: docs/how-to/fleet.md'
        )


@click.command("reports", context_settings=HANDED_ON)
@more_words
def reports_verb(words: tuple[str, ...]) -> None:
    """Take what boards that pull report, into a folder."""
    become(module_words("deploy.fleet.channel.receiver", *words))


@click.command("pin", context_settings=HANDED_ON)
@more_words
def pin_verb(words: tuple[str, ...]) -> None:
    """Ask the hub for the pin of a file, as settings to paste."""
    become(module_words("deploy.models.hub.pin", *words))
