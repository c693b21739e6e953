"""Crash-safe building blocks that pyinfra lacks: small files that an operator may edit."""

import difflib
import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from pyinfra import host, logger
from pyinfra.api import operation

from deploy.hosts.facts import Text
from deploy.hosts.facts.target import record_path
from deploy.hosts.lock import TargetStep
from deploy.hosts.remote import Commands, Remote
from deploy.hosts.snapshot import snapshot_of


@dataclass(frozen=True)
class TextFile:
    """A small file of the target; `owner` is user:group, `mode` octal digits.

    `before` is a shell command that must succeed before the file gets its name: a check, or what the file declares.
    Its last word is the path of the new content. Content that fails replaces nothing, nor do the files that were to be
    written with it; a deploy that was cut runs the command again. `secret`: its lines are shown to nobody.
    """

    dest: str
    content: str
    mode: str = "644"
    owner: str = "root:root"
    before: str = "true"
    secret: bool = False

    @property
    def record(self) -> str:
        """Where the content of the last deploy is kept."""
        return record_path(self.dest)

    @property
    def content_bytes(self) -> bytes:
        """The content as it lies on the disk."""
        return self.content.encode()

    def is_at(self, text: Text | None) -> bool:
        """True when the target's file has this content, mode and owner."""
        wanted = (self.content_bytes, int(self.mode, 8), self.owner)
        return text is not None and (text.content, text.mode, text.owner) == wanted


@operation()
def text_files(files: tuple[TextFile, ...], conflict: str = "keep") -> Commands:
    """Makes the target hold `files`. One that was edited there is kept and reported, unless `conflict` is overwrite."""
    held = snapshot_of(host, *(path for file in files for path in (file.dest, file.record))).texts
    wanting = []
    for file in files:
        there, record = held.get(file.dest), held.get(file.record)
        if is_edited(file, there, record) and conflict == "keep":
            report_edit(file, there)
        elif not file.is_at(there) or record is None or record.content != file.content_bytes:
            show_diff(file, there)
            wanting.append(file)
    if wanting:
        yield TargetStep(partial(write_texts, files=wanting))


def is_edited(file: TextFile, there: Text | None, record: Text | None) -> bool:
    """True when the target's content comes neither from this deploy nor from the deploy before."""
    return there is not None and there.content not in (file.content_bytes, record.content if record else None)


def diff_lines(file: TextFile, there: Text | None) -> list[str]:
    """Unified diff from what the target has to what the deploy would write; of a secret file its name alone."""
    if file.secret:
        return [f"{file.dest} differs; its lines are not shown"]
    old = there.content.decode(errors="replace").splitlines() if there else []
    return list(difflib.unified_diff(old, file.content.splitlines(), f"{file.dest} (target)", "(deploy)", lineterm=""))


def show_diff(file: TextFile, there: Text | None) -> None:
    """Shows the difference under pyinfra's --diff, while pyinfra looks for changes."""
    if host.state.config.DIFF and not host.state.is_executing:
        for line in diff_lines(file, there):
            logger.info(f"{host.print_prefix}{line}")


def report_edit(file: TextFile, there: Text | None) -> None:
    """Says once in a run what is kept and how to have it otherwise."""
    told: set[str] = host.connector_data.setdefault("boardllama_kept", set())
    if file.dest in told:
        return
    told.add(file.dest)
    logger.warning(
        f"{host.print_prefix}{file.dest} was edited on the target and is kept; --data config_conflict=overwrite "
        f"replaces it. What the deploy would change:"
    )
    for line in diff_lines(file, there):
        logger.warning(f"{host.print_prefix}  {line}")


def write_texts(remote: Remote, files: list[TextFile]) -> None:
    """Writes and checks all files beside their places, then renames them: one that is refused changes nothing."""
    steps = (*map(write_command, files), *map(rename_command, files))
    remote.feed([file.content_bytes for file in files], "; ".join(("set -e", *steps)))


def write_command(file: TextFile) -> str:
    """The shell command that takes the file from its input, writes it beside its place, and checks it."""
    dest, folder = shlex.quote(file.dest), shlex.quote(str(PurePosixPath(file.dest).parent))
    return (
        f"umask 022; mkdir -p {folder}; umask 077; head -c {len(file.content_bytes)} > {dest}.new;"
        f" chmod {file.mode} {dest}.new; chown {file.owner} {dest}.new; sync {dest}.new; {file.before} {dest}.new"
    )


def rename_command(file: TextFile) -> str:
    """The shell command that gives the file its name, then does the same for its record."""
    dest, record = shlex.quote(file.dest), shlex.quote(file.record)
    folder, records = (shlex.quote(str(PurePosixPath(path).parent)) for path in (file.dest, file.record))
    return (
        f"umask 077; mkdir -p {records}; cp {dest}.new {record}.new; mv -T {dest}.new {dest}; sync {folder};"
        f" mv -T {record}.new {record}; sync {records}"
    )
