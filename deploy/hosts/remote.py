"""One host, as a Python step of an operation sees it: run a command, feed a command with bytes, say something."""

import subprocess
from collections.abc import Callable, Generator, Iterable
from functools import partial, singledispatch
from typing import IO, Any, NamedTuple

from paramiko import Channel, SSHException
from pyinfra import host, logger
from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.base import BaseConnector
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import make_unix_command_for_host

from deploy.errors import BoardllamaError, NotThere
from deploy.hosts.run_record import record_of, with_disk_advice
from deploy.hosts.ssh.connection import BoardConnector, Unreachable

# Seconds in which a command on a host that lives takes no byte, or does not end after the last byte: gigabytes on their
# way from memory to a slow card (10 MB/s) take minutes. A host that has gone ends the command by itself.
QUIET_SECONDS = 900.0
HANGS = "a command went on for {:.0f} s without taking a byte or coming to its end: is its disk dying?"
Arguments = Any
# What the body of an operation yields: shell commands, and steps like HostStep.
Commands = Generator[str | PyinfraCommand, None, None]


class RemoteCommandFailed(BoardllamaError):
    """A command on the host ended with another status than 0. The message holds the command's stderr."""


class Lost(BoardllamaError):
    """The connection to the host is gone. The message says why."""

    verdict = "lost"


class Refused(BoardllamaError):
    """The host cannot take what the run would bring, or must not."""

    verdict = "refused"


class Remote:
    """A host together with the privileges (sudo, …) of the operation that is running on it."""

    def __init__(self, host: Host, arguments: Arguments) -> None:
        self.host = host
        self.arguments = {key: value for key, value in arguments.items() if value is not None}

    def run(self, *bits: str | QuoteString) -> str:
        """Standard output of the shell command. Raises RemoteCommandFailed; Lost when the host went away."""
        succeeded, output = self.host.run_shell_command(StringCommand(*bits), **self.arguments)
        if not succeeded:
            if lost := why_lost(self.host):
                raise Lost(lost)
            raise RemoteCommandFailed(output.stderr.strip() or output.stdout.strip() or "no output")
        return str(output.stdout)

    def feed(self, source: Iterable[bytes], *bits: str | QuoteString) -> None:
        """Runs the shell command with the bytes of `source` as its input. Raises RemoteCommandFailed, OSError."""
        command = make_unix_command_for_host(self.host.state, self.host, StringCommand(*bits), **self.shell_arguments())
        status, errors = feed_command(self.host.connector, command.get_raw_value(), source)
        if status != 0:
            raise RemoteCommandFailed(errors.strip() or f"status {status}")

    def talk(self, *bits: str | QuoteString) -> "Talk":
        """Starts the shell command and leaves it running: a line from it, bytes to it, while this process lives."""
        command = make_unix_command_for_host(self.host.state, self.host, StringCommand(*bits), **self.shell_arguments())
        return start_talk(self.host.connector, command.get_raw_value())

    def reconnect(self) -> None:
        """Connects again to a host that was lost, and worked on by itself. Raises Lost when the host stays away."""
        connector = self.host.connector
        assert isinstance(connector, BoardConnector)  # others are never lost
        try:
            connector.return_to_it()
        except Unreachable as error:
            raise Lost(error.reason) from None

    def shell_arguments(self) -> dict[str, Any]:
        """The arguments that decide the command line; the others decide how pyinfra runs it."""
        control = {"_get_pty", "_timeout", "_stdin", "_success_exit_codes"}
        return {key: value for key, value in self.arguments.items() if key not in control}

    def say(self, line: str) -> None:
        """A line of progress, with the host's name before it."""
        self.host.log(line)


def why_lost(host: Host) -> str:
    """Why the connection is gone; empty while it is there, and for a kind of connection that is never lost."""
    return host.connector.lost if isinstance(host.connector, BoardConnector) else ""


def remote_of(host: Host) -> Remote:
    """A host that no operation of the run is about, with the privileges that its data give, such as `_sudo`."""
    told: dict[str, Any] = {**pop_global_arguments(host.state, host, {})[0]}
    # Of pyinfra's further arguments no connection knows anything.
    return Remote(host, {name: told.get(name) for name in CONNECTOR_ARGUMENT_KEYS})


@singledispatch
def feed_command(connector: BaseConnector, command: str, _source: Iterable[bytes]) -> tuple[int, str]:
    """Exit status and stderr of `command` after it has read `source`, over one kind of connection."""
    raise BoardllamaError(f"{type(connector).__name__} cannot carry files: use SSH or @local")


@feed_command.register
def feed_local(connector: LocalConnector, command: str, source: Iterable[bytes]) -> tuple[int, str]:
    process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin and process.stderr
    try:
        for chunk in source:
            process.stdin.write(chunk)
        process.stdin.close()
    except BrokenPipeError:
        pass  # The command ended early: its status and its words follow.
    try:
        return process.wait(timeout=QUIET_SECONDS), process.stderr.read().decode(errors="replace")
    except subprocess.TimeoutExpired:
        process.kill()
        raise TimeoutError(HANGS.format(QUIET_SECONDS)) from None


@feed_command.register
def feed_ssh(connector: SSHConnector, command: str, source: Iterable[bytes]) -> tuple[int, str]:
    channel = open_channel(connector, command)
    try:
        for chunk in source:
            channel.sendall(chunk)
        channel.shutdown_write()
    except TimeoutError:
        raise TimeoutError(HANGS.format(QUIET_SECONDS)) from None
    except OSError:
        if not channel.exit_status_ready():
            raise
    errors = channel.makefile_stderr("rb").read().decode(errors="replace")
    return channel.recv_exit_status(), errors


def open_channel(connector: SSHConnector, command: str) -> Channel:
    """A channel of the connection, on which `command` has been started."""
    assert connector.client
    transport = connector.client.get_transport()
    assert transport
    channel = transport.open_session()
    channel.settimeout(QUIET_SECONDS)
    channel.exec_command(command)
    return channel


class Talk(NamedTuple):
    """A running command: `line` waits for a line of its output, "" at the end; `send` gives it input; `end` ends it."""

    line: Callable[[], str]
    send: Callable[[bytes], object]
    end: Callable[[], object]


@singledispatch
def start_talk(connector: BaseConnector, _command: str) -> Talk:
    """Starts `command` over one kind of connection."""
    raise BoardllamaError(f"{type(connector).__name__} cannot hold a command: use SSH or @local")


@start_talk.register
def talk_to_local(connector: LocalConnector, command: str) -> Talk:
    process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdin and process.stdout
    return Talk(
        partial(next_line, process.stdout.readline), partial(write_all, process.stdin), partial(end_command, process)
    )


@start_talk.register
def talk_over_ssh(connector: SSHConnector, command: str) -> Talk:
    channel = open_channel(connector, command)
    return Talk(partial(next_line, channel.makefile("rb").readline), channel.sendall, channel.close)


def next_line(read: Callable[[], bytes]) -> str:
    """The next line of a command, without its newline; empty at the end."""
    return read().decode(errors="replace").rstrip("\n")


def write_all(pipe: IO[bytes], data: bytes) -> None:
    """Writes all of the data: an unbuffered pipe may take a part of it at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[pipe.write(rest) or 0 :]


def end_command(process: subprocess.Popen[bytes]) -> None:
    """Ends a command by closing its pipes. No signal would reach a command that sudo started as another user."""
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
    process.wait()


class HostStep(PyinfraCommand):
    """A Python function as one command of an operation. A BoardllamaError fails this host alone, with its one line."""

    def __init__(self, function: Callable[[Remote], None]) -> None:
        super().__init__()
        self.function = function

    def __repr__(self) -> str:
        return f"HostStep({self.function})"

    def execute(self, state: State, host: Host, connector_arguments: Arguments) -> bool:
        """Runs the function. False fails the host."""
        try:
            self.function(Remote(host, connector_arguments))
        except (BoardllamaError, OSError, EOFError, SSHException) as error:
            lost = why_lost(host)
            reason = with_disk_advice(lost or str(error) or type(error).__name__)
            record_of(host).note_failure(reason, Lost.verdict if lost else getattr(error, "verdict", "failed"))
            host.log_styled(f"Error: {reason}", log_func=logger.error, fg="red")
            return False
        return True


def refuse(why: str | Exception) -> HostStep:
    """The command that fails this host with that message and leaves the others alone."""

    message = str(why)
    if not host.state.is_executing and not isinstance(why, NotThere):
        record_of(host).expected = message
        host.log_styled(f"would be refused: {message}", log_func=logger.warning, fg="yellow")

    def refusal(_remote: Remote) -> None:
        raise Refused(message)

    return HostStep(refusal)
