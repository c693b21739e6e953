"""`python -m deploy.flash IMAGE …`: writes a signed image to cards, and proves each card by reading it back.

Whatever can be refused is refused before the first write: a bad signature, a wrong row of the CSV file, a place that
takes no results, a disk that is in use.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from deploy.controller.progress import DISPLAY, say_line
from deploy.controller.verb_parser import verb_parser
from deploy.errors import BoardllamaError
from deploy.flash.archive import SUFFIX, Archive, open_archive
from deploy.flash.batch import Batch, Job, job_for_disk, job_for_file, result_summary
from deploy.flash.card_writer import Change
from deploy.flash.confirmation import confirm_names
from deploy.flash.devices import Device, media_warning
from deploy.flash.disk_choice import Choice
from deploy.flash.display_text import size_text
from deploy.flash.identities import add_identity_options, identities_from_csv, identity_from_options, told_values
from deploy.flash.identity_file import identity_area, identity_text, read_host_name
from deploy.flash.results import CardVerdict, Public, check_results, has_secret, passed_identities, public_values
from deploy.formats.image_manifest import media_text
from deploy.formats.spans import total_size
from deploy.onboard.identity.boardllama_txt import Identity
from deploy.paths import dist_dir

RESULTS = "results.jsonl"
# The results hold no password: a row of which only the password has changed counts as passed.
BEGIN_AGAIN = "RESULTS=… with a new file's name begins again, as for another password"
Identities = Sequence[Identity | None]


def flash_arguments() -> argparse.ArgumentParser:
    parser = verb_parser(
        "flash",
        "Writes a signed image to cards, and proves each: PASS or FAIL.",
        "",
        "dist/rpi5.img.zst --device /dev/sda --hostname kitchen --ssh-key ~/.ssh/id_ed25519.pub",
        "--csv boards.csv",
    )
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
    add_identity_options(parser)
    return parser


def flash_cards(words: list[str]) -> int:
    """Returns 0 when every card has passed, 130 when a card was interrupted, 1 when a card failed.

    Raises BoardllamaError for what is refused before anything is written.
    """
    options = flash_arguments().parse_args(words)
    values = told_values(options)
    every: Identities = identities_from_csv(options.csv, values) if options.csv else [identity_from_options(values)]
    image = options.image or only_image()
    results = options.results or image.with_name(RESULTS)
    with open_archive(image, options.signers) as archive:
        say_line(
            f"{archive.display_name}: signed, complete, {size_text(archive.manifest.disk.size)}, of which "
            f"{size_text(total_size(archive.blocks.mapped_spans))} are written"
        )
        if media := media_text(archive.manifest.starts_from):
            say_line(f"{archive.manifest.board} starts from: {media}")
        check_results(results)
        done = passed_identities(results, archive.manifest.image.sha256) if options.csv else ()
        who, finished = unfinished_rows(every, done)
        if options.csv and not who:
            say_line(f"every row of {options.csv} has passed: nothing is left to do; {BEGIN_AGAIN}")
            return 0
        jobs = file_job(options, archive, who) if options.to_file else disk_jobs(options, archive, who, finished)
        found = Batch(archive, results, options.everything).run(jobs)
    for result in found:
        with suppress(OSError):  # of a terminal that is gone
            os.write(1, f"{result_summary(result)}\n".encode())
    if options.csv and (left := len(who) - sum(result.verdict is CardVerdict.PASS for result in found)):
        say_line(f"rows of {options.csv} that are left: {left}. Put in other cards, and run the same command again")
    if any(result.verdict is CardVerdict.INTERRUPTED for result in found):
        return 130
    return 0 if all(result.verdict is CardVerdict.PASS for result in found) else 1


def only_image() -> Path:
    """The only image in dist/. Raises BoardllamaError when dist/ holds none, or several."""
    found = sorted(dist_dir().glob(f"*{SUFFIX}"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise BoardllamaError(f"IMAGE= must name the image, dist/….img.zst: there are {names}")
    return found[0]


def unfinished_rows(every: Identities, done: Sequence[Public]) -> tuple[Identities, frozenset[str]]:
    """The rows that have not passed yet, and the host names of the rows that have.

    A row whose public values have changed since is unfinished again.
    """
    left = [identity for identity in every if public_values(identity) not in done]
    if len(left) < len(every):
        say_line(f"{len(every) - len(left)} of {len(every)} rows have passed already; {BEGIN_AGAIN}")
    return left, frozenset(identity.hostname or "" for identity in every if identity and identity not in left)


def disk_jobs(options: argparse.Namespace, archive: Archive, who: Identities, finished: frozenset[str]) -> list[Job]:
    """A job for each disk that was chosen and confirmed. Raises BoardllamaError when a disk may not be written."""
    words = [options.device] if options.device else [word for word in (options.devices or "").split(",") if word]
    choice = Choice(words, options.serial, options.yes)
    chosen = choice.choose(archive.manifest.disk.size)
    if options.csv:
        chosen = without_finished(chosen, archive, finished)
    else:
        refuse_twins(who[0], len(chosen))
        who = [who[0]] * len(chosen)
    for device in chosen[len(who) :]:
        say_line(f"{device.path} is left alone: no row is left for it")
    chosen = chosen[: len(who)]
    prepared = prepare_identities(archive, who[: len(chosen)])
    named = [identity.hostname if identity else None for identity in who]
    image = archive.display_name
    receives = [f"{image} as {name}" if name else image for _, name in zip(chosen, named, strict=False)]
    for warning in filter(None, (media_warning(device, archive.manifest) for device in chosen)):
        say_line(warning)
    shown = choice.confirm(chosen, receives)
    return [job_for_disk(device, found, *both) for device, found, both in zip(chosen, shown, prepared, strict=True)]


def without_finished(chosen: Sequence[Device], archive: Archive, finished: frozenset[str]) -> list[Device]:
    """The disks, but those whose card has passed: between two runs of a batch, some cards may stay in their readers.

    Raises BoardllamaError when no disk is left.
    """
    left = []
    for device in chosen:
        if (name := read_host_name(device.path, archive)) in finished:
            say_line(f"{device.path} is left alone: it is {name}, and has passed")
        else:
            left.append(device)
    if not left:
        raise BoardllamaError("every card here has passed already: put in others, and run the same command again")
    return left


def file_job(options: argparse.Namespace, archive: Archive, who: Identities) -> list[Job]:
    """The only job of `--to-file`. Raises BoardllamaError when the file must not be overwritten."""
    path: Path = options.to_file
    if path.exists() and (path.is_symlink() or not path.is_file()):
        raise BoardllamaError(f"{path} is no regular file: DEVICE={path} writes to a disk")
    if path.exists() and path.stat().st_mode & 0o077 and has_secret(who[0]):
        raise BoardllamaError(f"others may read {path}, which would hold a password or a key: chmod 600 {path}")
    ((identity, changed),) = prepare_identities(archive, who[:1])
    if path.exists() and path.stat().st_size and not options.yes:
        say_line(f"{path} is there, {size_text(path.stat().st_size)}: its content will be lost.")
        confirm_names([path.name])
    return [job_for_file(path, archive.manifest.disk.size, identity, changed)]


def refuse_twins(identity: Identity | None, count: int) -> None:
    """Raises BoardllamaError when `count` cards, more than one, would share a host name or a fixed address."""
    fixed = identity.address not in (None, "dhcp") if identity else False
    if identity and count > 1 and (identity.hostname or fixed):
        raise BoardllamaError(f"{count} cards cannot have one host name or address: CSV=… gives each its own")


def prepare_identities(archive: Archive, who: Identities) -> list[tuple[Identity | None, Sequence[Change]]]:
    """For each card its identity, and the blocks that bring the identity onto it. Raises BoardllamaError."""
    if not any(who):
        return [(identity, ()) for identity in who]
    with identity_area(archive) as area:
        changes = [area.blocks_with(identity_text(identity, archive)) if identity else () for identity in who]
    return list(zip(who, changes, strict=True))


def raise_interrupt(*_: object) -> None:
    """A handler of signals: a terminal that goes and a machine that shuts down end the run as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, raise_interrupt)
    DISPLAY.own_terminal()
    try:
        sys.exit(flash_cards(sys.argv[1:]))
    except BoardllamaError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("interrupted: a card that was written to has a line in the results, any other is as it was")
    except OSError as error:
        sys.exit(f"FAIL: {error}")
