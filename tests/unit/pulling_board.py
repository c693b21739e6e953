"""A board that pulls, in a namespace of this machine: its programs, apt and dpkg are real, systemd and server are not.

Its release lies where a deploy leaves it. What stands for systemd runs a switch at once, and the gate lets in every
release whose config.json does not hold the words FATAL.
"""

import os
import subprocess
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.fleet.channel.subscribe import subscription_files
from deploy.hosts.offer import Offer
from deploy.onboard.places import PLACES
from tests.unit.channel_site import Site, serving
from tests.unit.made_offer import KIND, NOON, offer, publish
from tests.unit.test_settings import told

FATAL = "it would not serve"
# In the place of programs of systemd. A switch is judged without its unit and its server.
SYSTEMD_RUN = """#!/bin/sh
while case $1 in --*) true ;; *) false ;; esac; do shift; done
exec /usr/bin/python3 -IS /usr/local/bin/judged "$@"
"""
JUDGED = f"""
import sys
from dataclasses import replace
from pathlib import Path

program, _, id = sys.argv[1:]
sys.path.insert(0, str(Path(program).parent))
from onboard.release import check, switch
from onboard.release.releases import find_release
from onboard.places import PLACES
from onboard.server.health import Unhealthy

def judge(release, say):
    if any({FATAL!r} in release.config(service).read_text() for service in release.services):
        raise Unhealthy("it answers 503")
    return 7.0

check.check_service = lambda *_: None
switch.judge_release, switch.run_systemctl, switch.last_words = judge, lambda *_: None, lambda *_: []
names = {{name: Path("/opt", name) for name in ("public_bin", "doctor")}}  # this machine's own are not to be written to
switch.perform_switch(find_release(id, replace(PLACES, **names)))
"""
STAND_INS = {"systemd-run": SYSTEMD_RUN, "judged": JUDGED, "systemctl": "#!/bin/sh\nexit 3\n"}
# For a machine of another kind than the board, and for users who may be nobody else.
ELSEWHERE = """
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "root";
DPkg::Options:: "--force-architecture,not-root";
DPkg::Path "/usr/local/bin:/usr/sbin:/usr/bin";
Acquire::Retries "0";
"""


class PullingBoard:
    """Its root is `root`. `refused_by`: how its last look ended."""

    def __init__(self, root: Path, url: str, **settings: Any) -> None:
        self.root = root
        for name in (
            "proc",
            "dev",
            "tmp",
            "run/boardllama",
            "run/systemd/system",
            "usr/lib/systemd/system",
            "usr/local/bin",
        ):
            (root / name).mkdir(parents=True)
        for name in ("etc", "var/lib/boardllama", "usr/lib/boardllama", "usr/sbin", "usr/bin", "opt"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (root / name).symlink_to(f"usr/{name}")
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (root / "etc/group").write_text("root:x:0:\n")
        (root / "etc/machine-id").write_text("0123456789abcdef\n")
        for name, text in STAND_INS.items():
            (root / "usr/local/bin" / name).write_text(text)
            (root / "usr/local/bin" / name).chmod(0o755)
        self.follow(url, **settings)

    def follow(self, url: str, **settings: Any) -> None:
        """Tells the board of a channel, as a deploy does."""
        for file in subscription_files(told(channel_url=url, **settings), KIND):
            path = self.at(file.dest)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.content + (ELSEWHERE if path.name == "apt.conf" else ""))

    def at(self, path: str | Path) -> Path:
        """A file of the board."""
        return self.root / str(path).lstrip("/")

    def deploy(self, offered: Offer, created: datetime = NOON - timedelta(days=30)) -> None:
        """Has the release as if a deploy had brought it, without receipts."""
        release = offered.release
        for file in (*offered.programs, *offered.models):
            self.at(file.dest).parent.mkdir(parents=True, exist_ok=True)
            self.at(file.dest).write_bytes(file.source.read_bytes())
            self.at(file.dest).chmod(int(file.mode, 8))
        folder = self.at(release.folder)
        for name, content in release.file_contents(created.isoformat(timespec="seconds")).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        for name, target in release.link_targets().items():
            (folder / name).symlink_to(target)
        (folder / "boardllama").chmod(0o755)
        self.run("systemd-run", release.program, "perform", release.id).check_returncode()
        assert self.current == release.id

    @property
    def current(self) -> str:
        """The id of the committed release."""
        return self.at(PLACES.current).readlink().name

    def look(self, **options: Any) -> subprocess.CompletedProcess[str]:
        """`boardllama channel`, as its timer starts it."""
        return self.run(f"{PLACES.current}/boardllama", "channel", **options)

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a program there to its end."""
        return subprocess.run(self.command(*words), capture_output=True, text=True, check=False, **options)

    def cut(self, seconds: float) -> None:
        """Begins a look, and takes the power away after so many seconds."""
        words = self.command(f"{PLACES.current}/boardllama", "channel")
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as looking:
            time.sleep(seconds)
            looking.kill()
            assert looking.stdout
            looking.stdout.read()  # to its end: then all that the look had started is gone, too

    def command(self, *words: str) -> list[str]:
        """The command line that runs a program there."""
        apart = ["--unshare-user", "--uid", "0", "--gid", "0"] if os.geteuid() else []
        kept = [word for path in self.borrowed() for word in ("--ro-bind", str(path), str(path))]
        own = ["--bind", str(self.root), "/", *kept, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        path = "/usr/local/bin:/usr/sbin:/usr/bin"
        return ["bwrap", "--die-with-parent", "--unshare-pid", *apart, *own, "--setenv", "PATH", path, "--", *words]

    @staticmethod
    def borrowed() -> Iterator[Path]:
        """What the board has of this machine: apt, dpkg, Python, and what they need."""
        names = "usr/bin usr/sbin usr/lib64 usr/share usr/lib/ssl etc/ld.so.cache etc/alternatives".split()
        yield from (Path("/", name) for name in names if Path("/", name).exists())
        for pattern in ("apt", "dpkg", "gnupg*", "python3*", "*-linux-gnu*"):
            yield from Path("/usr/lib").glob(pattern)


def survive_cuts(board: PullingBoard, folder: Path, moments: Iterable[float]) -> None:
    """Offers a release for each moment, in seconds after a look began, at which the power goes; then it comes back.

    Fails where the board then has neither the release from before nor the new one, or does not get the new one.
    """
    for number, seconds in enumerate(moments):
        before = board.current
        wanted = offer(folder / "made", f'{{"a": {number}}}', f"build{number}", b"GGUF" * (1000 + number))
        publish(folder / "channel", wanted, hours=number)
        board.cut(seconds)
        assert board.current in (before, wanted.release.id)
        assert (board.at(PLACES.releases) / board.current / "manifest.json").exists()
        done = board.look()
        assert done.returncode == 0, done
        assert board.current == wanted.release.id


@pytest.fixture
def site(tmp_path: Path, keys: Path) -> Iterator[Site]:
    """The server of the folder `channel`."""
    with serving(tmp_path / "channel") as site:
        yield site


@pytest.fixture
def board(tmp_path: Path, site: Site) -> PullingBoard:
    """It has a release that a deploy brought, and follows the channel."""
    board = PullingBoard(tmp_path / "board", site.url, channel_report=f"{site.url}/reports")
    board.deploy(offer(tmp_path / "made", config='{"a": 1}'))
    return board


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    """Its folder."""
    return tmp_path / "channel"
