"""What is checked of a release: programs that say no, and those that cannot say anything."""

from pathlib import Path

import pytest

from deploy.onboard.check import CheckError, said_yes


def program(path: Path, text: str) -> str:
    """A program of that text."""
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_a_program_that_succeeds_says_yes(tmp_path: Path) -> None:
    said_yes(program(tmp_path / "good", "#!/bin/sh\necho fine\n"))


def test_a_program_that_says_no_is_quoted(tmp_path: Path) -> None:
    refusing = program(tmp_path / "llama-server", "#!/bin/sh\necho error: unknown argument >&2; exit 1\n")
    with pytest.raises(CheckError, match="llama-server refuses it: error: unknown argument"):
        said_yes(refusing)
    said_yes(refusing, about="another file")


def test_a_program_without_its_loader_is_told_from_one_that_is_missing(tmp_path: Path) -> None:
    """To the kernel both are ENOENT: so an arm64 program ends on a 32-bit system."""
    with pytest.raises(CheckError, match=r"llama-server is there, but not the loader .* this system is no 64-bit"):
        said_yes(program(tmp_path / "llama-server", "#!/lib/nonexistent/ld-linux-aarch64.so.1\n"))
    with pytest.raises(FileNotFoundError):
        said_yes(str(tmp_path / "none"))
