"""Where a channel goes: a folder of this computer, or of another one over SSH, by rsync."""

import errno
import hashlib
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.controller.programs import run_program
from deploy.debian.staging import remove_tree
from deploy.errors import BoardllamaError, NotThere, shown
from deploy.fleet.channel.record import FILE, index_hash, read_record
from deploy.fleet.channel.repository import IN_RELEASE, prove_packages
from deploy.paths import cache_dir, user_path

ELSEWHERE = re.compile(r"(?P<host>[^/:@\s]+@[^/:\s]+|[^/:@\s]+):(?P<path>[^:\s]+)")
# Seconds that the other computer may be silent, and that all of it may take: a model of 5 GB over a slow line.
SILENCE, DEADLINE = 60, 6 * 3600.0
# rsync(1): "Partial transfer due to error".
INCOMPLETE = 23
COPY = ("--archive", "--partial", "--mkpath", "--no-owner", "--no-group")
# In this order: what is named, then what names it. A last pass removes what the folder here no longer has.
PASSES = (
    ("--include=/pool/***", "--include=/models/***", "--exclude=*"),
    (f"--exclude=/{IN_RELEASE}", f"--exclude=/{FILE}"),
    (),
)


@dataclass(frozen=True)
class Destination:
    """`folder`: of this computer, the channel's own or a copy of it. `address`: host:path of the other one, or ""."""

    folder: Path
    address: str = ""

    @property
    def is_uploaded(self) -> bool:
        """Whether readers find what the folder holds."""
        return not self.address or (self.uploaded.exists() and self.uploaded.read_text() == index_hash(self.folder))

    @property
    def uploaded(self) -> Path:
        """The file here with the hash of the InRelease that the other computer got from here last."""
        return self.folder / ".uploaded"

    def upload(self, needed: Collection[str]) -> None:
        """Has the other computer hold what the folder holds. A cut upload is gone on with. Raises BoardllamaError.

        `needed`: names of what stays there, also where it is not here: models that another controller brought.
        """
        if not self.address:
            return
        kept = [f"--filter=protect /models/{name}" for name in needed]
        for words in (*PASSES, (*kept, "--delete-after")):
            # Files that are being written here have names with a dot in front.
            run_rsync(*COPY, "--exclude=.*", *words, f"{self.folder}/", f"{self.address}/")
        self.uploaded.write_text(index_hash(self.folder))

    def catch_up(self) -> None:
        """Has the folder hold what another controller has published there since, but for models.

        Raises BoardllamaError where that cannot be proven.
        """
        if not self.address:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.folder, prefix=".there-") as place:
            there = Path(place)
            (there / IN_RELEASE).parent.mkdir(parents=True)
            with suppress(NotThere):
                run_rsync(f"{self.address}/{IN_RELEASE}", str(there / IN_RELEASE.parent))
            found = index_hash(there)
            if not found:
                self.uploaded.unlink(missing_ok=True)
            elif found != index_hash(self.folder) and not self.brought(found):
                self.take_over(there)

    def brought(self, index: str) -> bool:
        """Whether the InRelease of that hash came to the other computer from here."""
        return self.uploaded.exists() and self.uploaded.read_text() == index

    def take_over(self, there: Path) -> None:
        """Fetches the channel into the folder `there`, proves it, and puts it in place of what is here."""
        run_rsync(*COPY, "--exclude=.*", "--exclude=/models/", f"{self.address}/", f"{there}/")
        try:
            if not read_record(there).is_of(there):
                raise BoardllamaError(
                    "its record is not of its index: an upload was cut; publish again from the controller that began it"
                )
            prove_packages(there)
        except BoardllamaError as error:
            raise BoardllamaError(f"{self.address} has a channel that cannot be gone on with: {error}") from None
        # The index comes last: a run that is cut before takes over once more.
        (there / FILE).replace(self.folder / FILE)
        for name in ("pool", "dists"):
            remove_tree(self.folder / name)
            (there / name).rename(self.folder / name)
        self.uploaded.write_text(index_hash(self.folder))


def destination_of(text: str) -> Destination:
    """The destination that a user wrote: a folder, or user@host:path. Raises BoardllamaError."""
    if not text or "://" in text:
        raise BoardllamaError(
            f"DEST is {shown(text)}: must be a folder that a web server serves, or user@host:path; for an object store "
            "name a folder, then copy it there, InRelease last"
        )
    if found := ELSEWHERE.fullmatch(text):
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        return Destination(cache_dir() / "channels" / name, f"{found['host']}:{found['path'].rstrip('/')}")
    return Destination(user_path("DEST", text).absolute())


def run_rsync(*words: str) -> None:
    """Copies over SSH, which asks nothing. Raises NotThere for a source that is not there, BoardllamaError."""
    ssh = "--rsh=ssh -o BatchMode=yes -o ConnectTimeout=15"
    done = run_program("rsync", ssh, f"--timeout={SILENCE}", *words, deadline=DEADLINE, package="rsync")
    if done.status:
        # Banners and warnings of ssh come first, and the last line is the status in words.
        said = done.errors.decode(errors="replace").splitlines()
        why = next((line for line in said if line.startswith(("ssh: ", "rsync: ["))), done.complaint)
        missing = done.status == INCOMPLETE and why.endswith(f"({errno.ENOENT})")
        raise (NotThere if missing else BoardllamaError)(f"{why.removeprefix('rsync: ')} (rsync)")
