"""What an operator edited or added, kept in a tar beside before anything is removed."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from datetime import datetime, timezone
from itertools import count
from pathlib import Path

from ..files import write_file
from .ours import Ours


def files_to_keep(ours: Ours) -> dict[Path, Path]:
    """Where each file lies, by the name under which it is known."""
    own = {path: path for path in ours.own_files() if ours.is_kept(path)}
    return dict(sorted({**own, **ours.edited()}.items()))


def keep_files(files: Mapping[Path, Path], root: Path) -> Path | None:
    """Writes a tar that root alone may read. Returns its path; None for no file.

    One with the same bytes, of a run that was cut, is not written twice.
    """
    if not files:
        return None
    content, folder = packed(files, root), root / "var/backups"
    for there in sorted(folder.glob("boardllama-*.tar.gz")):
        if there.read_bytes() == content:
            return there
    now = f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}"
    names = (folder / f"boardllama-{now}{-number or ''}.tar.gz" for number in count())
    path = next(path for path in names if not path.exists())  # a run that was cut a moment ago has kept more
    write_file(path, content, 0o600)
    return path


def packed(files: Mapping[Path, Path], root: Path) -> bytes:
    """The files as a tar with the paths of `root`; the same files are the same bytes."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for name, path in files.items():
            archive.add(path, str(name.relative_to(root)))
    return stream.getvalue()
