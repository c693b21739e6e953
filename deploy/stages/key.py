"""The API key: written on a board that runs, made by the board itself where an image has not booted yet."""

import hashlib
import shlex
from functools import partial

from pydantic import SecretStr
from pyinfra import host
from pyinfra.api import operation

from deploy.controller.templates import render
from deploy.hosts.lock import TargetStep
from deploy.hosts.remote import Commands, Remote, refuse
from deploy.hosts.snapshot import seen
from deploy.hosts.text_files import TextFile, text_files
from deploy.onboard.places import API_KEY, KEY_ENABLED, KEY_UNIT, UNIT
from deploy.settings import GENERATE

ACCOUNT = "ollama"
OWNER, MODE = f"root:{ACCOUNT}", "640"


@operation()
def api_key(key: SecretStr) -> Commands:
    """Puts the key where the service account alone reads it. It travels as standard input, never in a command line."""
    secret = key.get_secret_value()
    digest = hashlib.sha256(f"{secret}\n".encode()).hexdigest()
    there = seen(host).key
    if not there or (secret != GENERATE and there.sha256 != digest):
        yield TargetStep(partial(write_key, secret=secret))
    elif (there.mode, there.owner) != (MODE, OWNER):
        yield TargetStep(lock_away)


def write_key(remote: Remote, secret: str) -> None:
    """Writes the given key, or makes one on the device when the word is `generate`."""
    if secret == GENERATE:
        remote.run(keep(random_key("/dev/urandom")))
    else:
        remote.feed([f"{secret}\n".encode()], keep("cat"))


def lock_away(remote: Remote) -> None:
    """The service alone may read the key that is there."""
    remote.run(f"chown {OWNER} {API_KEY} && chmod {MODE} {API_KEY}")


def random_key(source: str) -> str:
    """The shell command that prints a new key."""
    return f"head -c 24 {source} | base64"


def keep(printed: str) -> str:
    """The shell command that makes what another one prints the key."""
    path = shlex.quote(str(API_KEY))
    return (
        f"set -e; umask 077; {printed} > {path}.new; chown {OWNER} {path}.new; chmod {MODE} {path}.new;"
        f" sync {path}.new; mv -T {path}.new {path}"
    )


@operation()
def key_of_first_start(key: SecretStr) -> Commands:
    """For a root tree: no key lies in an image, which many cards are made from."""
    if key.get_secret_value() != GENERATE:
        yield refuse(
            "api_key: a key of your own does not go into an image, which many cards are made from; set "
            "api_key=generate, and name a card's own key in its identity file"
        )
        return
    # The name that pyinfra gives to an operation inside of another one.
    yield from text_files._inner((TextFile(str(KEY_UNIT), key_unit()),))
    if seen(host).links.get(str(KEY_ENABLED)) != str(KEY_UNIT):
        yield TargetStep(enable)


def key_unit() -> str:
    """The unit. Early in a first boot /dev/urandom may repeat itself; /dev/random waits until it does not."""
    return render(KEY_UNIT.name, path=API_KEY, unit=UNIT, command=keep(random_key("/dev/random")))


def enable(remote: Remote) -> None:
    """In the files alone: nothing is started."""
    remote.run(f"systemctl enable {KEY_UNIT.name}")
