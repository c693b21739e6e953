"""apt, for the channel alone: with lists, settings and a database of packages of its own.

Nothing waits for the lock of the board's own packages, nothing of theirs is read, and none of theirs can keep a release
away. The database is begun anew for each release: a cut in the middle of dpkg's work leaves nothing to mend.
"""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from ..commands import end_of
from ..places import Places
from .subscription import APT

# Seconds. An index is 2 kB; packages are 13 MB, and a slow line brings 100 kB a second.
LOOK_DEADLINE, INSTALL_DEADLINE = 180.0, 3600.0
# What apt says of an index that it does not believe. Whatever else it says, the channel could not be reached.
DISBELIEF = re.compile(
    r"signature|NO_PUBKEY|not signed|is expired|not valid|Hash Sum|unexpected size|malformed|splitting up|clearsigned",
    re.IGNORECASE,
)
# Of each look another text, which would be another report.
AGE = re.compile(r" \(invalid since [^)]*\)")
DATABASE = ("info", "updates", "triggers", "parts")


class Unbelievable(Exception):
    """The channel is not what the pinned key signed, or no longer: what runs stays. The message says what apt says."""


class Unreached(Exception):
    """The channel did not answer."""


def refresh_index(places: Places) -> None:
    """Asks for the index, and proves it. What was known stays when that fails. Raises Unbelievable, Unreached."""
    if not (places.channel_state / "dpkg/status").exists():
        begin_database(places)
    for half in (places.channel_state / "lists/partial").glob("*"):
        half.unlink()  # of 2 kB there is nothing to go on with, and some proxies would go on with another file
    done = end_of(*apt_words(places, "update"), deadline=LOOK_DEADLINE)
    if done is None:
        raise Unreached(f"apt-get did not end within {LOOK_DEADLINE:.0f} s")
    if done.returncode:
        lines = complaints(done.stderr)
        doubts = [line for line in lines if DISBELIEF.search(line)]
        raise Unbelievable(AGE.sub("", doubts[0])) if doubts else Unreached((lines or ["no reason"])[0])


def index_files(places: Places) -> list[Path]:
    """The proven index, as apt keeps it."""
    return sorted((places.channel_state / "lists").glob("*_Packages"))


def unpack_packages(places: Places, names: Iterable[str]) -> None:
    """Fetches packages, unpacks them, and runs their scripts. Raises OSError with what apt says."""
    begin_database(places)
    done = end_of(*apt_words(places, "install", *names), deadline=INSTALL_DEADLINE)
    if done is None or done.returncode:
        said = complaints(done.stderr) if done else ["apt-get did not end"]
        raise OSError("; ".join(said[-2:]) or "apt-get failed")
    end_of(*apt_words(places, "clean"))


def begin_database(places: Places) -> None:
    """Makes an empty database of packages."""
    folder = places.channel_state / "dpkg"
    shutil.rmtree(folder, ignore_errors=True)
    for name in DATABASE:
        (folder / name).mkdir(parents=True)
    (folder / "available").touch()
    (folder / "status").touch()


def apt_words(places: Places, *words: str) -> list[str]:
    """The command line of apt-get with the channel's settings."""
    return ["env", f"APT_CONFIG={places.channel / APT}", "LC_ALL=C.UTF-8", "apt-get", "-qq", *words]


def complaints(said: str) -> list[str]:
    """The errors and warnings among apt's lines."""
    return [line[3:] for line in said.splitlines() if line.startswith(("E: ", "W: "))]
