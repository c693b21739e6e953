"""The API key: written on a board that runs, made by the board itself where an image has not booted yet."""

import hashlib
import shlex
from functools import partial

from pydantic import SecretStr
from pyinfra import host
from pyinfra.api import operation

from deploy.controller.templates import render_template
from deploy.hosts.lock import TargetStep
from deploy.hosts.remote import Commands, Remote, refuse
from deploy.hosts.snapshot import snapshot_of
from deploy.hosts.text_files import TextFile, text_files
from deploy.onboard.identity.rules import GENERATE
from deploy.onboard.places import PLACES
from deploy.onboard.service import OLLAMA, Service

MODE = "640"


def owner_of(service: Service) -> str:
    """User and group of the key file: the service may read it, and not write to it."""
    return f"root:{service.account}"


@operation()
def store_api_key(service: Service, key: SecretStr) -> Commands:
    """Puts the key where the service account alone reads it. It travels as standard input, never in a command line."""
    secret = key.get_secret_value()
    digest = hashlib.sha256(f"{secret}\n".encode()).hexdigest()
    there = snapshot_of(host).keys.get(service.name)
    if not there or (secret != GENERATE and there.sha256 != digest):
        yield TargetStep(partial(write_key, service=service, secret=secret))
    elif (there.mode, there.owner) != (MODE, owner_of(service)):
        yield TargetStep(partial(lock_away, service=service))


def write_key(remote: Remote, service: Service, secret: str) -> None:
    """Writes the given key, or makes one on the device when the word is `generate`."""
    if secret == GENERATE:
        remote.run(key_command(service, random_key("/dev/urandom")))
    else:
        remote.feed([f"{secret}\n".encode()], key_command(service, "cat"))


def lock_away(remote: Remote, service: Service) -> None:
    """Lets the service alone read the key that is there."""
    remote.run(f"chown {owner_of(service)} {service.api_key} && chmod {MODE} {service.api_key}")


def random_key(source: str) -> str:
    """The shell command that prints a new key from `source`, a device of random bytes."""
    return f"head -c 24 {source} | base64"


def key_command(service: Service, printed: str) -> str:
    """The shell command that makes the output of the command `printed` the service's key."""
    path = shlex.quote(str(service.api_key))
    return (
        f"set -e; umask 077; {printed} > {path}.new; chown {owner_of(service)} {path}.new; chmod {MODE} {path}.new;"
        f" sync {path}.new; mv -T {path}.new {path}"
    )


@operation()
def key_of_first_start(service: Service, key: SecretStr, readers: tuple[Service, ...] = (OLLAMA,)) -> Commands:
    """Has a root tree make the key at its first start: an image, which many cards are made from, holds no key.

    `readers`: the services that ask for the key of `service`. They start after the key is made.
    """
    if key.get_secret_value() != GENERATE:
        yield refuse(
            "api_key: a key of your own does not go into an image, which many cards are made from; set "
            f"api_key={GENERATE}, and name a card's own key in its identity file"
        )
        return
    # The name that pyinfra gives to an operation inside of another one.
    unit = str(service.public_key_unit(PLACES))
    yield from text_files._inner((TextFile(unit, key_unit(service, readers)),))
    if snapshot_of(host).links.get(str(service.key_enabled(PLACES))) != unit:
        yield TargetStep(partial(enable_key_unit, service=service))


def key_unit(service: Service, readers: tuple[Service, ...] = (OLLAMA,)) -> str:
    """The unit that makes the key.

    Early in a first boot /dev/urandom may repeat itself; /dev/random waits until it cannot.
    """
    command = key_command(service, random_key("/dev/random"))
    before = " ".join(one.unit for one in readers)
    return render_template(OLLAMA.key_unit, path=service.api_key, unit=service.unit, before=before, command=command)


def enable_key_unit(remote: Remote, service: Service) -> None:
    """Enables the unit that makes the key, in the tree's files alone: nothing is started."""
    remote.run(f"systemctl enable {service.key_unit}")
