"""Signatures by ssh-keygen, with keys in a folder of the test."""

import threading
from pathlib import Path

import pytest

from deploy.controller import signing
from deploy.errors import BoardllamaError


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to sign, and no key yet."""
    monkeypatch.setenv("BOARDLLAMA_KEYS", str(tmp_path / "keys"))
    path = tmp_path / "b.manifest.json"
    path.write_bytes(b"{}\n")
    return path


def test_what_was_signed_is_verified_and_handed_back(manifest: Path, tmp_path: Path) -> None:
    signature = signing.sign_file(manifest)
    assert signature == tmp_path / "b.manifest.json.sig"
    assert signing.read_signed_file(manifest, signature) == b"{}\n"


def test_the_key_is_made_once_and_is_ours_alone(manifest: Path, tmp_path: Path) -> None:
    first = signing.ensure_key().read_bytes()
    assert signing.ensure_key().read_bytes() == first
    assert (tmp_path / "keys/image-signing").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == [
        ".lock",
        "allowed_signers",
        "image-signing",
        "image-signing.pub",
    ]


def test_a_changed_file_another_signature_and_another_signer_are_refused(manifest: Path, tmp_path: Path) -> None:
    signature = signing.sign_file(manifest)
    other = tmp_path / "other"
    other.write_bytes(b"[]\n")
    with pytest.raises(BoardllamaError, match="is not what was signed"):
        signing.read_signed_file(other, signature)
    with pytest.raises(BoardllamaError, match="is not what was signed"):
        signing.read_signed_file(manifest, signing.sign_file(other))
    nobody = tmp_path / "signers"
    nobody.write_text("")
    with pytest.raises(BoardllamaError, match="not signed by one of"):
        signing.read_signed_file(manifest, signature, nobody)


def test_a_signature_for_something_else_is_refused(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "NAMESPACE", "git")
    signature = signing.sign_file(manifest)
    monkeypatch.undo()
    monkeypatch.setenv("BOARDLLAMA_KEYS", str(manifest.parent / "keys"))
    with pytest.raises(BoardllamaError, match="is not what was signed"):
        signing.read_signed_file(manifest, signature)


def test_what_is_missing_is_named(manifest: Path) -> None:
    with pytest.raises(BoardllamaError, match=r"b\.manifest\.json\.sig is not there"):
        signing.read_signed_file(manifest, manifest.with_name("b.manifest.json.sig"))
    signature = signing.sign_file(manifest)
    signing.allowed_signers().unlink()
    with pytest.raises(BoardllamaError, match="allowed_signers is not there: copy"):
        signing.read_signed_file(manifest, signature)


def test_other_signers_stay_when_ours_is_added(manifest: Path) -> None:
    signing.ensure_key()
    ours = signing.allowed_signers().read_text()
    signing.allowed_signers().write_text("somebody ssh-ed25519 AAAA")
    signing.ensure_key()
    assert signing.allowed_signers().read_text() == f"somebody ssh-ed25519 AAAA\n{ours}"


def test_two_at_once_make_one_key(manifest: Path) -> None:
    threads = [threading.Thread(target=signing.ensure_key) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(signing.allowed_signers().read_text().splitlines()) == 1
    assert signing.read_signed_file(manifest, signing.sign_file(manifest)) == b"{}\n"
