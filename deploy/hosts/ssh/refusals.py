"""Why there is no connection to a board, in words, and what to do about it."""

import errno
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paramiko import AuthenticationException, BadHostKeyException, SSHException

OFF = "look at its power and its cable"


@dataclass(frozen=True)
class Refusal:
    """`may_pass`: whether a board that boots would give the same refusal for a while."""

    why: str
    advice: str
    may_pass: bool = True

    def __str__(self) -> str:
        return f"{self.why}: {self.advice}" if self.advice else self.why


def refusal_of(error: BaseException, data: Mapping[str, Any]) -> Refusal:
    """What an error of a connection means. `data`: what the connector was told of the host."""
    if isinstance(error, BadHostKeyException):
        name = error.hostname
        return Refusal(
            "its host key is another one than before",
            f"if it was written anew, `ssh-keygen -R '{name}'`, then run again; otherwise another machine answers",
            may_pass=False,
        )
    if isinstance(error, AuthenticationException):
        if "timeout" in str(error).lower():  # paramiko's word for a login that the board did not decide in time
            return Refusal("it does not decide on the login", "it is very busy: restart it if this stays")
        user = data.get("ssh_user") or "the user of this computer"
        key = data.get("ssh_key") or ("the password" if data.get("ssh_password") else "the keys of this computer")
        return Refusal(
            f"it refuses {key} for {user}", "add the public key there, or set ssh_user and ssh_key", may_pass=False
        )
    if isinstance(error, SSHException | EOFError):
        return of_server(str(error))
    if isinstance(error, OSError):
        return of_network(error)
    return Refusal(str(error), "", may_pass=False)


def of_key(said: str, key: str) -> Refusal:
    """The refusal of a key file here, by the words of pyinfra's error."""
    if "No such" in said:
        return Refusal(f"ssh_key is {key}: no such file here", "set it to the path of a private key", may_pass=False)
    if "encrypted" in said:
        return Refusal(
            f"ssh_key is {key}: it has a passphrase", f"`ssh-add {key}` and no ssh_key, or set ssh_key_password", False
        )
    return Refusal(
        f"ssh_key is {key}: no private key, or ssh_key_password is another one", "name the file without .pub", False
    )


def of_server(said: str) -> Refusal:
    """The refusal of an open port without a session, by the words of paramiko's error."""
    if any(words in said for words in ("banner", "No existing session", "Timeout", "timed out", "EOF")) or not said:
        return Refusal("its SSH server does not greet", "it hangs or is very busy: restart it if this stays")
    return Refusal(f"no SSH session: {said}", "", may_pass=False)


def of_network(error: OSError) -> Refusal:
    """The refusal of a host without an open port."""
    if isinstance(error, socket.gaierror):
        return Refusal("nobody knows its name", "look at the name in the inventory, or set ssh_hostname")
    numbers = {error.errno, *(inner.errno for inner in getattr(error, "errors", {}).values())}
    if errno.ECONNREFUSED in numbers:
        return Refusal("it refuses the connection", "it boots, its SSH server does not run, or ssh_port is another one")
    if numbers & {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN}:
        return Refusal("it is not there", OFF)
    if isinstance(error, TimeoutError):
        return Refusal("it does not answer", OFF)
    return Refusal(f"no connection: {error}", OFF)
