"""The receipt of a file on a target: `.<name>.receipt`, a line that says which file was proven to have which sha256.

    receipt 1 SHA256 INODE SIZE CHANGED PATH

`stat` prints the line on the target (receive.sh), and a fact reads the line. A receipt that cannot be read costs one
more reading of the file on the target, nothing else.
"""

import re
from pathlib import PurePosixPath
from typing import Literal

from deploy.formats.values import Frozen, Sha256
from deploy.onboard.files import receipt_name

# inode, size, change time: a file that was written, replaced or moved since differs in one of them.
IDENTITY = "%i %s %.9Z"
# The first receipts had no version.
LINE = re.compile(
    r"receipt (?:(?P<version>\d+) )?(?P<sha256>[0-9a-f]{64})"
    r" (?P<inode>\d+) (?P<size>\d+) (?P<changed>[\d.]+) (?P<path>.+)"
)


class TargetReceipt(Frozen):
    """`size` in bytes; `changed`: seconds since 1970, with all digits that `stat` prints; `path`: the file's own."""

    version: Literal[1] = 1
    sha256: Sha256
    inode: int
    size: int
    changed: str
    path: str

    @staticmethod
    def parse(line: str) -> "TargetReceipt | None":
        """The receipt in a line; None for a line that is no receipt, or one of a version after ours."""
        found = LINE.fullmatch(line)
        if found and found["version"] in (None, "1"):
            return TargetReceipt.model_validate({**found.groupdict(), "version": 1})
        return None

    @property
    def identity(self) -> str:
        """What `stat` prints of the file, in the format IDENTITY."""
        return f"{self.inode} {self.size} {self.changed}"


def receipt_path(path: str) -> str:
    """Where the receipt of a stored file lies."""
    place = PurePosixPath(path)
    return str(place.with_name(receipt_name(place.name)))


def receipt_format(sha256: str) -> str:
    """The format with which `stat` prints the receipt of a file that was proven to have this sha256."""
    return f"receipt 1 {sha256} {IDENTITY} %n"
