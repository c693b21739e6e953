"""A machine whose apt reaches no network gets packages from the controller: a real Debian, apart from all networks."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from deploy.debian.deb_store import DebStore
from deploy.debian.staging import ensure_folder
from deploy.debian.workspace import Workspace
from deploy.hosts.packages import NotInstalled, install_debian_packages
from deploy.hosts.remote import Remote, RemoteCommandFailed
from deploy.paths import cache_dir

STORE = DebStore("bookworm", "amd64")


class ApartTarget(Remote):
    """A Debian in a folder, without a network. `fed`: bytes that it got."""

    def __init__(self, tree: Path) -> None:
        self.tree, self.fed, self.said = tree, 0, list[str]()

    def call(self, command: str, given: bytes = b"") -> str:
        own = ["--bind", str(self.tree), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        words = ["bwrap", "--die-with-parent", "--unshare-net", "--unshare-pid", *own, "--", "sh", "-c", command]
        done = subprocess.run(words, input=given, capture_output=True, check=False)
        if done.returncode:
            raise RemoteCommandFailed(done.stderr.decode().strip() or "no output")
        return done.stdout.decode()

    def run(self, *bits: Any) -> str:
        return self.call(" ".join(map(str, bits)))

    def feed(self, source: Iterable[bytes], *bits: Any) -> None:
        content = b"".join(source)
        self.fed += len(content)
        self.call(" ".join(map(str, bits)), content)

    def say(self, line: str) -> None:
        self.said.append(line)


def make_debian(new: Path) -> None:
    """A Debian with apt, in new/tree."""
    workspace = Workspace(new, STORE.release, "Debian for the tests")
    workspace.run_mmdebstrap("packages", new / "root.tar", "--variant=apt", f"--architectures={STORE.architecture}")
    unpack = ["tar", "--extract", "--same-owner", "--exclude=./dev/*", "--file", str(new / "root.tar")]
    workspace.run_step("unpacking", [*unpack, "--directory", str(new / "tree")])


@pytest.fixture
def target(tmp_path: Path) -> ApartTarget:
    """A fresh one."""
    debian = ensure_folder(cache_dir() / "engines" / "debian", "Debian for the tests", make_debian)
    subprocess.run(["cp", "-a", "--reflink=auto", str(debian), str(tmp_path / "tree")], check=True)
    return ApartTarget(tmp_path / "tree")


@pytest.fixture
def empty_cache(tmp_path: Path, target: ApartTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller without packages."""
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path / "cache"))


def fetch(folder: Path, names: str) -> None:
    """Has the controller fetch these packages with all that they need."""
    (folder / "names.txt").write_text(names)

    STORE.fetch(folder / "names.txt")


def test_what_is_lacking_comes_from_the_controller(tmp_path: Path, target: ApartTarget, empty_cache: None) -> None:
    fetch(tmp_path, "mosquitto-clients adduser")
    install_debian_packages(target, ["mosquitto-clients"], ())
    assert target.run("dpkg-query -W -f '${db:Status-Status}' mosquitto-clients") == "installed"
    target.run("command -v mosquitto_pub")
    assert target.said[0].startswith("its apt reaches no network: ")
    assert target.fed < sum(path.stat().st_size for path in STORE.files), "and nothing that it has"
    assert not (tmp_path / "tree/var/cache/boardllama-debs").exists()
    assert "boardllama" not in (tmp_path / "tree/etc/apt/sources.list").read_text()


def test_without_packages_on_the_controller_the_reason_and_a_way_out_are_told(
    target: ApartTarget, empty_cache: None
) -> None:
    with pytest.raises(NotInstalled, match=r"mosquitto-clients cannot be installed .* or a bundle here"):
        install_debian_packages(target, ["mosquitto-clients"], ())


def test_a_bundle_that_lacks_a_package_is_named(tmp_path: Path, target: ApartTarget, empty_cache: None) -> None:
    fetch(tmp_path, "adduser")
    with pytest.raises(NotInstalled, match=r"mosquitto-clients cannot be installed from .*/debs/bookworm-amd64"):
        install_debian_packages(target, ["mosquitto-clients"], ())


def test_packages_that_a_deploy_needs_since_are_fetched_where_others_are_here(
    tmp_path: Path, empty_cache: None
) -> None:
    fetch(tmp_path, "adduser")
    before = STORE.files
    fetch(tmp_path, "adduser libdlt2")
    assert any(path.name.startswith("libdlt2_") for path in STORE.files) and {*before} <= {*STORE.files}
    assert STORE.lacks(tmp_path / "names.txt") == []
