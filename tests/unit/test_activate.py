"""Activate: what a target is asked to switch to, and after whom. The programs of its releases are real, if small."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.hosts.facts import BoardInfo
from deploy.hosts.lock import TargetStep
from deploy.hosts.snapshot import ReleaseThere, Snapshot, memory_of
from deploy.onboard.places import PLACES
from deploy.stages import activate
from deploy.stages.service import PREPARED
from tests.unit.known_host import KnownHost, Lock, lock_here, program, programs_here, serving
from tests.unit.test_settings import told

VERDICT = PLACES.verdict

__all__ = ["lock_here", "programs_here"]

SECOND = "@fake/second"
GOOD = {"release": "r2", "lines": ["trying r2"], "outcome": "COMMITTED", "reason": "", "tokens_per_second": 9.5}
BAD = GOOD | {"outcome": "BACK", "reason": "it answers 503; r1 serves again"}


@pytest.fixture
def program_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The `boardllama` of a release: notes what it is asked, and ends a switch with this verdict."""
    verdict = tmp_path / "verdict.json"
    monkeypatch.setattr(activate, "REPORTS", activate.REPORTS.replace(str(VERDICT), str(verdict)))

    def make(end: dict[str, Any]) -> SimpleNamespace:
        (tmp_path / "end").write_text(json.dumps(end))
        text = f'echo "$@" >>{tmp_path}/asked; case $1 in switch|begin-*) cp {tmp_path}/end {verdict} ;; esac'
        made = program(tmp_path / "boardllama", text)
        return SimpleNamespace(id="r2", program=made, asked=lambda: (tmp_path / "asked").read_text().splitlines())

    return make


def prepared(host: KnownHost, release: SimpleNamespace, known: Snapshot) -> KnownHost:
    """The host with that release prepared on it, whose own program says of it what `known` does."""
    host.host.connector_data[PREPARED] = release
    host.learn(known)
    memory_of(host.host).releases[release.id] = ReleaseThere(status=known.status)
    return host


@pytest.fixture
def two(program_of: Any, lock_here: Lock) -> Any:
    """The canary, whose switch ends with this verdict, and the board after it; both serve r1."""

    def make(end: dict[str, Any], canary: Snapshot | None = None) -> tuple[KnownHost, KnownHost]:
        first = KnownHost(Snapshot(), others=(SECOND,))
        second = KnownHost(Snapshot(), SECOND, beside=first)
        release = program_of(end)
        return prepared(first, release, canary or serving("r1")), prepared(second, release, serving("r1"))

    return make


def test_after_a_canary_that_fails_the_others_keep_what_they_have(two: Any) -> None:
    canary, second = two(BAD)
    assert not canary.does(activate.switch_to)
    assert canary.record.reason == "release r2 is taken back: it answers 503; r1 serves again"
    assert not second.does(activate.switch_to, after=(canary.host.name,))
    assert second.record.reason == "the canary @local did not pass: this host keeps the release that it has"
    assert second.record.verdict == "refused"


def test_a_canary_that_was_cut_off_has_not_passed(two: Any) -> None:
    _, second = two(GOOD)
    assert not second.does(activate.switch_to, after=("@local",))
    assert second.record.verdict == "refused"


@pytest.mark.parametrize("switches", [True, False], ids=["switches", "serves it already"])
def test_after_a_canary_that_passes_the_others_follow(two: Any, switches: bool) -> None:
    canary, second = two(GOOD, serving("r1" if switches else "r2"))
    assert canary.does(activate.switch_to) if switches else canary.plans(activate.switch_to) == []
    assert not second.does(activate.switch_to, after=(canary.host.name,))
    assert second.record.reason.startswith("FakeConnector cannot"), "it was to switch, and is no real board"


def test_nobody_is_refused_for_a_canary_that_has_yet_to_switch(two: Any) -> None:
    canary, second = two(GOOD)
    (step,) = second.plans(activate.switch_to, after=(canary.host.name,))
    assert isinstance(step, TargetStep)


def test_a_canary_is_one_of_the_boards_that_can_be_reached() -> None:
    first = KnownHost(Snapshot(), "@fake/first", others=(SECOND, "@fake/third"))
    with first.turn():
        assert activate.canary_names(told(canary=1)) == ()
        first.state.active_hosts |= {first.state.inventory.get_host(name) for name in (SECOND, "@fake/third")}
        assert activate.canary_names(told(canary=1)) == (SECOND,)
        assert activate.canary_names(told(canary=0)) == ()


@pytest.mark.parametrize(
    ("status", "asked"),
    [
        ({}, []),
        ({"current": "r1"}, ["switch r2"]),
        ({"tried": True}, ["switch r2"]),
        ({"linked": False}, ["switch r2"]),
        ({"active": False}, ["switch r2"]),
        ({"fresh": False}, ["switch r2"]),
        ({"waiting": True, "active": False, "fresh": False}, []),
        ({"strays": ("/usr/lib/boardllama/releases/r0",)}, ["prune"]),
    ],
    ids=str,
)
def test_a_target_is_asked_to_switch_unless_just_this_release_serves(
    program_of: Any, lock_here: Lock, status: dict[str, Any], asked: list[str]
) -> None:
    release = program_of(GOOD)
    host = prepared(KnownHost(Snapshot()), release, serving("r2", **status))
    if asked:
        assert host.does(activate.switch_to)
        assert release.asked() == asked
    else:
        assert host.plans(activate.switch_to) == []


def test_a_tree_in_which_nothing_runs_gets_the_release_without_a_trial(program_of: Any, lock_here: Lock) -> None:
    release, tree = program_of(GOOD), BoardInfo(machine="aarch64", systemd=False)
    host = prepared(KnownHost(Snapshot(), others=(SECOND,)), release, serving("r1", board=tree, active=False))
    assert host.does(activate.switch_to)
    assert release.asked() == ["commit r2"]
    second = prepared(KnownHost(Snapshot(), SECOND, beside=host), release, serving("r1"))
    second.does(activate.switch_to, after=(host.host.name,))
    assert second.record.verdict != "refused", "as a canary it has passed"
    prepared(host, release, serving("r2", board=tree, active=False, fresh=False))
    assert host.plans(activate.switch_to) == []


def test_a_board_that_waits_for_its_operators_model_is_good_and_says_so(program_of: Any, lock_here: Lock) -> None:
    release = program_of({"release": "r2", "lines": [], "outcome": "WAITING", "reason": ""})
    host = prepared(KnownHost(Snapshot()), release, serving("r1"))
    assert host.does(activate.switch_to)
    assert (host.record.after, host.record.verdict) == ("r2", "waiting for a model")


def test_a_switch_that_ends_well_is_in_the_table_with_its_speed(program_of: Any, lock_here: Lock) -> None:
    host = prepared(KnownHost(Snapshot()), program_of(GOOD), serving("r1"))
    assert host.does(activate.switch_to)
    assert (host.record.before, host.record.after, host.record.tokens_per_second) == ("r1", "r2", 9.5)
    assert host.record.verdict == ""


@pytest.mark.parametrize(
    ("to", "status", "goes"),
    [
        ("r1", {}, False),
        ("r2", {}, True),
        ("", {}, True),
        ("r1", {"linked": False}, True),
        ("r1", {"active": False}, True),
        ("r1", {"fresh": False}, True),
        ("r1", {"tried": True}, True),
    ],
)
def test_going_back_changes_nothing_only_where_the_named_release_runs(
    to: str, status: dict[str, Any], goes: bool
) -> None:
    steps = KnownHost(serving("r1", **status)).plans(activate.go_back, to)
    assert bool(steps) == goes


def test_going_back_asks_the_release_that_runs_for_the_one_that_is_named(
    program_of: Any, lock_here: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is typed is one word of a shell."""
    release = program_of(GOOD)
    monkeypatch.setattr(activate, "PROGRAM", str(release.program))
    host = KnownHost(serving("r2"))
    assert host.does(activate.go_back, "r1; echo $HOME")
    assert release.asked() == ["begin-rollback r1; echo $HOME"]


@pytest.mark.parametrize(("to", "name"), [("", "Go back to the release before"), ("r1", "Go to release r1")])
def test_a_rollback_says_where_it_goes(to: str, name: str) -> None:
    host = KnownHost(serving("r2"))
    with host.turn():
        activate.rollback(to)
    assert [one.names for one in host.state.op_meta.values()] == [{name}]
    assert host.record.prepared


def test_the_releases_of_each_target_are_lines_of_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(activate, "PROGRAM", str(tmp_path / "boardllama"))
    host = KnownHost(serving("r2"))
    with host.turn():
        activate.releases()
    assert capsys.readouterr().out == "@local  has no release yet\n"
    rows = [{"id": "r2", "state": "current"}, {"id": "r1", "state": "previous"}]
    program(tmp_path / "boardllama", f"test \"$*\" = 'releases --json' && echo '{json.dumps(rows)}'")
    other = KnownHost(serving("r2"))
    with other.turn():
        activate.releases()
    assert capsys.readouterr().out.splitlines() == [
        "host    id  state", "@local  r2  current", "@local  r1  previous",
    ]  # fmt: skip
