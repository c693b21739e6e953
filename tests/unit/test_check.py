"""What is checked of a release: programs that say no, and those that cannot say anything."""

from pathlib import Path

import pytest

from deploy.onboard.release import check
from deploy.onboard.release.check import CheckError, require_success
from deploy.onboard.release.releases import Release
from deploy.onboard.server.config import ConfigError
from tests.unit.known_host import program
from tests.unit.onboard import Target, target

__all__ = ["target"]


def test_a_program_that_succeeds_says_yes(tmp_path: Path) -> None:
    require_success(str(program(tmp_path / "good", "echo fine")))


def test_a_program_that_says_no_is_quoted(tmp_path: Path) -> None:
    refusing = str(program(tmp_path / "llama-server", "echo error: unknown argument >&2; exit 1"))
    with pytest.raises(CheckError, match="llama-server refuses it: error: unknown argument"):
        require_success(refusing)
    require_success(refusing, about="another file")


def test_a_program_without_its_loader_is_told_from_one_that_is_missing(tmp_path: Path) -> None:
    """To the kernel both are ENOENT: so an arm64 program ends on a 32-bit system."""
    with pytest.raises(CheckError, match=r"llama-server is there, but not the loader .* this system is no 64-bit"):
        require_success(str(program(tmp_path / "llama-server", "", loader="/lib/nonexistent/ld-linux-aarch64.so.1")))
    with pytest.raises(FileNotFoundError):
        require_success(str(tmp_path / "none"))


@pytest.fixture
def offered(target: Target, monkeypatch: pytest.MonkeyPatch) -> Release:
    """A release whose server notes what it is asked, and a systemd-analyze that notes what it is to verify."""
    server = f'#!/bin/sh\necho "$@" >{target.root}/asked\n'
    release = target.add("r1", server=server.encode())
    analyze = f'test "$1 $2" = "verify --man=no" && cp "$3" {target.root}/verified'
    (target.root / "programs").mkdir()
    program(target.root / "programs" / "systemd-analyze", analyze)
    monkeypatch.setenv("PATH", f"{target.root}/programs:/usr/bin:/bin")
    return release


def refusal(release: Release) -> str:
    """Why it must not be tried."""
    with pytest.raises(CheckError) as caught:
        check.check_release(release)
    return str(caught.value)


def test_a_whole_release_is_asked_of_systemd_and_of_its_own_server(offered: Release, target: Target) -> None:
    check.check_release(offered)
    assert (target.root / "verified").read_text() == offered.trial_text(target.service)
    asked = (target.root / "asked").read_text().split()
    assert asked[:2] == ["--model", str((offered.folder / "m.gguf").resolve())]
    assert asked[-1] == "--version" and "--metrics" in asked


@pytest.mark.parametrize("name", ["llama-server", "llama-cli", "m.gguf", "boardllama"])
def test_one_byte_that_differs_refuses_a_release_and_is_brought_again(
    offered: Release, target: Target, name: str
) -> None:
    """Without its receipt the next deploy does not believe that the file is there."""
    place = (offered.folder / name).resolve()
    receipt = place.with_name(f".{name}.receipt")
    receipt.touch()
    place.write_bytes(place.read_bytes()[:-1] + b"x")
    assert refusal(offered).startswith(f"{offered.folder / name} is not what was deployed (sha256 ")
    assert not receipt.exists()
    assert not (target.root / "asked").exists(), "nothing of it is run"


def test_a_byte_that_differs_in_the_second_file_of_a_model_refuses_its_release(
    offered: Release, target: Target
) -> None:
    release = target.add_model_file(offered, "eye.gguf", "projector", b"GGUF eye")
    check.check_release(release)
    (release.folder / "eye.gguf").resolve().write_bytes(b"GGUF eyf")
    assert f"{release.folder}/eye.gguf is not what was deployed" in refusal(release)


def test_a_file_that_is_gone_refuses_a_release(offered: Release) -> None:
    (offered.folder / "llama-bench").resolve().unlink()
    assert refusal(offered).startswith(f"{offered.folder}/llama-bench is not what was deployed")


def test_a_server_that_does_not_know_an_argument_refuses_its_release(offered: Release, target: Target) -> None:
    other = target.add("r2", server=b"#!/bin/sh\necho error: invalid argument: --metrics >&2\nexit 1\n")
    assert refusal(other) == "llama-server refuses it: error: invalid argument: --metrics"


def test_a_unit_that_systemd_refuses_refuses_its_release(offered: Release, target: Target) -> None:
    """What it says of the machine's other units does not matter."""
    said = f"echo other.service: bad >&2; echo {target.service.unit}:1: Missing =. >&2; exit 1"
    program(target.root / "programs" / "systemd-analyze", said)
    assert refusal(offered) == f"systemd-analyze refuses it: {target.service.unit}:1: Missing =."
    program(target.root / "programs" / "systemd-analyze", "echo other.service: bad >&2; exit 1")
    check.check_release(offered)


def test_a_config_that_the_launcher_refuses_refuses_its_release(offered: Release) -> None:
    (offered.folder / "config.json").write_text('{"server": {"port": 0}}')
    with pytest.raises(ConfigError, match=r"server\.port is 0: must be a whole number"):
        check.check_release(offered)


def test_a_release_that_waits_for_its_model_is_not_asked_what_it_cannot_know(target: Target) -> None:
    check.check_release(target.add("r1", model=None))
