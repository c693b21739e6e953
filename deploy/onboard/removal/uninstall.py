"""`boardllama uninstall [--yes] [--models | --keep-models]`: says what it would remove, asks, and removes it."""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator

from ..places import PLACES, SWITCH_UNIT, Places
from ..release.board_lock import board_lock
from ..release.releases import all_releases
from .kept import files_to_keep, keep_files
from .ours import Ours, bytes_of
from .packages import noted_packages
from .removal import Removal, is_last_step, run_last_step

MEGABYTE = 1_000_000


def uninstall_arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="boardllama uninstall",
        description="Removes boardllama from this machine. What you edited is kept in a tar in /var/backups.",
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    about_models = parser.add_mutually_exclusive_group()
    about_models.add_argument("--models", action="store_true", default=None, help="remove the models that it brought")
    about_models.add_argument("--keep-models", action="store_false", dest="models", help="leave them where they are")
    return parser


def run_uninstall(words: list[str] | None = None, places: Places = PLACES) -> int:
    """Runs the command. Returns the exit status."""
    options = uninstall_arguments().parse_args(sys.argv[2:] if words is None else words)
    try:
        return uninstall(options, places)
    except (OSError, LookupError) as error:
        print(f"boardllama: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("\ninterrupted", file=sys.stderr)
        return 1


def uninstall(options: argparse.Namespace, places: Places) -> int:
    """As `run_uninstall`. Raises LookupError when it is refused, OSError when something cannot be removed."""
    if not os.access(places.public_bin, os.W_OK):
        raise LookupError("this needs root: sudo boardllama uninstall")
    if is_last_step(places.public_bin / "boardllama"):
        run_last_step(places.public_bin / "boardllama")
        print("boardllama is removed")
        return 0
    if subprocess.run(["systemctl", "is-active", "--quiet", SWITCH_UNIT], check=False).returncode == 0:
        raise LookupError("a switch is under way here: wait for it")
    with board_lock("boardllama uninstall"):
        ours = Ours(places)
        print("\n".join(told_before(ours)))
        models = wanted_models(options, ours)
        if not options.yes and not agreed("Remove all of this?"):
            print("nothing was removed")
            return 1
        return remove_ours(ours, models)


def remove_ours(ours: Ours, models: bool) -> int:
    """Removes, and says what was kept and what stays. Returns the exit status. Raises OSError."""
    kept = keep_files(files_to_keep(ours), ours.places.root_folder)
    if kept:
        print(f"kept in {kept}")
    removal = Removal(ours, models, lambda line: print(line, flush=True))
    removal.run()
    removal.finish()
    print("\n".join(["boardllama is removed", *(f"stays: {line}" for line in removal.stays)]))
    return 0


def told_before(ours: Ours) -> Iterator[str]:
    """What is here, how large, what is kept, and what stays."""
    places, stored, own = ours.places, ours.stored_models(), ours.own_models()
    yield "To be removed from this machine:"
    yield f"  {len(all_releases(places))} releases with their programs, {megabytes(bytes_of([places.root]))}"
    yield f"  units: {', '.join(path.name for path in ours.unit_files()) or 'none'}"
    if said := [str(path) for path in (ours.board.config.parent, *ours.folders()) if path.exists()]:
        yield f"  folders: {', '.join(said)}"
    if packages := noted_packages(places.packages):
        yield f"  packages that a deploy installed, unless others need them: {', '.join(packages)}"
    yield f"Models that a deploy brought: {len(stored)}, {megabytes(bytes_of(stored))}"
    if own:
        yield f"Models of your own, which stay: {', '.join(str(path) for path in own)}, {megabytes(bytes_of(own))}"
    if names := files_to_keep(ours):
        yield "Edited or added here, to be kept in a tar in /var/backups:"
        yield from (f"  {name}" for name in names)
    if large := [path for path in ours.own_files() if not ours.is_kept(path)]:
        yield f"Your own, too large for it, and left there: {', '.join(map(str, large))}"


def megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / MEGABYTE:.1f} MB"


def can_ask(options: argparse.Namespace) -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty() and not options.yes


def wanted_models(options: argparse.Namespace, ours: Ours) -> bool:
    """Whether the models are to go. Raises LookupError where nobody has said so, and nobody can be asked."""
    if options.models is not None:
        return bool(options.models)
    if not ours.brought_models():
        return False
    if can_ask(options):
        return agreed("Remove the models, too?")
    raise LookupError("say --models to remove the models, too, or --keep-models to leave them")


def agreed(question: str) -> bool:
    """Asks. Raises LookupError where nobody is there to answer."""
    if not sys.stdin.isatty():
        raise LookupError("nobody is here to answer: say --yes")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
