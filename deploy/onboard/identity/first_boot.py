"""At boot, before the network: what makes this board itself. Its own SSH host key, name, API key, and boardllama.txt.

Every step can be repeated, and each file appears whole; the note that says "applied" is written last. So a power cut
at any moment means that the next boot does it again. A file that was applied is not applied again until it changes.
"""

import hashlib
import json
import pwd
import shutil
import socket
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from ..commands import run_command
from ..files import sync, write_file
from ..places import PLACES, Places
from .boardllama_txt import FILE, Identity, read_identity
from .consoles import show_on_consoles
from .partition import IdentityFolder, opened_folder
from .secret_lines import without_secrets
from .steps import STEPS, last_applied, unmet_needs, usable_part
from .vendor import ACCOUNT, VENDOR_STEPS, is_vendor_system


def run_first_boot(places: Places = PLACES) -> int:
    """Makes the board itself. Returns the exit status: 1 when a step failed, which the next boot tries again."""
    try:
        with opened_folder(places) as card:
            return set_up_board(card, places)
    except OSError as error:
        show_on_consoles(f"the partition with {FILE} cannot be used: {error}")
        set_up_board(None, places)
        return 1


def set_up_board(card: IdentityFolder | None, places: Places) -> int:
    """Makes what every board needs, then applies the file on the card. Returns the exit status."""
    failed = [] if is_vendor_system(places) else make_own_parts(places)
    try:
        text = card.read_text() if card else None
    except (OSError, ValueError) as error:
        text = None
        failed.append(str(error))
    if card is None or not text or not text.strip():  # an empty file is an accident, and takes nothing away
        failed += apply_identity(Identity(), False, places)
        show_on_consoles(f"no {FILE} was read: this board keeps what it has")
        return report_result(card, [], failed)
    return apply_file(card, text, failed, places)


def make_own_parts(places: Places) -> list[str]:
    """Makes what a vendor's system makes by itself. Returns a sentence for each step that failed."""
    return try_steps([("the SSH host key", partial(make_host_key, places.host_key)), ("the account", make_account)])


def apply_file(card: IdentityFolder, text: str, failed: list[str], places: Places) -> int:
    """Applies the file's text, unless that was done before. Returns the exit status.

    Secrets leave the file only when every step has succeeded.
    """
    before, others = last_applied(places), card.misnamed_files()
    if before.get("sha256") == hash_of(text) and not failed:
        return report_result(card, [*before["problems"], *others], failed)
    identity, problems = read_identity(text)
    said = [*map(str, problems), *unmet_needs(identity, places)]
    identity = usable_part(identity, places)
    clean = without_secrets(text, identity)
    failed = [*failed, *apply_identity(identity, not said, places)]

    def note_result() -> None:
        if clean != text:
            card.replace_text(clean)
        write_file(places.applied, json.dumps({"sha256": hash_of(clean), "problems": said}).encode())

    return report_result(card, [*said, *others], failed or try_steps([("the note that it is done", note_result)]))


def hash_of(text: str) -> str:
    """SHA-256 of a file's text, by which an applied file is known again."""
    return hashlib.sha256(text.encode()).hexdigest()


def apply_identity(identity: Identity, whole: bool, places: Places) -> list[str]:
    """A sentence for each step that failed. Each step is tried, whatever became of the others."""
    steps = (*STEPS, *VENDOR_STEPS) if is_vendor_system(places) else STEPS
    return try_steps([(what, partial(step, identity, whole, places)) for what, step in steps])


def try_steps(steps: Iterable[tuple[str, Callable[[], None]]]) -> list[str]:
    """A sentence for each step that failed; the other steps are done."""
    failed = []
    for what, step in steps:
        try:
            step()
        except (OSError, LookupError, ValueError) as error:  # an account is missing; a file holds what it cannot
            failed.append(f"{what} could not be set: {error}")
    return failed


def report_result(card: IdentityFolder | None, problems: list[str], failed: list[str]) -> int:
    """Shows problems and failures on the consoles, and writes them to the card. Returns the exit status."""
    lines = []
    if problems:
        lines = [f"{FILE}, {problem}" if problem.startswith("line ") else problem for problem in problems]
        lines += ["", f"Whatever else {FILE} says is in use. Mend these lines and start the board again."]
    if failed:
        lines += [*failed, "This is tried again at the next start."]
    show_on_consoles("\n".join(["boardllama:", *lines] if lines else [f"this board is {socket.gethostname()}"]))
    if card:
        failed = [*failed, *try_steps([("the note on the card", lambda: card.write_errors(lines))])]
    return 1 if failed else 0


def make_host_key(file: Path) -> None:
    """Makes this board's SSH host key, once. ed25519 alone: every client since 2014 takes it, and it is made fast."""
    if file.is_file():
        return
    aside = file.with_name(".new-host-key")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o700, parents=True)
    key, public = aside / "key", aside / "key.pub"
    run_command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "boardllama", "-f", str(key))
    sync(key)
    sync(public)
    public.replace(file.with_name(f"{file.name}.pub"))
    sync(file.parent)
    key.replace(file)
    sync(file.parent)
    aside.rmdir()
    show_on_consoles(f"SSH host key: {run_command('ssh-keygen', '-l', '-f', str(file)).strip()}")


def make_account() -> None:
    """Makes the account that technicians log in as, where the image declares it and its build has not made it."""
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        run_command("systemd-sysusers")
        run_command("systemd-tmpfiles", "--create", "--prefix", f"/home/{ACCOUNT}")
