"""What boards report by MQTT, through Debian's own mosquitto, is what the channel goes by."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from deploy.fleet.channel.phases import read_reports
from deploy.onboard.channel.reports import report_outcome
from deploy.onboard.channel.subscription import Subscription, read_memory
from deploy.onboard.places import Places
from deploy.vm.ports import free_ports
from tests.engines import engine, engine_environment
from tests.unit.front_process import await_true
from tests.unit.made_offer import KIND

TOPIC = "boards/reports"


@pytest.fixture
def port(tmp_path: Path) -> int:
    """Where no broker runs yet."""
    return free_ports(1)[0]


@contextmanager
def broker(port: int, folder: Path) -> Iterator[None]:
    """A broker, until the end of the block."""
    config, log = folder / "mosquitto.conf", folder / "broker.log"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with log.open("wb") as told, started("mosquitto", "-v", "-c", str(config), log=told):
        await_true(lambda: b"running" in log.read_bytes())
        yield


@contextmanager
def reports_kept(port: int, folder: Path) -> Iterator[Path]:
    """The folder with the reports, as docs/how-to/fleet.md has them kept."""
    folder.mkdir()
    words = ("-h", "127.0.0.1", "-p", str(port), "-t", TOPIC)
    with (folder / "reports.jsonl").open("wb") as kept, started("mosquitto_sub", *words, log=kept):
        yield folder


@contextmanager
def started(name: str, *words: str, log: IO[bytes]) -> Iterator[None]:
    """One of mosquitto's programs, which writes into the file until the end of the block."""
    environment = engine_environment(name)
    with subprocess.Popen([engine(name), *words], env=environment, stdout=log, stderr=log) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A board that has Debian's mosquitto_pub."""
    environment = engine_environment("mosquitto_pub")
    monkeypatch.setenv("LD_LIBRARY_PATH", environment["LD_LIBRARY_PATH"])
    monkeypatch.setenv("PATH", f"{Path(engine('mosquitto_pub')).parent}:{environment['PATH']}")
    return replace(Places(), channel_state=tmp_path / "state")


def report(board: Places, port: int, release: str, good: bool) -> None:
    """Has the board report."""
    told = Subscription("http://u.example", KIND, False, f"mqtt://127.0.0.1:{port}/{TOPIC}", False)
    report_outcome(board, told, release=release, created="2026-11-01", good=good, reason="")


def test_a_report_by_mqtt_reaches_the_channel(board: Places, port: int, tmp_path: Path) -> None:
    with broker(port, tmp_path), reports_kept(port, tmp_path / "reports") as folder:
        await_true(lambda: b"SUBSCRIBE" in (tmp_path / "broker.log").read_bytes())
        report(board, port, "r1", good=True)
        report(board, port, "r2", good=False)
        await_true(lambda: len(list(read_reports(folder))) == 2)
        assert [(one.kind, one.release, one.good) for one in read_reports(folder)] == [
            (KIND, "r1", True),
            (KIND, "r2", False),
        ]
    assert read_memory(board)["unsent"] is None


def test_a_report_that_no_broker_took_is_kept_for_the_next_look(board: Places, port: int, tmp_path: Path) -> None:
    report(board, port, "r1", good=True)
    assert '"r1"' in read_memory(board)["unsent"]
    with broker(port, tmp_path), reports_kept(port, tmp_path / "reports") as folder:
        await_true(lambda: b"SUBSCRIBE" in (tmp_path / "broker.log").read_bytes())
        report(board, port, "r1", good=True)
        await_true(lambda: list(read_reports(folder)))
    assert read_memory(board)["unsent"] is None
