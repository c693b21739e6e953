"""What goes into the root of every image as it is."""

from pathlib import Path

import pytest

from deploy.onboard.cli import board_arguments
from deploy.onboard.places import PLACES
from deploy.onboard.service import OLLAMA
from deploy.paths import REPO

FILES = REPO / "deploy" / "image" / "files"
UNITS = FILES / "etc/systemd/system"
LINKS = [path for path in sorted(FILES.rglob("*")) if path.is_symlink()]


def unit(name: str) -> dict[str, str]:
    """All keys of a unit; the last of those that repeat."""
    lines = (UNITS / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


@pytest.mark.parametrize("link", LINKS, ids=lambda path: path.name)
def test_a_link_leads_to_a_file_of_the_image(link: Path) -> None:
    """Never to one of the controller's."""
    target = link.readlink()
    assert str(target) == "/dev/null" or target.is_relative_to("/usr/lib/systemd") or (FILES / str(target)[1:]).exists()


def test_the_first_boot_runs_a_verb_of_the_release_before_whatever_needs_it() -> None:
    first = unit("boardllama-first-boot.service")
    program, verb = first["ExecStart"].split()
    assert program == first["ConditionPathExists"] == f"{PLACES.current}/boardllama"
    assert board_arguments().parse_args([verb]).function
    assert {"network-pre.target", "ssh.service", OLLAMA.unit} <= set(first["Before"].split())


def test_the_keys_of_the_file_are_where_sshd_looks() -> None:
    said = (FILES / "etc/ssh/sshd_config.d/50-boardllama.conf").read_text()
    assert str(PLACES.authorized_keys).replace("/board", "/%u") in said
    assert f"HostKey {PLACES.host_key}\n" in said
    assert "PasswordAuthentication no\n" in said and "KbdInteractiveAuthentication no\n" in said


def test_the_wifi_of_the_file_is_what_the_unit_reads() -> None:
    wifi = unit("boardllama-wifi@.service")
    assert wifi["ConditionPathExists"] == str(PLACES.wifi)
    assert f"-c {PLACES.wifi} " in wifi["ExecStart"]


def test_every_package_has_a_reason() -> None:
    lines = (REPO / "deploy/image/packages.txt").read_text().splitlines()[1:]
    assert len(lines) > 10
    for line in lines:
        package, reason = line.split("  # ")
        assert " " not in package and reason


def test_the_clock_begins_at_the_images_date() -> None:
    """systemd takes the time of this empty file; in an image no file is younger than SOURCE_DATE_EPOCH."""
    assert (FILES / "usr/lib/clock-epoch").read_bytes() == b""
