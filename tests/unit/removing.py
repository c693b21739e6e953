"""A target in a folder from which boardllama is removed, beside programs that stand in for systemd's and apt's."""

import os
import tarfile
from pathlib import Path

import pytest

from deploy.onboard.places import Places
from deploy.onboard.release import board_lock, lease, switch
from deploy.onboard.removal.uninstall import run_uninstall
from tests.unit.onboard import Target
from tests.unit.systemd import Systemd

__all__ = ["Removed", "in_tar", "removed"]

# What takes a line out of a file of accounts, as userdel and groupdel do.
DELETE = "#!/bin/sh\nsed -i /^$1:/d {root}/etc/{file}\n"
# Knows the packages of a file, with the names of those that need each.
DPKG = '#!/bin/sh\nshift 3\nfor name; do grep -q "^$name:" {root}/packages && echo installed $name; done\n'
APT = """#!/bin/sh
case "$*" in *--simulate*) way=show ;; *) way=take ;; esac
while test "$1" != purge; do shift; done
shift
for name; do
    test $way = take || for one in $(sed -n "s/^$name:/$name /p" {root}/packages); do echo "Purg $one"; done
    test $way = show || sed -i "/^$name:/d" {root}/packages
done
"""


class Removed:
    """The target; `before`: what it had before any deploy."""

    def __init__(self, target: Target, systemd: Systemd) -> None:
        self.target, self.root = target, target.root
        texts = {
            "userdel": DELETE.format(root=self.root, file="passwd"),
            "groupdel": DELETE.format(root=self.root, file="group"),
            "dpkg-query": DPKG.format(root=self.root),
            "apt-get": APT.format(root=self.root),
        }
        for name, text in texts.items():
            (systemd.folder / name).write_text(text)
            (systemd.folder / name).chmod(0o755)
        (systemd.folder / "state").write_text("inactive")
        (self.root / "packages").touch()
        for name in ("passwd", "group"):
            (self.root / "etc" / name).write_text("root:x:0:\n")
        self.before = self.listing()

    @property
    def places(self) -> Places:
        return self.target.places

    def listing(self) -> dict[str, str]:
        """All files and links by path; /run is gone after a boot, and the stand-ins are no part of the machine."""
        paths = [path for path in self.root.rglob("*") if path.is_symlink() or path.is_file()]
        names = {str(path.relative_to(self.root)): path for path in paths}
        return {
            name: f"-> {path.readlink()}" if path.is_symlink() else path.read_text(errors="replace")
            for name, path in names.items()
            if not name.startswith(("run/", "systemd/", "var/backups/"))
        }

    def put(self, path: Path, text: str) -> Path:
        """Writes a file, and its folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def deploy(self, *names: str) -> None:
        """Releases, and what a deploy writes beside them."""
        for name in names or ("r1", "r2"):
            switch.perform_switch(self.target.add(name))
        places, root = self.places, self.root
        for path in (places.sysusers, places.tmpfiles, places.channel / "apt.conf", places.channel_timer):
            record = places.records / str(path.relative_to(root)).replace("/", "_")
            self.put(path, f"# {path.name}\n")
            self.put(record, f"# {path.name}\n")
        places.channel_enabled.parent.mkdir(parents=True, exist_ok=True)
        if not places.channel_enabled.is_symlink():
            places.channel_enabled.symlink_to(places.channel_timer)
        self.put(self.target.service.api_key, "sk-1\n")
        self.put(places.channel_state / "memory.json", "{}")
        self.put(root / "etc/passwd", "root:x:0:\nollama:x:999:999:LLM server:/var/lib/ollama:/usr/sbin/nologin\n")
        self.put(root / "etc/group", "root:x:0:\nollama:x:999:\n")

    def uninstall(self, *words: str) -> int:
        """The command's exit status; nobody is asked."""
        return run_uninstall(list(words or ("--yes", "--models")), self.places)

    def kept(self) -> list[Path]:
        """The tars of what was edited."""
        return sorted((self.root / "var/backups").glob("*.tar.gz"))


def in_tar(path: Path) -> dict[str, str]:
    """The files of a tar by name."""
    with tarfile.open(path) as archive:
        found = {name: archive.extractfile(name) for name in archive.getnames()}
        return {name: file.read().decode() for name, file in found.items() if file}


@pytest.fixture
def removed(target: Target, systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> Removed:
    """The target, before any deploy."""
    for module in (board_lock, lease):
        monkeypatch.setattr(module, "LOCK", target.root / "run/boardllama/lock")
    monkeypatch.setattr(os, "sync", lambda: None)  # of all disks of this machine
    monkeypatch.setenv("PATH", f"{systemd.folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    for folder in ("etc", "var"):
        (target.root / folder).mkdir(exist_ok=True)
    (target.root / "run/boardllama").mkdir()
    return Removed(target, systemd)
