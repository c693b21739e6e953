"""The command that removes boardllama from an inventory's hosts: by programs of its own, with a row for each host."""

from dataclasses import replace
from pathlib import Path

import pytest

from deploy.hosts.snapshot import Snapshot
from deploy.onboard.service import OLLAMA
from deploy.stages import remove
from tests.unit.known_host import KnownHost, programs_here, serving

__all__ = ["programs_here"]

SAYS = """import sys
print(*sys.argv[1:])
print("boardllama is removed")
"""
REFUSES = """import sys
print("boardllama: ann@laptop, process 1 is at work here: wait for it", file=sys.stderr)
sys.exit(1)
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KnownHost:
    """This machine as a board that serves r1; the marks of a deploy are in a folder."""
    (tmp_path / "mark").touch()
    monkeypatch.setattr(remove, "FOLDER", str(tmp_path / "its-own"))
    monkeypatch.setattr(remove, "MARKS", (str(tmp_path / "mark"),))
    return KnownHost(serving("r1"))


def brings(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """The programs that the command brings are this one."""
    monkeypatch.setattr(remove, "onboard_programs", lambda: {"boardllama": program.encode()})


@pytest.mark.parametrize(("models", "words"), [(True, "--models"), (False, "--keep-models")])
def test_the_programs_come_along_and_go_again(
    host: KnownHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], models: bool, words: str
) -> None:
    brings(monkeypatch, SAYS)
    said: list[str] = []
    monkeypatch.setattr(host.host, "log", lambda line, *_styles, **_named: said.append(line))
    assert host.does(remove.remove_boardllama, models=models)
    assert said == [f"uninstall --yes {words}", "boardllama is removed"]
    assert (host.record.before, host.record.after, host.record.verdict) == ("r1", "none", "removed")
    assert not Path(remove.FOLDER).exists()


def test_a_host_that_refuses_says_why_in_its_row(host: KnownHost, monkeypatch: pytest.MonkeyPatch) -> None:
    brings(monkeypatch, REFUSES)
    assert not host.does(remove.remove_boardllama, models=False)
    assert (host.record.verdict, host.record.reason) == (
        "refused", "ann@laptop, process 1 is at work here: wait for it",
    )  # fmt: skip
    assert host.record.after == "r1"


def test_a_connection_that_breaks_is_no_removal(host: KnownHost, monkeypatch: pytest.MonkeyPatch) -> None:
    brings(monkeypatch, "import os\nprint('stopping the services', flush=True)\nos.kill(os.getppid(), 9)\n")
    assert not host.does(remove.remove_boardllama, models=False)
    assert "run again, which goes on" in host.record.reason


def test_where_nothing_is_left_nothing_is_done(
    host: KnownHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(remove, "MARKS", (str(tmp_path / "none"),))
    monkeypatch.setattr(remove, "OLLAMA", replace(OLLAMA, models=tmp_path))
    host.learn(Snapshot())
    assert host.plans(remove.remove_boardllama, models=True) == []
    (tmp_path / ".store").mkdir()
    assert len(host.plans(remove.remove_boardllama, models=True)) == 1, "models that an earlier run has kept"
    assert host.plans(remove.remove_boardllama, models=False) == []
