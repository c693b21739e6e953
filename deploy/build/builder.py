"""Builder: the machine that compiles, through pyinfra's own connection: this machine (@local), or another by SSH."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import tarfile
from pathlib import Path
from typing import Any, Protocol

from pyinfra.api import StringCommand

from deploy.build.source import PathSource, Source, tree_files
from deploy.errors import BoardllamaError
from deploy.paths import cache_dir

HERE_CACHE = 'echo "${BOARDLLAMA_CACHE:-$HOME/.cache/boardllama}/builder"'


class Host(Protocol):
    """The part of pyinfra's Host that a builder needs."""

    name: str
    connector_cls: Any

    def run_shell_command(self, command: StringCommand, print_output: bool = False) -> tuple[bool, Any]: ...
    def put_file(self, filename_or_io: Any, remote_filename: str) -> bool: ...
    def get_file(self, remote_filename: str, filename_or_io: Any) -> bool: ...


class Builder:
    """Runs recipe.sh in a cache folder of the builder: ~/.cache/boardllama/builder, or in $BOARDLLAMA_CACHE there."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.is_local = host.connector_cls.__name__ == "LocalConnector"

    def run_job(self, name: str, files: dict[str, bytes], source: Source) -> str:
        """Runs the job of that name and returns the folder of its result on the builder.

        Its progress lines appear as they come. Raises BoardllamaError with the failed step, its log, and the last words
        in the log.
        """
        cache = str(cache_dir() / "builder") if self.is_local else self._shell_output(HERE_CACHE)
        job = f"{cache}/jobs/{name}"
        self._shell_output(f"mkdir -p {shlex.quote(job)}")
        if isinstance(source, PathSource):
            files = {**files, "job.sh": files["job.sh"] + self._send_tree(source, job)}
        for file, content in files.items():
            self._put_file(content, f"{job}/{file}")
        command = f"sh {shlex.quote(f'{job}/recipe.sh')} {shlex.quote(job)}"
        done, output = self.host.run_shell_command(StringCommand(command), print_output=True)
        if not done:
            raise BoardllamaError(self._failure_reason(output.stdout_lines, output.stderr_lines))
        return f"{cache}/out/{name}"

    def bring_files(self, folder: str, names: list[str], destination: Path) -> None:
        """Copies the named files of a folder on the builder into a folder here. Raises BoardllamaError."""
        for name in names:
            if self.is_local:
                shutil.copyfile(f"{folder}/{name}", destination / name)
            elif not self.host.get_file(f"{folder}/{name}", str(destination / name)):
                raise BoardllamaError(f"{self.host.name}:{folder}/{name} could not be brought here; run again")

    def _failure_reason(self, lines: list[str], errors: list[str]) -> str:
        said = [line.removeprefix("FAILED ") for line in lines if line.startswith("FAILED ")]
        said = said or [line for line in errors if line.strip()][-1:]
        said = said or ["interrupted; run again, it goes on from there"]
        return said[-1].replace("(log: ", f"(log: {'' if self.is_local else self.host.name + ':'}")

    def _shell_output(self, command: str) -> str:
        done, output = self.host.run_shell_command(StringCommand(command))
        if not done:
            raise BoardllamaError(f"{self.host.name}: {command}: {output.output.strip() or 'failed without a message'}")
        return str(output.stdout).strip()

    def _put_file(self, content: bytes, path: str) -> None:
        if not self.host.put_file(io.BytesIO(content), path):
            raise BoardllamaError(f"{self.host.name}: could not write {path}")

    def _send_tree(self, source: PathSource, job: str) -> bytes:
        """Brings the source folder to the builder as a tar. Returns the line of job.sh that says where the tar is.

        A local builder reads the tar where it was made. Raises BoardllamaError.
        """
        archive = cache_dir() / "source" / f"{source.pin[:16]}.tar"
        if not archive.exists():
            _write_tar(source.path, archive)
        if self.is_local:
            return f"ARCHIVE={shlex.quote(str(archive))}\n".encode()
        if not self.host.put_file(str(archive), f"{job}/source.tar"):
            raise BoardllamaError(f"{self.host.name}: could not write {job}/source.tar")
        return f"ARCHIVE={shlex.quote(job + '/source.tar')}\n".encode()


def _write_tar(root: Path, archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    aside = archive.with_name(f"{archive.name}.{os.getpid()}.new")
    with tarfile.open(aside, "w") as tar:
        for path in tree_files(root):
            tar.add(path, path.relative_to(root).as_posix(), recursive=False)
    aside.rename(archive)
