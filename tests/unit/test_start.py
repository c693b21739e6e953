"""A start of the service: the launcher counts it, says of what it is made, and becomes llama-server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.onboard import watch
from deploy.onboard.release import switch
from deploy.onboard.server import bounds, launch, mounts
from deploy.onboard.server.attempts import ATTEMPTS, CROWD_SECONDS, count_attempt
from deploy.onboard.server.config import ConfigError
from deploy.onboard.server.cores import fast_cores
from deploy.onboard.server.start_record import is_fresh
from deploy.onboard.service import OLLAMA
from deploy.paths import REPO
from deploy.vm.ports import free_ports
from tests.faults.bad_releases import fake
from tests.unit.llama_server import await_answer
from tests.unit.onboard import Target, argument, target

__all__ = ["target"]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What would have become of the process; filled by start()."""
    seen: dict[str, Any] = {}
    monkeypatch.setenv("LLAMA_ARG_PORT", "1")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(os, "fork", lambda: 1)
    monkeypatch.setattr(os, "execve", lambda *args: seen.update(zip(("path", "argv", "env"), args, strict=True)))
    monkeypatch.setattr(launch, "require_free_port", lambda service, server: None)
    # What this machine mounts does not count: Debian 13 has a unit for /tmp, and a container of it mounts nothing.
    monkeypatch.setattr(mounts, "FSTAB", tmp_path / "none")
    monkeypatch.setattr(mounts, "UNITS", ())
    return seen


def test_it_becomes_the_server_with_a_clean_environment(started: dict[str, Any], target: Target) -> None:
    """LLAMA_ARG_* and a user's config.ini must not change what config.json says."""
    release = target.add("r1")
    launch.become_server(release, target.service)
    assert started["path"] == release.folder / "llama-server", "what is judged is what runs"
    assert started["argv"][0] == str(target.places.public_bin / "llama-server"), "and shows the name that users know"
    plain = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "XDG_CONFIG_HOME": "/nonexistent"}
    assert started["env"] == plain | bounds.ENVIRONMENT


def test_an_operators_file_in_the_place_of_a_public_name_counts_at_the_next_start(
    started: dict[str, Any], target: Target
) -> None:
    """As `sed -i` leaves it. Before its commit a release is started as it was deployed."""
    switch.perform_switch(target.add("r1"))
    target.service.config.unlink()
    target.service.config.write_text(
        json.dumps({"models": {"path": str(target.service.models)}, "server": {"port": 8080}})
    )
    launch.become_server(target.release("r1"), target.service)
    assert argument(started["argv"], "--port") == "8080"
    launch.become_server(target.add("r2"), target.service)
    assert argument(started["argv"], "--port") == "11434"


@pytest.mark.parametrize(("host", "reached"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "::1")])
def test_it_leaves_word_where_it_can_be_asked(
    started: dict[str, Any], target: Target, tmp_path: Path, host: str, reached: str
) -> None:
    """The watcher asks there, from the same machine."""
    release = target.add("r1")
    server = {"host": host, "allow_unauthenticated": True}
    (release.folder / "config.json").write_text(
        json.dumps({"server": server, "models": {"path": str(target.service.models)}})
    )
    launch.become_server(release, target.service)
    assert (tmp_path / "started").read_text().splitlines()[:2] == [f"{reached} 11434 /health", "release r1"]


def test_it_leaves_word_which_cores_are_its_own(started: dict[str, Any], target: Target, tmp_path: Path) -> None:
    """As taskset reads it: the unit has it do what the sandbox lets no process do."""
    launch.become_server(target.add("r1"), target.service)
    allowed = fast_cores(allowed=os.sched_getaffinity(0))
    assert (tmp_path / "cores").read_text() == ",".join(map(str, sorted(allowed)))


def test_each_start_is_counted_and_forgets_why_the_last_server_was_ended(
    started: dict[str, Any], target: Target, tmp_path: Path
) -> None:
    (tmp_path / "hung").touch()
    launch.become_server(target.add("r1"), target.service)
    assert (tmp_path / "attempts").read_text() == "1"
    assert not (tmp_path / "hung").exists()


def test_a_disk_that_does_not_come_ends_the_start_so_that_systemd_tries_again(
    started: dict[str, Any], target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "await_disk", lambda _service, _ways, _read: False)
    with pytest.raises(SystemExit, match=str(launch.EX_TEMPFAIL)):
        launch.become_server(target.add("r1"), target.service)
    assert not started


@pytest.mark.parametrize(("server", "status"), [({"port": 0}, launch.EX_CONFIG), (None, 1)])
def test_what_only_a_person_can_mend_is_not_tried_again(
    started: dict[str, Any],
    target: Target,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    server: Any,
    status: int,
) -> None:
    """The unit restarts on status 1, and not on 78."""
    release = target.add("r1")
    if server:
        (release.folder / "config.json").write_text(json.dumps({"server": server}))
    else:
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(target.root / "none"))
    assert launch.launch_service(release, target.service) == status
    assert not started
    said = capsys.readouterr().err
    assert said.startswith("ollama-cpp-server: ") and said.count("\n") == 1


def test_a_trial_that_is_committed_is_fresh_until_a_file_changes(
    started: dict[str, Any], target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(target.service.runtime))
    target.service.runtime.mkdir(parents=True)
    release = target.add("r1")
    wanted = {"models": {"path": str(target.service.models), "default_model": "m.gguf"}}
    (release.folder / "config.json").write_text(json.dumps(wanted))
    launch.become_server(release, target.service)
    assert not is_fresh(target.service), "nothing has the public names yet"
    switch.perform_switch(release)
    assert is_fresh(target.service)
    model = (release.folder / "m.gguf").resolve()
    model.write_bytes(b"GGUF another")
    assert not is_fresh(target.service), "it serves what lay there before"
    launch.become_server(release, target.service)
    assert is_fresh(target.service)
    key = target.service.api_key
    key.parent.mkdir(parents=True, exist_ok=True)
    key.write_text("secret")
    assert not is_fresh(target.service), "a key that appears makes a difference"


def test_starts_that_never_get_ready_end(tmp_path: Path) -> None:
    for _ in range(ATTEMPTS):
        count_attempt(tmp_path)
    with pytest.raises(ConfigError, match="5 starts in a row did not get ready"):
        count_attempt(tmp_path)
    (tmp_path / "attempts").unlink()
    count_attempt(tmp_path)


def test_a_start_that_failed_behind_a_crowd_does_not_count_and_the_next_one_waits(
    tmp_path: Path,
) -> None:
    waited: list[float] = []
    for _ in range(9):
        (tmp_path / "crowded").touch()
        count_attempt(tmp_path, waited.append)
    assert not (tmp_path / "attempts").exists()
    assert waited == [CROWD_SECONDS] * 9
    unit = (REPO / "templates" / f"{OLLAMA.unit}.j2").read_text()
    numbers = dict(line.split("=", 1) for line in unit.splitlines() if line.startswith("StartLimit"))
    assert int(numbers["StartLimitIntervalSec"]) / CROWD_SECONDS < int(numbers["StartLimitBurst"])


# What the program `boardllama launch` does, with every place of the target in a folder, and nothing to mount.
LAUNCH = """
import sys
from pathlib import Path
from deploy.onboard.places import PLACES
from tests.services import paths_below
from deploy.onboard.server import mounts
from deploy.onboard.release.releases import Release
from deploy.onboard.server.launch import launch_service, service_started
mounts.FSTAB, mounts.UNITS = Path("/nonexistent"), ()
places = paths_below(Path(sys.argv[1]), PLACES)
release = Release(places.releases / "r1", places)
sys.exit(launch_service(release, service_started(release)))
"""


@pytest.fixture
def port(target: Target) -> int:
    """Where the server of release r1 is to answer."""
    (port,) = free_ports(1)
    release = target.add("r1", server=fake("well", "b0-abc"))
    (release.folder / "config.json").write_text(
        json.dumps({"server": {"port": port}, "models": {"path": str(target.service.models)}})
    )
    (release.folder / "onboard").mkdir()
    target.service.runtime.mkdir(parents=True)
    program = Path(watch.__file__).read_text().replace("WATCH_SECONDS = 10.0", "WATCH_SECONDS = 0.1")
    (release.folder / "onboard" / "watch.py").write_text(program)
    return port


@pytest.fixture
def process(target: Target, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The launcher's, when the server answers."""
    environment = {**os.environ, "RUNTIME_DIRECTORY": str(target.service.runtime), "LLAMA_ARG_PORT": "1"}
    with subprocess.Popen([sys.executable, "-c", LAUNCH, target.root], cwd=REPO, env=environment) as child:
        try:
            await_answer(port)
            yield child
        finally:
            child.kill()


def children(process: int) -> list[int]:
    """The processes that it started and that run."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def gone(path: Path) -> bool:
    """Whether it goes within a minute."""
    for _ in range(1200):
        if not path.exists():
            return True
        time.sleep(0.05)
    return False


def test_the_launcher_becomes_the_server_and_a_watcher_counts_its_first_answer(
    target: Target, process: "subprocess.Popen[bytes]", port: int
) -> None:
    server = target.places.releases / "r1" / "llama-server"
    words = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode().split("\0")
    assert str(server) in words and words[words.index("--port") + 1] == str(port)
    assert b"LLAMA_ARG" not in Path(f"/proc/{process.pid}/environ").read_bytes()
    assert target.service.started.read_text().splitlines()[:2] == [f"127.0.0.1 {port} /health", "release r1"]
    assert gone(target.service.started.with_name("attempts")), "the start that it was is over"
    (watcher,) = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert gone(Path(f"/proc/{watcher}")), "nothing is left to watch over"
    assert not target.service.started.with_name("hung").exists(), "and it takes no credit for that"
