"""Where a channel goes: a folder of this computer, or of another one over SSH, by rsync."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from deploy.controller.programs import program_output
from deploy.errors import BoardllamaError, shown
from deploy.fleet.channel.record import FILE
from deploy.fleet.channel.repository import IN_RELEASE
from deploy.paths import cache_dir, user_path

ELSEWHERE = re.compile(r"(?P<host>[^/:@\s]+@[^/:\s]+|[^/:@\s]+):(?P<path>[^:\s]+)")
# Seconds that the other computer may be silent, and that all of it may take: a model of 5 GB over a slow line.
SILENCE, DEADLINE = 60, 6 * 3600.0
# In this order: what is named, then what names it. The last pass removes what the folder here no longer has.
PASSES = (
    ("--include=/pool/***", "--include=/models/***", "--exclude=*"),
    (f"--exclude=/{IN_RELEASE}", f"--exclude=/{FILE}"),
    (),
    ("--delete-after",),
)


@dataclass(frozen=True)
class Destination:
    """`folder`: of this computer, the channel's own or a copy of it. `address`: host:path of the other one, or ""."""

    folder: Path
    address: str = ""

    def has(self, signed: str) -> bool:
        """Whether the index that was signed at that time has come to where readers find it."""
        return not self.address or (self.uploaded.exists() and self.uploaded.read_text() == signed)

    @property
    def uploaded(self) -> Path:
        """The file here that says when the index was signed that the other computer has."""
        return self.folder / ".uploaded"

    def upload(self, signed: str) -> None:
        """Has the other computer hold what the folder holds. A cut upload is gone on with. Raises BoardllamaError."""
        if not self.address:
            return
        for words in PASSES:
            options = ["--archive", "--partial", "--mkpath", "--no-owner", "--no-group", f"--timeout={SILENCE}"]
            # Files that are being written here have names with a dot in front.
            run_rsync(*options, "--exclude=.*", *words, f"{self.folder}/", f"{self.address}/")
        self.uploaded.write_text(signed)


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
    """Copies over SSH, which asks nothing. Raises BoardllamaError with rsync's last line."""
    ssh = "--rsh=ssh -o BatchMode=yes -o ConnectTimeout=15"
    program_output("rsync", ssh, *words, deadline=DEADLINE, package="rsync")
