"""Detached signatures with ssh-keygen -Y: who made an image is known before a byte of it is used."""

import os
from contextlib import suppress
from pathlib import Path

from deploy.controller.files import folder_lock, sync
from deploy.controller.programs import program_output
from deploy.errors import BoardllamaError
from deploy.paths import user_path

NAMESPACE = "boardllama-image"
SIGNER = "boardllama"  # the name in allowed_signers


def keys_dir() -> Path:
    """Folder of the key pair and of allowed_signers: $BOARDLLAMA_KEYS, or ~/.config/boardllama. Not created here."""
    configured = os.environ.get("BOARDLLAMA_KEYS")
    return user_path("BOARDLLAMA_KEYS", configured) if configured else Path.home() / ".config" / "boardllama"


def allowed_signers() -> Path:
    """The file of signers that `read_signed_file` trusts by default, in the format of ssh-keygen(1)."""
    return keys_dir() / "allowed_signers"


def sign_file(path: Path) -> Path:
    """Signs a file; the signature is path.sig. The key is made on first use. Raises BoardllamaError."""
    key = ensure_key()
    signature = path.with_name(f"{path.name}.sig")
    aside = signature.with_name(f".{signature.name}.new")
    with aside.open("wb") as file:
        file.write(run_ssh_keygen(["-Y", "sign", "-q", "-f", str(key), "-n", NAMESPACE], path.read_bytes()))
    sync(aside)
    aside.rename(signature)
    sync(path.parent)
    return signature


def read_signed_file(path: Path, signature: Path, signers: Path | None = None) -> bytes:
    """The bytes of a file whose signature was verified. Use these bytes: the file itself may change.

    Raises BoardllamaError when none of the signers (default: `allowed_signers`) has signed these bytes.
    """
    signers = signers or allowed_signers()
    for needed, what in ((path, ""), (signature, ""), (signers, ": copy the one of whoever made the image there")):
        if not needed.is_file():
            raise BoardllamaError(f"{needed} is not there{what or ': all files of an image belong together'}")
    message = path.read_bytes()
    try:
        run_ssh_keygen(
            ["-Y", "verify", "-f", str(signers), "-I", SIGNER, "-n", NAMESPACE, "-s", str(signature)], message
        )
    except BoardllamaError as error:
        raise BoardllamaError(
            f"{path} is not what was signed, or not signed by one of {signers} ({error}): do not use this image, get "
            "it again from whoever made it"
        ) from None
    return message


def ensure_key() -> Path:
    """The private key, ed25519, made with its public key and its line in allowed_signers unless it is there."""
    folder = keys_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = folder / "image-signing"
    with folder_lock(folder, "image signing key"):
        if not key.exists():
            make_key(key)
        trust_signer(key.with_suffix(".pub"), folder / "allowed_signers")
    return key


def make_key(key: Path) -> None:
    """Makes the pair. The private key gets its name last, so that where it is the public key is, too."""
    aside = key.with_name(".image-signing.new")
    for left_over in (aside, aside.with_name(f"{aside.name}.pub")):
        left_over.unlink(missing_ok=True)
    run_ssh_keygen(["-q", "-t", "ed25519", "-N", "", "-C", SIGNER, "-f", str(aside)])
    for made, name in ((aside.with_name(f"{aside.name}.pub"), key.with_suffix(".pub")), (aside, key)):
        sync(made)
        made.rename(name)
    sync(key.parent)


def trust_signer(public_key: Path, signers: Path) -> None:
    """Adds the key to allowed_signers unless it is there. Lines of others stay."""
    line = f'{SIGNER} namespaces="{NAMESPACE}" {public_key.read_text().strip()}\n'
    known = ""
    with suppress(FileNotFoundError):
        known = signers.read_text()
    if line in known:
        return
    aside = signers.with_name(".allowed_signers.new")
    aside.write_text(known + ("" if known.endswith("\n") or not known else "\n") + line)
    sync(aside)
    aside.rename(signers)
    sync(signers.parent)


def run_ssh_keygen(words: list[str], message: bytes = b"") -> bytes:
    """Standard output of ssh-keygen. Raises BoardllamaError with its last line."""
    return program_output("ssh-keygen", *words, given=message, package="openssh-client")
