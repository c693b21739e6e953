"""At boot, before the network: what makes this board itself. Its own SSH host key, name, API key, and boardllama.txt.

Every step can be repeated, and each file appears whole; the note that says "applied" is written last. So a power cut
at any moment means that the next boot does it again. A file that was applied is not applied again until it changes.
"""

import base64
import hashlib
import json
import os
import pwd
import shutil
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from . import places
from .card import Card, mounted
from .commands import run
from .config import ConfigError, exposure, first_key, with_defaults
from .config import read as read_config
from .files import link, sync, write
from .identity import FILE, Identity, read, without_secrets
from .identity_rules import GENERATE, Wrong
from .naming import default_name, hosts_with
from .network import networkd, supplicant

ACCOUNT = "board"
SERVICE_GROUP = "ollama"
# What an image is called before it is anyone's board.
NAMELESS = ("", "boardllama", "localhost", "debian")
ZONES = Path("/usr/share/zoneinfo")
# The identity, and whether it is all that the file was to say. Of a file with mistakes nothing is taken to be absent on
# purpose: what it does not say stays as it is.
Step = Callable[[Identity, bool], None]


def main() -> int:
    """The exit status: 1 when something could not be done, and will be tried again at the next boot."""
    try:
        with mounted() as card:
            return boot(card)
    except OSError as error:
        print(f"the partition with {FILE} cannot be used: {error}", flush=True)
        boot(None)
        return 1


def boot(card: Card | None) -> int:
    """Everything. The exit status."""
    failed = attempts([("the SSH host key", host_key), ("the account", account)])
    try:
        text = card.text() if card else None
    except (OSError, ValueError) as error:
        text = None
        failed.append(str(error))
    if card is None or not text or not text.strip():  # an empty file is an accident, and takes nothing away
        failed += apply(Identity(), whole=False)[1]
        print(f"no {FILE} was read: this board keeps what it has", flush=True)
        return tell(card, [], failed)
    return obey(card, text, failed)


def obey(card: Card, text: str, failed: list[str]) -> int:
    """Applies the file unless that has been done. Its secrets leave it when they have been taken over."""
    clean = without_secrets(text)
    digest = hashlib.sha256(clean.encode()).hexdigest()
    before, others = applied(), card.misnamed()
    if text == clean and before.get("sha256") == digest and not failed:
        return tell(card, [*before["problems"], *others], failed)
    identity, problems = read(text)
    wrong, more = apply(identity, whole=not problems)
    said, failed = [*map(str, problems), *wrong], [*failed, *more]

    def settle() -> None:
        if clean != text:
            card.replace(clean)
        write(places.APPLIED, json.dumps({"sha256": digest, "problems": said}).encode())

    return tell(card, [*said, *others], failed or attempts([("the note that it is done", settle)]))


def apply(identity: Identity, whole: bool) -> tuple[list[str], list[str]]:
    """What was wrong with the values, and what could not be done; each step is tried whatever became of the others."""
    wrong: list[str] = []

    def of(step: Step) -> Callable[[], None]:
        def stepped() -> None:
            try:
                step(identity, whole)
            except Wrong as error:
                wrong.append(str(error))

        return stepped

    return wrong, attempts([(what, of(step)) for what, step in STEPS])


def attempts(steps: Iterable[tuple[str, Callable[[], None]]]) -> list[str]:
    """One sentence for each step that failed."""
    failed = []
    for what, step in steps:
        try:
            step()
        except (OSError, LookupError) as error:  # LookupError: an account is missing
            failed.append(f"{what} could not be set: {error}")
    return failed


def tell(card: Card | None, problems: list[str], failed: list[str]) -> int:
    """On the console, and on the card for whoever takes it out. The exit status."""
    lines = []
    if problems:
        lines = [f"{FILE}, {problem}" if problem.startswith("line ") else problem for problem in problems]
        lines += ["", f"Whatever else {FILE} says is in use. Mend these lines and start the board again."]
    if failed:
        lines += [*failed, "This is tried again at the next start."]
    print("\n".join(["boardllama:", *lines] if lines else [f"this board is {socket.gethostname()}"]), flush=True)
    if card:
        failed = [*failed, *attempts([("the note on the card", lambda: card.complain(lines))])]
    return 1 if failed else 0


def applied() -> Any:
    """The file that was applied last: its hash, and what was wrong with it."""
    try:
        found = json.loads(places.APPLIED.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and {"sha256", "problems"} <= found.keys() else {}


def host_key() -> None:
    """This board's own, made once. One kind is enough for every client since 2014, and is made in no time."""
    if places.HOST_KEY.is_file():
        return
    aside = places.HOST_KEY.with_name(".new-host-key")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o700, parents=True)
    key, public = aside / "key", aside / "key.pub"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "boardllama", "-f", str(key))
    for file in (key, public):
        sync(file)
    public.replace(places.HOST_KEY.with_name(f"{places.HOST_KEY.name}.pub"))
    sync(places.HOST_KEY.parent)
    key.replace(places.HOST_KEY)
    sync(places.HOST_KEY.parent)
    aside.rmdir()
    print("SSH host key:", run("ssh-keygen", "-l", "-f", str(places.HOST_KEY)).strip(), flush=True)


def account() -> None:
    """The one that technicians log in as. An image declares it; a tree in which that was not done has it made here."""
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        run("systemd-sysusers")
        run("systemd-tmpfiles", "--create", "--prefix", f"/home/{ACCOUNT}")


def hostname(identity: Identity, _whole: bool) -> None:
    """The name that was chosen; or the default one, on a board that has none yet."""
    now = places.HOSTNAME.read_text().strip() if places.HOSTNAME.exists() else ""
    wanted = identity.hostname or (default_name() if now in NAMELESS else now)
    if wanted == now:
        return
    hosts = places.HOSTS.read_text() if places.HOSTS.exists() else ""
    write(places.HOSTS, hosts_with(wanted, hosts).encode())
    write(places.HOSTNAME, f"{wanted}\n".encode())
    socket.sethostname(wanted)


def ssh_keys(identity: Identity, whole: bool) -> None:
    """Who may log in. A wrong line never locks out those who could: then nobody is removed."""
    path = places.AUTHORIZED_KEYS
    there = path.read_text().splitlines() if path.exists() else []
    keys = list(identity.ssh_keys) if whole else list(dict.fromkeys([*there, *identity.ssh_keys]))
    if keys != there:
        put(path, "".join(f"{key}\n" for key in keys) or None)


def network(identity: Identity, whole: bool) -> None:
    """Address, gateway, name servers."""
    text = networkd(identity)
    if text or whole:
        put(places.NETWORK, text)


def wifi(identity: Identity, whole: bool) -> None:
    """Harmless on a board without Wi-Fi: nothing starts that would read it."""
    text = supplicant(identity, places.WIFI.read_text() if places.WIFI.exists() else "")
    if text or whole:
        put(places.WIFI, text, 0o600)


def api_key(identity: Identity, _whole: bool) -> None:
    """The key that was given; or one made here when that was asked for, by the file or by config.json."""
    wanted, there = identity.api_key, first_key()
    if wanted in (None, GENERATE):
        if there or not (wanted or needs_key()):
            return
        wanted = base64.b64encode(os.urandom(24)).decode()
    if wanted != there:
        write(places.API_KEY, f"{wanted}\n".encode(), 0o640, owner=lambda file: shutil.chown(file, group=SERVICE_GROUP))


def needs_key() -> bool:
    """Whether config.json would not let the server start without one, or an image left an empty file for it."""
    if places.API_KEY.exists():
        return True
    try:
        return bool(exposure(with_defaults(read_config(places.CONFIG))["server"], keyed=False))
    except (ConfigError, AttributeError, ValueError):
        return False


def timezone(identity: Identity, _whole: bool) -> None:
    """For the times in the journal."""
    if identity.timezone:
        link(places.LOCALTIME, ZONES / identity.timezone)
        write(places.TIMEZONE, f"{identity.timezone}\n".encode())


def put(path: Path, text: str | None, mode: int = 0o644) -> None:
    """The file with that text, or none."""
    if text is None:
        path.unlink(missing_ok=True)
    else:
        write(path, text.encode(), mode)


STEPS: tuple[tuple[str, Step], ...] = (
    ("the host name", hostname),
    ("the SSH keys", ssh_keys),
    ("the network", network),
    ("the Wi-Fi", wifi),
    ("the API key", api_key),
    ("the time zone", timezone),
)
