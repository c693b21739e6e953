"""Several cards at once: each with its own thread, its own progress and its own result."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from deploy.controller.progress import duration_text, say_line, show_states
from deploy.errors import BoardllamaError
from deploy.flash.archive import Archive
from deploy.flash.card import Card, Interrupted, open_card, open_card_file
from deploy.flash.card_writer import Change, flash_card
from deploy.flash.devices import Device, list_devices
from deploy.flash.disk_contents import Content, read_contents
from deploy.flash.display_text import size_text
from deploy.flash.progress import CardProgress
from deploy.flash.results import CardVerdict, Result, append_result, public_values
from deploy.onboard.identity.boardllama_txt import Identity

OpenCard = Callable[[threading.Event], AbstractContextManager[Card]]


@dataclass(frozen=True)
class Job:
    """One card to be made: `open` opens the card, `changes` bring its identity into the image."""

    name: str
    serial: str
    open: OpenCard
    identity: Identity | None
    changes: Sequence[Change]


@dataclass(frozen=True)
class Batch:
    """One image for several cards. `results` gets a line for each card.

    `everything` writes all mapped blocks, also where a card holds them already.
    """

    archive: Archive
    results: Path
    everything: bool = False

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """Makes all cards at once, and returns when each has ended. Ctrl-C ends all; each still gets its result."""
        stop = threading.Event()
        progress = [CardProgress(job.name) for job in jobs]
        with show_states(*(card.status_line for card in progress)), ThreadPoolExecutor(len(jobs)) as pool:
            running: list[Future[Result]] = []
            try:
                for job, line in zip(jobs, progress, strict=True):
                    running.append(pool.submit(self.flash_one, job, line, stop))
                wait(running)
            except KeyboardInterrupt:
                stop.set()
                say_line("stopping: what is under way is brought to its end first")
                wait_again(running)
        return [future.result() for future in running]

    def flash_one(self, job: Job, progress: CardProgress, stop: threading.Event) -> Result:
        """Makes one card and appends its result. A card that fails has a result, too: nothing is raised."""
        began, written = time.monotonic(), 0
        verdict, reason = CardVerdict.FAIL, ""
        try:
            with job.open(stop) as card:
                try:
                    compared = flash_card(card, self.archive, job.changes, progress, self.everything)
                finally:
                    written = card.written
            verdict, reason = CardVerdict.PASS, "only what differed was written" if compared else ""
        except Interrupted as error:
            verdict = CardVerdict.INTERRUPTED
            reason = f"interrupted. {error}: run the same command again" if written else "interrupted"
        except (BoardllamaError, OSError) as error:
            reason = str(error)
        progress.end(verdict.value)
        result = Result(
            device=job.name,
            serial=job.serial,
            image=self.archive.path.name,
            image_sha256=self.archive.manifest.image.sha256,
            identity=public_values(job.identity),
            bytes=written,
            seconds=round(time.monotonic() - began, 1),
            verdict=verdict,
            reason=reason,
            time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )
        try:
            append_result(self.results, result)
        except OSError as error:
            why = f"{self.results} cannot be written ({error.strerror})"
            say_line(f"{job.name}: {why}; it would be: {result.json_line}")
        return result


def wait_again(running: Sequence[Future[Result]]) -> None:
    """Waits to the end, through every Ctrl-C: a read or write ends by itself, or at the kernel's deadline."""
    while True:
        try:
            wait(running)
            return
        except KeyboardInterrupt:
            continue


def job_for_disk(device: Device, shown: Sequence[Content], identity: Identity | None, changes: Sequence[Change]) -> Job:
    """The job of a disk. `shown` are the contents that a person saw before the answer."""
    return Job(str(device.path), device.serial, partial(open_shown_disk, device, shown), identity, changes)


def job_for_file(path: Path, size: int, identity: Identity | None, changes: Sequence[Change]) -> Job:
    """The job of a regular file, which is made at least `size` bytes long."""
    return Job(str(path), "", partial(open_card_file, path, size), identity, changes)


@contextmanager
def open_shown_disk(device: Device, shown: Sequence[Content], stop: threading.Event) -> Iterator[Card]:
    """The disk that a person has confirmed. Raises BoardllamaError when its contents are not the shown ones any more.

    Another card may have got the disk's name since. All cards in a reader have the same name, serial and model:
    those of the reader.
    """
    with open_card(device.path, stop) as card:
        now = next((replace(one, parts=device.parts) for one in list_devices() if one.name == device.name), None)
        if now != device or card.size != device.size or read_contents(device) != shown:
            raise BoardllamaError(
                f"another card is in the reader now, or {device.path} was changed: nothing was written, "
                "run the same command again"
            )
        yield card


def result_summary(result: Result) -> str:
    """The last line that a person reads about a card."""
    who = ", ".join(result.identity.get("hostname", []))
    head = " ".join(filter(None, [f"{result.verdict.value:<4}", result.device, who and f"as {who}"]))
    if result.verdict is not CardVerdict.PASS:
        return f"{head}: {result.reason}"
    how = f", {result.reason}" if result.reason else ""
    return f"{head}: {size_text(result.bytes)} written, all of it read back, {duration_text(result.seconds)}{how}"
