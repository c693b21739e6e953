"""What a run asks of a board that has all of it already: nothing after the first question."""

import base64
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from deploy import cpu
from deploy.build.artifact import Build, require_artifact
from deploy.hosts.facts.board import BoardInfo
from deploy.hosts.facts.combined import MARK
from deploy.hosts.receipt import IDENTITY, receipt_format
from deploy.hosts.release import WantedRelease, build_files
from deploy.hosts.snapshot import Snapshot
from deploy.hosts.store import BigFile
from deploy.hosts.text_files import TextFile
from deploy.onboard.server.health import Health, State
from deploy.onboard.service import OLLAMA
from deploy.settings import Settings
from deploy.stages import service
from deploy.stages.model import model_of
from tests.unit.known_host import KnownHost
from tests.unit.test_plan import PI_5, a_board, deploy, prepare
from tests.unit.test_settings import told

WHEN = "2026-11-28T09:00:00+00:00"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a board that serves the smoke model; the controller has it, and the build."""
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path / "cache"))
    settings = told(model="smoke")
    prepare(Build(settings.source, cpu.find_cpu("cortex-a76")))
    return settings


def wanted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> WantedRelease:
    """The release that these settings mean on a board whose operator changed nothing."""
    for module in ("service", "model"):
        monkeypatch.setattr(f"deploy.stages.{module}.board_of", lambda _host: BoardInfo())
    unedited = settings.model_copy(update={"config_conflict": "overwrite"})
    with KnownHost(Snapshot()).turn():
        return service.wanted_release(unedited, Build(settings.source, cpu.find_cpu("cortex-a76")))


def stored(files: Iterable[BigFile]) -> Iterable[str]:
    """Large files, each with the receipt of what it is."""
    for number, file in enumerate(files):
        identity = f"{number} {file.size} 5.000000001"
        yield f"stat {identity}|{file.mode} {file.owner}|{file.dest}"
        yield receipt_format(file.sha256).replace(IDENTITY, identity).replace("%n", file.dest)


def texts(files: Iterable[TextFile]) -> str:
    """Small files and their records, as they travel."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for file in files:
            for path in (file.dest, file.record):
                member = tarfile.TarInfo(path.lstrip("/"))
                member.size, member.mode = len(file.content_bytes), int(file.mode, 8)
                member.uname, _, member.gname = file.owner.partition(":")
                archive.addfile(member, io.BytesIO(file.content_bytes))
    return base64.b64encode(stream.getvalue()).decode()


def answers(settings: Settings, release: WantedRelease) -> list[str]:
    """What a board says that serves the release."""
    model = model_of(settings, OLLAMA)
    assert model
    health = Health(State.READY).to_json()
    status = {"current": release.id, "active": True, "linked": True, "fresh": True, "health": health}
    files = [*build_files(release.build, require_artifact(release.build)), *model.files]
    there = release.stored_contents(WHEN) | {"created": WHEN}
    return [
        f"{MARK}board",
        *PI_5.splitlines(),
        f"{MARK}stored",
        *stored(files),
        f"{MARK}texts",
        texts(service.system_files(told())),
        f"{MARK}files",
        *(f"{value}  ./{name}" for name, value in there.items()),
        f"{MARK}status",
        json.dumps(status),
    ]


def test_a_run_that_changes_nothing_is_one_command(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = answers(settings, wanted(settings, monkeypatch))
    boards = [a_board(PI_5, name, fake_responses={"echo machine": said}) for name in ("one", "two")]
    done = deploy(tmp_path, boards, "-y", "--debug", builder="@fake/builder")
    operations = json.loads(done.stdout)["results"]["operations"]
    assert done.returncode == 0, done.stderr
    assert {name for operation in operations for name in operation["success"]} == set()
    for name in ("one", "two"):
        assert done.stderr.count(f"[fake] simulating command on @fake/{name}:") == 1
