"""A board whose kernel is from another suite stays on the kernel series of its image: asked of apt itself."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from deploy.image import board_root
from deploy.image.boards import debian_board

SUITE = "trixie-backports"
STABLE = {"linux-image-arm64": ["6.12.118-1"], "linux-base": ["4.12"], "htop": ["3.4-1"]}
INSTALLED = {"linux-image-arm64": "7.3.4-1~bpo13+1", "linux-base": "4.17~bpo13+1"}


def stanzas(packages: dict[str, list[str]], more: str = "") -> str:
    """Of apt's Packages, or of dpkg's status."""
    return "".join(
        f"Package: {name}\nVersion: {version}\nArchitecture: arm64\nMaintainer: x\nDescription: x\n{more}"
        f"Filename: {name}.deb\nSize: 1\nSHA256: {'0' * 64}\n\n"
        for name, versions in packages.items()
        for version in versions
    )


def add_suite(tree: Path, suite: str, release: str, packages: dict[str, list[str]]) -> None:
    """A suite of an archive that lies in the tree, and its line in sources.list."""
    folder = tree / "archive/dists" / suite
    (folder / "main/binary-arm64").mkdir(parents=True)
    (folder / "Release").write_text(f"Codename: {suite}\nSuite: {suite}\nArchitectures: arm64\n{release}")
    (folder / "main/binary-arm64/Packages").write_text(stanzas(packages))
    with (tree / "etc/apt/sources.list").open("a") as file:
        file.write(f"deb [trusted=yes] file:{tree}/archive {suite} main\n")


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """The root of a board on which kernel 7.3.4 is installed, with the pins that its image got."""
    for name in (
        "etc/apt/preferences.d",
        "boot",
        "var/lib/dpkg",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives",
    ):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "boot/vmlinuz-7.3.4+deb13-arm64").touch()
    installed = {name: [version] for name, version in INSTALLED.items()}
    (tmp_path / "var/lib/dpkg/status").write_text(stanzas(installed, "Status: install ok installed\n"))
    text = (board_root.HERE / "keep-kernel.sh").read_text()
    environment = os.environ | {"SUITES": SUITE}
    subprocess.run(["sh", "-c", text, "keep", str(tmp_path)], env=environment, check=True)
    add_suite(tmp_path, "trixie", "", STABLE)
    return tmp_path


def candidates(tree: Path, backports: dict[str, list[str]]) -> dict[str, str]:
    """What apt would install of each package, by its name."""
    add_suite(tree, SUITE, "NotAutomatic: yes\nButAutomaticUpgrades: yes\n", backports)
    told = [
        "-o",
        f"Dir={tree}",
        "-o",
        f"Dir::State::status={tree}/var/lib/dpkg/status",
        "-o",
        "APT::Architecture=arm64",
    ]
    told += ["-o", "APT::Architectures=arm64", "-o", "APT::Sandbox::User="]
    subprocess.run(["apt-get", *told, "-q", "update"], check=True, capture_output=True)
    said = subprocess.run(["apt-cache", *told, "policy", *STABLE], check=True, capture_output=True, text=True).stdout
    return dict(re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (\S+)", said, re.MULTILINE))


def test_the_series_is_updated_and_no_other_comes(board: Path) -> None:
    kernels = ["7.4.1-1~bpo13+1", "7.3.5-1~bpo13+1"]
    found = candidates(board, {"linux-image-arm64": kernels, "linux-base": ["4.17~bpo13+1"], "htop": ["3.5-1~bpo13+1"]})
    assert found == {"linux-image-arm64": "7.3.5-1~bpo13+1", "linux-base": "4.17~bpo13+1", "htop": "3.4-1"}


def test_a_board_whose_series_is_gone_keeps_its_kernel(board: Path) -> None:
    """Neither the next series nor stable's older one is taken."""
    found = candidates(board, {"linux-image-arm64": ["7.4.1-1~bpo13+1"]})
    assert found["linux-image-arm64"] == INSTALLED["linux-image-arm64"]


def test_a_board_with_further_suites_has_their_lines_from_the_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "deb {} trixie-backports main non-free-firmware"
    archives = {
        "": "http://deb.debian.org/debian",
        "http://127.0.0.1:3142/debian": "http://127.0.0.1:3142/debian",
        "deb https://past.example/2026 trixie main": "https://past.example/2026",
    }
    for mirror, archive in archives.items():
        monkeypatch.setenv("BOARDLLAMA_MIRROR", mirror)
        assert board_root.suite_lines(debian_board("rpi5")) == [line.format(archive)]
        assert board_root.suite_lines(debian_board("rpi4")) == []
