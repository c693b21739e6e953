"""OpenPGP signatures, by gpg: what apt on a board asks of a channel. The key lies beside the one that signs images.

gpg keeps keys in a folder with an agent for it, whose socket's path may be 107 bytes long: each signature is made in a
folder of its own in /tmp, which is gone after it.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.controller.files import folder_lock, sync
from deploy.controller.programs import program_output
from deploy.controller.signing import keys_dir

NAME = "boardllama channel"
SECRET, PUBLIC = "channel-signing.asc", "channel-signing.pub.asc"


def sign_clearly(text: bytes) -> bytes:
    """The text with a signature around it, in clear text. The key is made on first use. Raises BoardllamaError."""
    secret = keys_dir() / SECRET
    public_key()
    with gpg_home() as home:
        run_gpg(home, "--import", given=secret.read_bytes())
        return run_gpg(home, "--clearsign", "--digest-algo", "SHA512", given=text)


def signed_text(message: bytes) -> bytes:
    """The text of a message that `sign_clearly` made. Raises BoardllamaError where another key signed, or none."""
    public = public_key().encode()
    with gpg_home() as home:
        run_gpg(home, "--import", given=public)
        return run_gpg(home, "--decrypt", given=message)


def public_key() -> str:
    """The public key as text. The pair is made unless it is there. Raises BoardllamaError, OSError."""
    folder = keys_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder_lock(folder, "channel signing key"):
        if not (folder / SECRET).exists():
            make_pair(folder)
    return (folder / PUBLIC).read_text()


def make_pair(folder: Path) -> None:
    """Makes an ed25519 pair that does not expire. The secret key gets its name last: then the public one is there."""
    with gpg_home() as home:
        run_gpg(home, "--passphrase", "", "--quick-generate-key", NAME, "ed25519", "sign", "never")
        made = {PUBLIC: run_gpg(home, "--armor", "--export"), SECRET: run_gpg(home, "--armor", "--export-secret-keys")}
    for name, text in made.items():
        aside = folder / f".{name}.new"
        aside.unlink(missing_ok=True)
        aside.touch(0o600)
        aside.write_bytes(text)
        sync(aside)
        aside.rename(folder / name)
    sync(folder)


@contextmanager
def gpg_home() -> Iterator[Path]:
    """A folder for gpg, with no agent left behind."""
    with tempfile.TemporaryDirectory(prefix="gpg", dir="/tmp", ignore_cleanup_errors=True) as folder:
        try:
            yield Path(folder)
        finally:
            program_output("gpgconf", "--homedir", folder, "--kill", "all", package="gpg")


def run_gpg(home: Path, *words: str, given: bytes = b"") -> bytes:
    """Standard output of gpg with the keys of that folder. Raises BoardllamaError with its last line."""
    return program_output("gpg", "--homedir", str(home), "--batch", "--quiet", *words, given=given, package="gpg")
