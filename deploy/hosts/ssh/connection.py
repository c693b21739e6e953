"""The connection to a board: tried again while it boots, watched while it is open, its errors one line each."""

import time
from typing import Any

from paramiko import AuthenticationException, BadHostKeyException, SSHException
from pyinfra.api import StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import CommandOutput, OutputLine

from deploy.hosts.record import working_for
from deploy.hosts.ssh.keepalive import PULSE_SECONDS, Pulse
from deploy.hosts.ssh.refusals import Refusal, refusal_of

# A board that boots refuses, or is not there, for a moment: no try begins later than this after the first.
TRYING_SECONDS = 15.0
PAUSE_SECONDS = 3.0
# A new connection to a board that went away in the middle, which may be starting again.
RETURN_SECONDS = 90.0
# From the open port to a login. A busy board takes more than one that is idle: the second try waits longer.
GREETING_SECONDS = 20.0
# Nothing is begun yet while a run prepares, and nothing lost by leaving a silent board out.
SILENT_PREPARING, SILENT_EXECUTING = 30.0, 120.0
# With the seconds between two questions in it.
QUIET_SECONDS = PULSE_SECONDS + 5.0
# A command that has no end although the board lives.
LONGEST_SECONDS = 3600


class Unreachable(ConnectError):
    """No connection. `reason`: why, and what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Could not connect: {reason}")
        self.reason = reason


class BoardConnector(SSHConnector):
    """pyinfra's SSH connection. `pulse` is there once it is connected."""

    pulse: Pulse | None = None
    greeting_seconds: float = 0.0

    def make_paramiko_kwargs(self) -> dict[str, Any]:
        """What paramiko is told; its own time for a login is without end."""
        patience = max(float(self.state.config.CONNECT_TIMEOUT), self.greeting_seconds)
        told = {"timeout": patience, "banner_timeout": patience, "auth_timeout": GREETING_SECONDS}
        return super().make_paramiko_kwargs() | told

    def connect(self) -> None:
        """Raises Unreachable, one line: why, and what to do."""
        self.connect_within(TRYING_SECONDS)

    def connect_within(self, seconds: float) -> None:
        """Tries again while the board may be booting; the last try begins before `seconds` are over."""
        end, told = time.monotonic() + seconds, ""
        while (refusal := self.try_once()) is not None:
            if not refusal.may_pass or time.monotonic() + PAUSE_SECONDS > end:
                raise Unreachable(str(refusal))
            if refusal.why != told:
                self.host.log(f"{refusal.why}: trying again for {end - time.monotonic():.0f} s, it may be booting")
            told = refusal.why
            time.sleep(PAUSE_SECONDS)

    def try_once(self) -> Refusal | None:
        """Connects; what stood in the way, or None."""
        try:
            super().connect()
        except ConnectError as error:
            if self.client:
                self.client.close()
            cause = error.__context__
            busy = isinstance(cause, SSHException) and not isinstance(
                cause, AuthenticationException | BadHostKeyException
            )
            self.greeting_seconds = GREETING_SECONDS if busy else 0.0
            return refusal_of(cause or error, self.data)
        assert self.client
        transport = self.client.get_transport()
        assert transport
        self.pulse = Pulse(transport, self.may_be_silent)
        return None

    def return_to_it(self) -> None:
        """A new connection in the place of one that is lost. Raises Unreachable."""
        self.disconnect()
        self.connect_within(RETURN_SECONDS)

    def may_be_silent(self) -> float:
        """Seconds."""
        return SILENT_EXECUTING if self.state.is_executing else SILENT_PREPARING

    @property
    def is_quiet(self) -> bool:
        """True when nothing has been heard for longer than an answer ever takes a board that is well."""
        return self.pulse is not None and (bool(self.lost) or self.pulse.silence > QUIET_SECONDS)

    @property
    def lost(self) -> str:
        """Why there is no connection any more; empty while there is one."""
        if self.pulse is None or self.pulse.transport.is_active():
            return ""
        return self.pulse.lost or "the connection broke: it went off, restarts, or its network is gone"

    def run_shell_command(
        self, command: StringCommand, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> tuple[bool, CommandOutput]:
        """Runs it. Why it came to no end is its stderr, so that facts and operations say it as they say any failure."""
        with working_for(self.host):
            return self.run_watched(command, print_output, print_input, arguments)

    def run_watched(
        self, command: StringCommand, print_output: bool, print_input: bool, arguments: dict[str, Any]
    ) -> tuple[bool, CommandOutput]:
        """The same."""
        longest = arguments.pop("_timeout", None) or LONGEST_SECONDS
        try:
            done, output = super().run_shell_command(command, print_output, print_input, _timeout=longest, **arguments)
        except TimeoutError:
            reason = self.lost or f"a command did not end within {longest:.0f} s, though the board lives"
        except (OSError, SSHException, EOFError) as error:
            reason = self.lost or f"the connection took no command: {error or type(error).__name__}"
        else:
            if done or not self.lost:
                return done, output
            reason = self.lost
        return False, CommandOutput([OutputLine("stderr", reason)])
