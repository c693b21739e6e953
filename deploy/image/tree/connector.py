"""`@tree/PATH`: pyinfra's operations and facts inside a root tree. Nothing of a tree is opened from outside.

Unlike in pyinfra's own @chroot, files travel through a process inside, block by block: a link in the tree leads
nowhere but into the tree, and no file is held in memory.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyinfra import logger
from pyinfra.api import StringCommand
from pyinfra.api.exceptions import ConnectError, InventoryError
from pyinfra.api.host import Host
from pyinfra.api.output import echo
from pyinfra.api.state import State
from pyinfra.api.util import get_file_io
from pyinfra.connectors.base import BaseConnector, ConnectorData, DataMeta
from pyinfra.connectors.util import CommandOutput, OutputLine, make_unix_command_for_host

from deploy.debian.binfmt import ensure_arm64_runs
from deploy.debian.owners import require_namespaces
from deploy.errors import BoardllamaError
from deploy.image.tree import lock
from deploy.image.tree.channel import Channel, Talking, arriving_file, file_blocks, get_command, put_command
from deploy.image.tree.process import LONGEST
from deploy.image.tree.sandbox import Sandbox, check_sandbox_programs, check_tree

# pyinfra's arguments that say how a command is run. The others become part of the command's text.
CONTROL = {"_get_pty", "_timeout", "_stdin", "_success_exit_codes"}
NEWLINE = "\n"


class TreeData(ConnectorData, total=False):
    """What the inventory says of a tree (TOLD has the meanings)."""

    tree_path: str
    tree_network: bool
    tree_deadline: int
    board_cpu: str
    board_memory: int


TOLD = {
    "tree_path": DataMeta("The tree's folder on the controller"),
    "tree_network": DataMeta("Let commands use the controller's network", False),
    "tree_deadline": DataMeta("Seconds that a command may be silent", 600),
    "board_cpu": DataMeta("CPU of the board: a name of deploy/cpu.py", ""),
    "board_memory": DataMeta("Memory of the board in bytes; 0: not known", 0),
}


class TreeConnector(BaseConnector):
    """A root tree as a target. `board_cpu` and `board_memory` are those of the board that will boot it."""

    handles_execution = True
    data_cls = TreeData
    data_meta = TOLD

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        self.tree = Path(self.data["tree_path"])
        sandbox = Sandbox(self.tree, os.geteuid() == 0, self.data["tree_network"])
        self.channel = Channel(sandbox, float(self.data["tree_deadline"]))
        self.locked: int | None = None
        self.talks: list[Talking] = []

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """One host, in the group @tree, for the tree of that path. Raises InventoryError without a path."""
        if not name:
            raise InventoryError("@tree/PATH: the path of the tree is missing")
        path = f"/{name.lstrip('/')}"
        yield f"@tree{path}", {"tree_path": path}, ["@tree"]

    def connect(self) -> None:
        """Checks the tree, locks it, and runs a program of the tree. Raises ConnectError."""
        try:
            check_tree(self.tree)
            check_sandbox_programs(self.channel.sandbox.as_root)
            require_namespaces()
            self.locked = lock.lock_tree(self.tree)
            ensure_arm64_runs()
            self.channel.probe()
        except (BoardllamaError, OSError) as error:
            self.disconnect()
            raise ConnectError(str(error)) from None

    def disconnect(self) -> None:
        """Ends what still runs in the tree and gives its lock back."""
        while self.talks:
            self.talks.pop().end()
        if self.locked is not None:
            os.close(self.locked)
            self.locked = None

    def talk(self, command: str) -> Talking:
        """Starts a shell command that is talked with. It ends with this connection at the latest."""
        self.talks.append(Talking(self.channel, command))
        return self.talks[-1]

    def full_command(self, command: StringCommand, arguments: dict[str, Any]) -> StringCommand:
        """The command with what pyinfra's arguments (_env, _su_user, …) put around it."""
        around = {key: value for key, value in arguments.items() if key not in CONTROL}
        return make_unix_command_for_host(self.state, self.host, command, **around)

    def run_shell_command(
        self, command: StringCommand, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> tuple[bool, CommandOutput]:
        """Whether the command ended well, and its output. The last line of stderr says why it had to be ended."""
        text = self.full_command(command, arguments)
        logger.debug("--> Running in %s: %s", self.tree, text)
        self.show(print_input, f">>> {text}")
        found: list[OutputLine] = []

        def hear(name: str, line: str) -> None:
            found.append(OutputLine(name, line))
            self.show(print_output, line)

        longest = arguments.get("_timeout") or LONGEST
        status = self.channel.listen(text.get_raw_value(), hear, stdin_lines(arguments.get("_stdin")), longest)
        return status in (arguments.get("_success_exit_codes") or (0,)), CommandOutput(found)

    def put_file(
        self,
        filename_or_io: Any,
        remote_filename: str,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        """Writes a file in the tree. Raises OSError with the words of the tree's tools."""
        text = self.full_command(StringCommand(put_command(remote_filename)), arguments).get_raw_value()
        with get_file_io(filename_or_io) as file:
            check_status(remote_filename, *self.channel.carry(text, file_blocks(file)))
        self.show(print_output, f"file written in the tree: {remote_filename}")
        return True

    def get_file(
        self,
        remote_filename: str,
        filename_or_io: Any,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        """Reads a regular file of the tree. Raises OSError for anything else."""
        text = self.full_command(StringCommand(get_command(remote_filename)), arguments).get_raw_value()
        with arriving_file(filename_or_io) as file:
            check_status(remote_filename, *self.channel.carry(text, sink=file.write))
        self.show(print_output, f"file read from the tree: {remote_filename}")
        return True

    def show(self, wanted: bool, line: str) -> None:
        """Prints a line for the user where pyinfra wants it."""
        if wanted:
            echo(f"{self.host.print_prefix}{line}", err=True)


def check_status(path: str, status: int, errors: str) -> None:
    """Raises OSError, with the path and the errors, unless the status is 0."""
    if status != 0:
        raise OSError(f"{path}: {errors or f'status {status}'}")


def stdin_lines(lines: Any) -> Iterator[bytes]:
    """pyinfra's argument _stdin, which is a string, a file or lines of text, as lines that end with a newline."""
    if hasattr(lines, "readlines"):
        lines = lines.readlines()
    for line in [lines] if isinstance(lines, str) else lines or ():
        yield f"{str(line).removesuffix(NEWLINE)}{NEWLINE}".encode()
