"""A board that pulls, in a namespace of this machine: its programs, apt and dpkg are real, systemd and server are not.

Its release lies where a deploy leaves it. What stands for systemd runs a switch at once, and the gate lets in every
release whose config.json does not hold the words FATAL.
"""

import http.server
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from deploy.build.artifact import Build, FileEntry, Manifest, Proof
from deploy.build.source import ArchiveSource
from deploy.cpu import find_cpu
from deploy.fleet.channel.destination import Destination
from deploy.fleet.channel.publish import publish_there
from deploy.fleet.channel.subscribe import subscription_files
from deploy.hosts.offer import Offer
from deploy.hosts.release import Served, WantedRelease, build_files, sha256_hex
from deploy.hosts.release_manifest import Policy
from deploy.hosts.remote import Remote
from deploy.hosts.stored_model import StoredModel
from deploy.models.model import single_file
from deploy.models.own_file import OwnFile
from deploy.onboard.places import PLACES, PROGRAMS
from deploy.onboard.service import OLLAMA
from deploy.setting_fields import ChannelFields, role_settings
from tests.unit.test_settings import ALL, told

FATAL = "it would not serve"
KIND = "raspberry_pi_5"
NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
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


class Teller(Remote):
    """Keeps what a step says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)


@dataclass(frozen=True)
class MadeBuild(Build):
    """A build whose artifact lies in `folder`."""

    folder: Path = Path()

    @property
    def artifact_folder(self) -> Path:
        return self.folder


def channel_fields(**changes: Any) -> ChannelFields:
    """The defaults, and `changes`."""
    return role_settings(ChannelFields, ALL | changes)


def offer(
    folder: Path, config: str = "{}", build: str = "one", model: bytes = b"GGUF" * 1000, kind: str = KIND
) -> Offer:
    """What a deploy would bring, all of it made in the folder."""
    source = ArchiveSource(kind="archive", url="https://files.example/llama.tar.gz", sha256="ab" * 32)
    made = MadeBuild(source, find_cpu("cortex-a76"), folder / build)
    made.folder.mkdir(parents=True, exist_ok=True)
    entries = {}
    for name in PROGRAMS:
        content = f"#!/bin/sh\n# {name} of {build}\n".encode()
        (made.folder / name).write_bytes(content)
        entries[name] = FileEntry(sha256=sha256_hex(content), size=len(content))
    proof = Proof(glibc="2.28", instructions={}, version="1", ran_on="max")
    artifact = Manifest(name=build, key="k", inputs={}, build_info=f"b0-{build}", files=entries, proof=proof)
    (made.folder / "manifest.json").write_text(artifact.model_dump_json())
    path = folder / f"{sha256_hex(model)[:8]}.gguf"
    path.write_bytes(model)
    stored = StoredModel(single_file("m.gguf", OwnFile(str(path))), OLLAMA)
    unit = f"[Service]\nExecStart={PLACES.current}/boardllama launch\n".encode()
    served = Served(OLLAMA, stored, {OLLAMA.config: config.encode(), OLLAMA.public_unit(PLACES): unit}, {})
    policy = Policy(min_tokens_per_second=0, releases_kept=2)
    release = WantedRelease(made, artifact, (served,), {"llama.cpp": {}, "model": None}, policy)
    return Offer(kind, release, build_files(made, artifact), stored.files)


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of keys of a controller, with a cache of its own."""
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BOARDLLAMA_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


def publish(folder: Path, offered: Offer, hours: float = 0.0, **changes: Any) -> list[str]:
    """Publishes as of so many hours after NOON, in a channel that is valid now. Returns what is said."""
    teller = Teller()
    at = NOON + timedelta(hours=hours)
    publish_there(teller, Destination(folder), offered, channel_fields(**changes), at)
    return teller.said


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


class Pages(http.server.SimpleHTTPRequestHandler):
    """A web server of files that knows parts of files, and takes reports."""

    server: "Site"

    def do_POST(self) -> None:
        self.server.reports.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200 if self.server.takes_reports else 503)
        self.end_headers()

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if "Range" not in self.headers or path.parent.name != "models":
            super().do_GET()
            return
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        content = path.read_bytes()[start:]
        self.server.resumed.append(start)
        self.send_response(206)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        self.server.asked.append(self.path)


class Site(http.server.ThreadingHTTPServer):
    """The server of a folder. `asked`: the paths; `resumed`: where parts began; `reports`: what was posted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), lambda *words: Pages(*words, directory=str(folder)))
        self.asked: list[str] = []
        self.resumed: list[int] = []
        self.reports: list[dict[str, Any]] = []
        self.takes_reports = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(folder: Path) -> Iterator[Site]:
    """A server of the folder, on the loopback."""
    folder.mkdir(parents=True, exist_ok=True)
    with Site(folder) as site:
        thread = threading.Thread(target=site.serve_forever, daemon=True)
        thread.start()
        yield site
        site.shutdown()
