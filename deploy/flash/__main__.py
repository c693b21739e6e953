"""`python -m deploy.flash IMAGE …`: from a signed image to cards that are proven."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from deploy.errors import BoardllamaError
from deploy.flash import archive as archives
from deploy.flash import confirmation
from deploy.flash.archive import Archive
from deploy.flash.batch import Batch, Job, job_for, job_for_file, summary
from deploy.flash.card_writer import Change
from deploy.flash.devices import Device
from deploy.flash.disk_choice import Choice
from deploy.flash.display_text import amount
from deploy.flash.identities import one, rows, with_keys_read
from deploy.flash.identity_file import changes, name_on, partition, text_for
from deploy.flash.progress import say
from deploy.flash.results import Public, Verdict, check_place, has_secret, passed, public
from deploy.onboard.identity import Identity
from deploy.onboard.identity_rules import NAMES
from deploy.paths import REPO

RESULTS = "results.jsonl"
# A changed password is not seen in the results, which hold none.
AGAIN = "RESULTS=… with a new file's name begins again, as for another password"
Who = Sequence[Identity | None]


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.flash", description="Write a signed image to cards.")
    parser.add_argument("image", nargs="?", type=Path, help="….img.zst, with its other files beside it")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--device", help="the disk; without it you are asked")
    where.add_argument("--devices", help="several, with commas; or all")
    where.add_argument("--to-file", type=Path, help="a regular file instead")
    parser.add_argument("--serial", action="append", default=[], help="of a disk that is not removable, or for --yes")
    parser.add_argument("--yes", action="store_true", help="do not ask; needs the serial of each disk")
    parser.add_argument("--everything", action="store_true", help="write all, not only what differs")
    parser.add_argument(
        "--csv", type=Path, help="one row of identity for each card; rows that have passed are left out"
    )
    parser.add_argument("--results", type=Path, help="where a line for each card goes (results.jsonl beside the image)")
    parser.add_argument("--signers", type=Path, help="who may have signed the image (allowed_signers of ssh-keygen)")
    parser.add_argument(
        "--from-environment",
        action="append",
        default=[],
        choices=NAMES,
        metavar="NAME",
        help="take that value from the variable BOARDLLAMA_NAME: a command line is no place for a secret",
    )
    for name, rule in NAMES.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, action="append", default=[], help=rule.about, metavar="…")
    return parser


def main(words: list[str]) -> int:
    """Flashes; the exit status. Raises BoardllamaError."""
    options = arguments().parse_args(words)
    given = [(name, value) for name in NAMES for value in getattr(options, name)]
    given += [(name, of_environment(name)) for name in options.from_environment]
    values = with_keys_read(given)
    every: Who = rows(options.csv, values) if options.csv else [one(values)]
    image = options.image or only_image()
    results = options.results or image.with_name(RESULTS)
    with archives.opened(image, options.signers) as archive:
        say(
            f"{archive.name}: signed, complete, {amount(archive.manifest.disk_size)}, of which "
            f"{amount(sum(span.size for span in archive.blocks.mapped))} are written"
        )
        check_place(results)
        done = passed(results, archive.manifest.image.sha256) if options.csv else ()
        who, finished = unfinished(every, done)
        if options.csv and not who:
            say(f"every row of {options.csv} has passed: nothing is left to do; {AGAIN}")
            return 0
        jobs = file_job(options, archive, who) if options.to_file else disk_jobs(options, archive, who, finished)
        found = Batch(archive, results, options.everything).run(jobs)
    for result in found:
        with suppress(OSError):  # of a terminal that is gone
            os.write(1, f"{summary(result)}\n".encode())
    if options.csv and (left := len(who) - sum(result.verdict is Verdict.PASS for result in found)):
        say(f"rows of {options.csv} that are left: {left}. Put in other cards, and run the same command again")
    if any(result.verdict is Verdict.INTERRUPTED for result in found):
        return 130
    return 0 if all(result.verdict is Verdict.PASS for result in found) else 1


def of_environment(name: str) -> str:
    """The value of a variable of ours: others export an API_KEY. Raises BoardllamaError without it."""
    variable = f"BOARDLLAMA_{name.upper()}"
    if variable not in os.environ:
        raise BoardllamaError(f"--from-environment {name}: there is no variable {variable}")
    say(f"{name} is the one of the variable {variable}")
    return os.environ[variable]


def only_image() -> Path:
    """The one in dist/. Raises BoardllamaError when there is none, or a choice."""
    found = sorted((REPO / "dist").glob(f"*{archives.SUFFIX}"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise BoardllamaError(f"IMAGE= must name the image, dist/….img.zst: there are {names}")
    return found[0]


def unfinished(every: Who, done: Sequence[Public]) -> tuple[Who, frozenset[str]]:
    """Of the rows those that are not `done`, and the host names of the others. A row that has changed is not done."""
    left = [identity for identity in every if public(identity) not in done]
    if len(left) < len(every):
        say(f"{len(every) - len(left)} of {len(every)} rows have passed already; {AGAIN}")
    return left, frozenset(identity.hostname or "" for identity in every if identity and identity not in left)


def disk_jobs(options: argparse.Namespace, archive: Archive, who: Who, finished: frozenset[str]) -> list[Job]:
    """Asks which disks, and whether. Raises BoardllamaError."""
    words = [options.device] if options.device else [word for word in (options.devices or "").split(",") if word]
    choice = Choice(words, options.serial, options.yes)
    chosen = choice.disks(archive.manifest.disk_size)
    if options.csv:
        chosen = without_finished(chosen, archive, finished)
    else:
        refuse_twins(who[0], len(chosen))
        who = [who[0]] * len(chosen)
    for device in chosen[len(who) :]:
        say(f"{device.path} is left alone: no row is left for it")
    chosen = chosen[: len(who)]
    prepared = prepare(archive, who[: len(chosen)])
    named = [identity.hostname if identity else None for identity in who]
    receives = [f"{archive.name} as {name}" if name else archive.name for _, name in zip(chosen, named, strict=False)]
    shown = choice.confirm(chosen, receives)
    return [job_for(device, found, *both) for device, found, both in zip(chosen, shown, prepared, strict=True)]


def without_finished(chosen: Sequence[Device], archive: Archive, finished: frozenset[str]) -> list[Device]:
    """The cards that were not made in this batch: somebody who runs it again may not have changed all of them.

    Raises BoardllamaError when none is left.
    """
    left = []
    for device in chosen:
        if (name := name_on(device.path, archive)) in finished:
            say(f"{device.path} is left alone: it is {name}, and has passed")
        else:
            left.append(device)
    if not left:
        raise BoardllamaError("every card here has passed already: put in others, and run the same command again")
    return left


def file_job(options: argparse.Namespace, archive: Archive, who: Who) -> list[Job]:
    """A regular file. Raises BoardllamaError."""
    path: Path = options.to_file
    if path.exists() and (path.is_symlink() or not path.is_file()):
        raise BoardllamaError(f"{path} is no regular file: DEVICE={path} writes to a disk")
    if path.exists() and path.stat().st_mode & 0o077 and has_secret(who[0]):
        raise BoardllamaError(f"others may read {path}, which would hold a password or a key: chmod 600 {path}")
    ((identity, changed),) = prepare(archive, who[:1])
    if path.exists() and path.stat().st_size and not options.yes:
        say(f"{path} is there, {amount(path.stat().st_size)}: its content will be lost.")
        confirmation.confirm([path.name])
    return [job_for_file(path, archive.manifest.disk_size, identity, changed)]


def refuse_twins(identity: Identity | None, count: int) -> None:
    """Raises BoardllamaError when several cards would get what must be each one's own."""
    fixed = identity.address not in (None, "dhcp") if identity else False
    if identity and count > 1 and (identity.hostname or fixed):
        raise BoardllamaError(f"{count} cards cannot have one host name or address: CSV=… gives each its own")


def prepare(archive: Archive, who: Who) -> list[tuple[Identity | None, Sequence[Change]]]:
    """What makes each card its own, before anything is written. Raises BoardllamaError."""
    if not any(who):
        return [(identity, ()) for identity in who]
    original = partition(archive)
    return [(identity, changes(archive, original, text_for(identity, archive)) if identity else ()) for identity in who]


def interrupt(*_: object) -> None:
    """A terminal that goes, or a machine that shuts down, is as Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        sys.exit(main(sys.argv[1:]))
    except BoardllamaError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("interrupted: a card that was written to has a line in the results, any other is as it was")
    except OSError as error:
        sys.exit(f"FAIL: {error}")
