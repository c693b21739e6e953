"""What goes into the root of every image as it is."""

from pathlib import Path

import pytest

from deploy.debian.tar_files import link_target
from deploy.onboard.cli import board_arguments
from deploy.onboard.places import PLACES
from deploy.onboard.service import OLLAMA
from deploy.paths import REPO

FILES = REPO / "deploy" / "image" / "files"
IDENTITY = FILES.with_name("identity_files")
UNITS = IDENTITY / "etc/systemd/system"
LINKS = [path for layer in (FILES, IDENTITY) for path in sorted(layer.rglob("*")) if link_target(path)]


def unit(name: str) -> dict[str, str]:
    """All keys of a unit; the values of those that repeat, with blanks between them."""
    found = dict[str, str]()
    for line in (UNITS / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found[key] = f"{found[key]} {value}" if key in found else value
    return found


@pytest.mark.parametrize("link", LINKS, ids=lambda path: path.name)
def test_a_link_leads_to_a_file_of_the_image(link: Path) -> None:
    """Never to one of the controller's."""
    target = Path(link_target(link) or "")
    ours = [layer / str(target)[1:] for layer in (FILES, IDENTITY)]
    assert str(target) == "/dev/null" or target.is_relative_to("/usr/lib/systemd") or any(map(Path.exists, ours))


def test_the_first_boot_runs_a_verb_of_the_release_before_whatever_needs_it() -> None:
    first = unit("boardllama-first-boot.service")
    program, verb = first["ExecStart"].split()
    assert program == first["ConditionPathExists"] == f"{PLACES.current}/boardllama"
    assert board_arguments().parse_args([verb]).function
    assert {"network-pre.target", "ssh.service", OLLAMA.unit} <= set(first["Before"].split())


def test_the_first_boot_waits_for_no_target_that_a_vendors_network_comes_before() -> None:
    """Debian's cloud-init has the network up before sysinit.target: to wait for that target would be a circle."""
    first = unit("boardllama-first-boot.service")
    assert first["DefaultDependencies"] == "no"
    assert not {"sysinit.target", "basic.target"} & set(first["After"].split())
    assert "cloud-init-local.service" in first["After"].split()
    assert {"NetworkManager.service", "systemd-networkd.service", "userconfig.service"} <= set(first["Before"].split())


def test_on_a_vendors_system_sshd_is_told_of_the_technicians_account_alone() -> None:
    said = (FILES.with_name("base") / "files/etc/ssh/sshd_config.d/50-boardllama.conf").read_text()
    rules = [line for line in said.splitlines() if line and not line.startswith("#")]
    assert rules[0] == "Match User board" and all(rule.startswith("    ") for rule in rules[1:])
    assert str(PLACES.authorized_keys).replace("/board", "/%u") in said


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
