"""The connection to a board: tried again while it boots, watched while it is open, its errors one line each."""

import time
from pathlib import Path
from typing import Any, get_type_hints

from paramiko import AuthenticationException, BadHostKeyException, SSHException
from pyinfra.api import StringCommand
from pyinfra.api.exceptions import ConnectError, ConnectorDataTypeError, DeployError, PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.ssh import ConnectorData, SSHConnector
from pyinfra.connectors.util import CommandOutput, OutputLine

from deploy.hosts.run_record import working_for
from deploy.hosts.ssh.keepalive import PULSE_SECONDS, Pulse
from deploy.hosts.ssh.refusals import Refusal, of_key, refusal_of
from deploy.setting_rules import unknown_setting

# A board that boots refuses, or is not there, for a moment: no try begins later than this after the first.
TRYING_SECONDS = 15.0
PAUSE_SECONDS = 3.0
# For a new connection to a board that went away in the middle of a run: it may be starting again.
RETURN_SECONDS = 90.0
# From the open port to a login. A busy board takes longer than an idle one: after a first try without a greeting the
# next waits so long.
GREETING_SECONDS = 20.0
# While a run prepares, nothing has begun on a board: a silent one can be left out without loss.
SILENT_PREPARING, SILENT_EXECUTING = 30.0, 120.0
# The pause between two questions counts: a board that answers each at once is heard every PULSE_SECONDS.
QUIET_SECONDS = PULSE_SECONDS + 5.0
# The policy by which pyinfra adds the key of a host that it does not know, to a file that must be there.
ACCEPT_NEW = "accept-new"
# Of what pyinfra takes of a host, in the words of our settings.
KINDS = {str: "a text", int: "a whole number", float: "a number", bool: "True or False", dict: "a table"}
# For a command that does not end although the board lives.
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

    def __init__(self, state: State, host: Host) -> None:
        """Raises DeployError for what pyinfra would not take: a value of another kind, a name that it does not know.

        By a name with a slip the board would be sought at another address, and the settings come after the connection.
        """
        for name in host.data.dict():
            if name.startswith("ssh_") and name not in self.data_meta:
                raise DeployError(f"{host.name}: {unknown_setting(name, self.data_meta)}")
        try:
            super().__init__(state, host)
        except ConnectorDataTypeError as error:
            name = str(error).split("`")[1]
            kind = KINDS[get_type_hints(ConnectorData)[name]]
            # The value is not shown: it may be a password.
            raise DeployError(f"{host.name}: {name} must be {kind}, in the inventory or its group data") from None

    def make_paramiko_kwargs(self) -> dict[str, Any]:
        """paramiko's arguments, with a deadline for the login: by itself it waits without end.

        Raises PyinfraError for a key file that is none, or whose passphrase nobody tells.
        """
        patience = max(float(self.state.config.CONNECT_TIMEOUT), self.greeting_seconds)
        told = {"timeout": patience, "banner_timeout": patience, "auth_timeout": GREETING_SECONDS}
        try:
            return super().make_paramiko_kwargs() | told
        except EOFError:
            raise PyinfraError("the key is encrypted, and nobody is here to be asked for its passphrase") from None

    def connect(self) -> None:
        """Raises Unreachable, one line: why, and what to do."""
        if self.data["ssh_strict_host_key_checking"] == ACCEPT_NEW:
            make_known_hosts(self.data["ssh_known_hosts_file"])
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
        """Tries to connect. Returns what stood in the way; None when there is a connection."""
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
        except PyinfraError as error:
            return of_key(str(error), self.data["ssh_key"])
        assert self.client
        transport = self.client.get_transport()
        assert transport
        self.pulse = Pulse(transport, self.may_be_silent)
        return None

    def return_to_it(self) -> None:
        """Makes a new connection in the place of a lost one. Raises Unreachable."""
        self.disconnect()
        self.connect_within(RETURN_SECONDS)

    def may_be_silent(self) -> float:
        """Seconds for which the board may give no sign of life."""
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
        """Runs the command. The reason of a command that did not end becomes its stderr, as of any that failed."""
        with working_for(self.host):
            return self.run_watched(command, print_output, print_input, arguments)

    def run_watched(
        self, command: StringCommand, print_output: bool, print_input: bool, arguments: dict[str, Any]
    ) -> tuple[bool, CommandOutput]:
        """Runs the command until it ends, the connection is lost, or LONGEST_SECONDS (or `_timeout`) are over."""
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


def make_known_hosts(told: str | None) -> None:
    """Makes the file of host keys, as ssh does for a user who has none: where it is missing pyinfra cannot add to it.

    Raises Unreachable where it cannot be made. `told`: its path in the inventory.
    """
    path = Path(told or "~/.ssh/known_hosts").expanduser()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
    except OSError as error:
        raise Unreachable(f"{path} cannot be made here ({error.strerror}): set ssh_known_hosts_file") from None


def is_quiet(host: Host) -> bool:
    """Whether the host gives no sign of life."""
    return isinstance(host.connector, BoardConnector) and host.connector.is_quiet
