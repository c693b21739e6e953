"""The removal, in an order that may be cut anywhere: what says what is ours goes last, so the same command goes on."""

import os
import shlex
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from ..commands import ProgramFailed, end_of, run_command
from ..files import replace_link, write_file
from ..service import OLLAMA
from ..tune.borrowed import give_back
from .account import remove_account
from .ours import BEFORE, Ours, below, entries
from .packages import noted_packages, purge_packages
from .traces import REMAINS, Companion

STOP_SECONDS = 120.0
# The last step, which removes the programs that run it, so a cut there is gone on with by whoever types it again.
LAST_STEP = """#!/bin/sh
# The last step of `boardllama uninstall`, which was cut here: run it once more.
set -e
{restored}rm -rf {root}/releases/* {root}/releases/.[!.]* {root}/* {root}
rm -rf {records}
systemctl daemon-reload || :
rm -f "$0"
"""
MARK = "The last step of `boardllama uninstall`"


class Removal:
    """`models`: whether they go, too. `say`: is told each step. `stays`: a sentence for each thing that is left."""

    def __init__(self, ours: Ours, models: bool, say: Callable[[str], None]) -> None:
        self.ours, self.models, self.say = ours, models, say
        self.stays: list[str] = []
        self.switched_off: list[Companion] = []

    def run(self) -> None:
        """Removes everything, up to the last step. Raises OSError with what cannot be done; then run it again."""
        for said, step in (
            ("putting back what was set for speed", self.give_back),
            ("stopping the services", self.stop_units),
            ("removing names and units", self.remove_names),
            ("removing packages that were installed for it", self.remove_packages),
            ("removing the models" if self.models else "keeping the models", self.settle_models),
            ("removing account and folders", self.remove_rest),
        ):
            self.say(said)
            step()

    def give_back(self) -> None:
        """What `tune_system` and a sweep have set is as before."""
        for note in ("tune.json", "system.json"):
            self.stays += give_back(self.ours.places.verdict.with_name(note))

    def stop_units(self) -> None:
        """Ends what runs; of a package's unit also that it starts again, since it would listen to everyone then."""
        for path in self.ours.unit_files():
            stop_unit(path.name)
            end_of("systemctl", "reset-failed", path.name)
        for one in self.ours.companions():
            stop_unit(one.unit)
            end_of("systemctl", "disable", "-q", one.unit)
            self.switched_off.append(one)

    def remove_names(self) -> None:
        """Removes names, units, small files, and folders that are empty then."""
        ours = self.ours
        own = filter(ours.is_kept, ours.own_files())
        remove_all([*ours.want_links(), *own, *ours.unit_files(), *ours.public_links()])
        texts = ours.texts()
        # The first file that tells a unit something says that there are others.
        remove_all([*reversed(texts), *ours.folders()])
        for folder in (*ours.unit_folders(), *{path.parent for path in texts if path.parent.suffix == ".d"}):
            remove_empty(folder)
        for folder in (ours.board.config.parent, ours.places.channel.parent):
            remove_empty(folder)
        end_of("systemctl", "daemon-reload")

    def remove_packages(self) -> None:
        """Removes the packages that nobody else needs. What a deploy has not installed is switched off."""
        note = self.ours.places.packages
        before = noted_packages(note)
        self.stays += purge_packages(before)
        gone = {*before} - {*noted_packages(note)}
        for path in (self.ours.at(REMAINS[package]) for package in sorted(gone & {*REMAINS})):
            remove_all([path])
            remove_empty_above(path)
        for one in self.switched_off:
            if one.package not in gone:
                again = f"`systemctl enable --now {one.unit}`"
                self.stays.append(f"the package {one.package}, switched off: {again} has it run with its own settings")

    def settle_models(self) -> None:
        """Removes the models that were brought, or has their names lead to them without a release."""
        ours = self.ours
        if self.models:
            remove_all(ours.brought_models())
            return
        stored = {os.path.realpath(path): path for path in ours.stored_models()}
        for link in filter(ours.is_public_link, entries(ours.board.models)):
            if path := stored.get(os.path.realpath(link)):
                replace_link(link, path.relative_to(ours.board.models))
            else:
                link.unlink()

    def remove_rest(self) -> None:
        """Removes the account, the builds and the records, and names what stays."""
        ours = self.ours
        self.stays += remove_account(ours.places.root_folder, OLLAMA.account, str(OLLAMA.state))
        remove_all([ours.places.builds, *filter(Path.is_file, entries(ours.places.verdict.parent))])
        with suppress(OSError):  # a card may be mounted in it, and a boot empties it
            ours.places.verdict.parent.rmdir()
        for folder in (ours.board.models, ours.board.state):
            remove_empty(folder)
        self.stays += [f"{path}: it is not empty" for path in (ours.board.config.parent,) if path.is_dir()]

    def finish(self) -> None:
        """The last step: it puts back what stood at public names, and removes releases and programs."""
        places = self.ours.places
        script = places.public_bin / "boardllama"
        found = [*entries(places.units), *entries(places.public_bin), *below(self.ours.board.config.parent)]
        before = [path for path in found if path.name.endswith(BEFORE)]
        moves = "".join(
            f"test ! -e {quoted(path)} || mv -T {quoted(path)} {quoted(path.with_name(path.name[: -len(BEFORE)]))}\n"
            for path in before
        )
        text = LAST_STEP.format(restored=moves, root=quoted(places.root), records=quoted(places.records.parent))
        os.sync()
        write_file(script, text.encode(), 0o755)
        run_last_step(script)


def run_last_step(script: Path) -> None:
    """Runs it. Raises ProgramFailed."""
    run_command("sh", str(script), deadline=600)
    os.sync()


def is_last_step(path: Path) -> bool:
    """Whether an uninstall was cut in its last step."""
    return path.is_file() and not path.is_symlink() and MARK in path.read_text(errors="replace")


def stop_unit(unit: str) -> None:
    """Stops a unit, if it runs. Raises ProgramFailed when it goes on."""
    end_of("systemctl", "stop", unit, deadline=STOP_SECONDS)
    alive = end_of("systemctl", "is-active", "--quiet", unit)
    if alive is None or alive.returncode == 0:
        raise ProgramFailed(f"{unit} does not stop: see `systemctl status {unit}`, then run this again")


def remove_all(paths: Iterable[Path]) -> None:
    """Removes files, links and folders that are there. A folder that lies elsewhere, by a link, is emptied there."""
    for path in paths:
        if path.is_dir():
            for inner in entries(path):
                shutil.rmtree(inner) if inner.is_dir() and not inner.is_symlink() else inner.unlink()
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            path.rmdir()


def remove_empty(folder: Path) -> None:
    """Removes a folder, and empty ones in it, unless something is left there or is mounted there."""
    inner = [path for path in sorted(folder.rglob("*"), reverse=True) if path.is_dir() and not path.is_symlink()]
    for path in (*inner, folder):
        if path.is_dir() and not path.is_symlink() and not entries(path) and not os.path.ismount(path):
            path.rmdir()


def remove_empty_above(path: Path) -> None:
    """Removes the folder of what was at a path, if nothing is left there, and those above it."""
    for folder in path.parents:
        if entries(folder) or not folder.is_dir():
            return
        folder.rmdir()


def quoted(path: Path) -> str:
    """The path as a word of a shell command."""
    return shlex.quote(str(path))
