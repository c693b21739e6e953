"""`boardllama` on the target: what its verbs say, and the status that they end with."""

import fcntl
import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from deploy.onboard import cli
from deploy.onboard.release import board_lock, lease, switch
from deploy.onboard.release.releases import Release
from deploy.onboard.server import launch
from deploy.vm.ports import free_ports
from tests.unit.onboard import Target, consistent, target
from tests.unit.systemd import Systemd, systemd

__all__ = ["systemd", "target"]

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(target: Target, systemd: Systemd, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a verb: its exit status, what it says, and its errors. `own`: the release whose program it is."""
    for module in (board_lock, lease):
        monkeypatch.setattr(module, "LOCK", target.root / "run/locks/lock")
    target.places.verdict.parent.mkdir()

    def run(*words: str, own: str = "r1") -> tuple[int, str, str]:
        monkeypatch.setattr(cli, "own_release", lambda _places: target.release(own))
        capsys.readouterr()
        status = cli.main(list(words), target.places)
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def status(say: Say) -> Callable[..., dict[str, Any]]:
    """What a deploy is told."""
    return lambda **own: dict(json.loads(say("status", **own)[1]))


def serve(target: Target, name: str = "r1") -> Release:
    """A release that is committed, and from which the server was started; nothing answers at its port."""
    release = target.add(name)
    (port,) = free_ports(1)
    models = {"path": str(target.service.models)}
    (release.folder / "config.json").write_text(json.dumps({"server": {"port": port}, "models": models}))
    switch.perform_switch(release)
    target.service.started.write_text(f"127.0.0.1 {port}\nrelease {name}\n")
    return release


def test_a_deploy_is_told_what_serves(target: Target, status: Callable[..., dict[str, Any]]) -> None:
    serve(target)
    told = status()
    assert told.pop("health").startswith('{"state": "STARTING"')
    assert told == {
        "current": "r1", "tried": False, "active": True, "linked": True, "fresh": True, "waiting": False,
        "tokens_per_second": None, "strays": [],
    }  # fmt: skip


def test_a_deploy_is_told_what_is_not_as_it_should_be(
    target: Target, status: Callable[..., dict[str, Any]], systemd: Systemd
) -> None:
    serve(target)
    target.service.config.unlink()
    target.service.config.write_text(target.places.current.joinpath("config.json").read_text())
    assert not status()["linked"], "an operator's file has the place of a public name"
    target.trial.write_text(target.release("r1").trial_text(target.service))
    assert status()["tried"]
    systemd.is_in("failed")
    assert not status()["active"]


def test_a_release_that_is_prepared_is_no_stray_and_not_what_runs(
    target: Target, status: Callable[..., dict[str, Any]]
) -> None:
    serve(target)
    target.add("r2")
    rest = target.add("r3")
    told = status(own="r2")
    assert (told["current"], told["fresh"]) == ("r1", False)
    assert set(told["strays"]) == {str(rest.folder), str(target.places.builds / "build-r3")}


@pytest.mark.parametrize(("bad", "ends"), [(False, 0), (True, 1)])
def test_the_unit_of_a_switch_fails_with_it(target: Target, say: Say, bad: bool, ends: int) -> None:
    serve(target)
    target.add("r2")
    target.bad = {"r2"} if bad else set()
    assert say("perform", "r2")[0] == ends
    assert consistent(target) == ("r1" if bad else "r2")


def test_a_tree_is_committed_as_a_whole(target: Target, say: Say) -> None:
    """What stood in the place of a public name before is kept beside it."""
    target.public_unit.write_text("theirs")
    target.add("r1")
    assert say("commit", "r1")[0] == 0
    assert consistent(target) == "r1"


def test_going_back_begins_a_switch_to_the_release_before(target: Target, say: Say, systemd: Systemd) -> None:
    serve(target)
    ends, _, error = say("begin-rollback", "")
    assert (ends, error) == (
        1, "boardllama: there is no release before this one: `boardllama releases` lists what is here\n",
    )  # fmt: skip
    serve(target, "r2")
    assert say("begin-rollback", "")[0] == 0
    assert systemd.ran[-2:] == ["perform", "r1"]


def test_going_back_by_hand_waits_for_no_deploy_that_is_at_work(target: Target, say: Say, systemd: Systemd) -> None:
    serve(target)
    serve(target, "r2")
    lease.LOCK.parent.mkdir()
    with lease.LOCK.open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        print("ann@laptop, process 1", file=held, flush=True)
        assert say("rollback") == (1, "", "boardllama: ann@laptop, process 1 is at work here: wait for it\n")


def test_a_server_that_is_not_healthy_is_said_with_status_1_and_to_a_deploy_in_a_line(target: Target, say: Say) -> None:
    serve(target)
    ends, said, _ = say("health")
    assert ends == 1 and said.startswith("starting nothing answers")
    ends, said, _ = say("health", "--json")
    assert ends == 0 and json.loads(said)["state"] == "STARTING"


def test_the_key_is_shown_where_there_is_one(target: Target, say: Say) -> None:
    serve(target)
    assert say("key") == (1, "", f"boardllama: {target.service.api_key} holds none: the server asks for none\n")
    target.service.api_key.parent.mkdir(parents=True, exist_ok=True)
    target.service.api_key.write_text("# of the kitchen\nsk-1\n")
    assert say("key") == (0, "sk-1\n", "")


def test_releases_are_a_table_for_people_and_rows_for_programs(target: Target, say: Say) -> None:
    assert say("releases") == (0, "no release yet\n", "")
    serve(target)
    serve(target, "r2")
    rows = json.loads(say("releases", "--json")[1])
    assert [(row["id"], row["build"], row["state"]) for row in rows] == [
        ("r2", "build-r2", "current"), ("r1", "build-r1", "previous"),
    ]  # fmt: skip
    heading, first, _ = say("releases")[1].splitlines()
    assert heading.split() == ["id", "when", "build", "model", "state"]
    assert first.split() == ["r2", "2026-01-01T00:00:00+00:00", "build-r2", "m.gguf", "current"]


@pytest.mark.parametrize(("outcome", "ends", "last"), [("COMMITTED", 0, "committed"), ("BACK", 1, "taken back")])
def test_going_back_by_hand_goes_to_the_release_that_is_named_and_says_what_becomes_of_it(
    target: Target, say: Say, systemd: Systemd, monkeypatch: pytest.MonkeyPatch, outcome: str, ends: int, last: str
) -> None:
    """The switch itself is systemd's to start: its verdict is written here."""
    for name in ("r1", "r2"):
        serve(target, name)

    def begun(release: Release) -> None:
        words = {"outcome": outcome, "reason": "", "lines": [f"trying {release.id}"]}
        target.places.verdict.write_text(json.dumps(words))

    monkeypatch.setattr(cli, "begin_switch", begun)
    assert say("rollback", "r2") == (ends, f"trying r2\n{last}\n", "")
    assert lease.LOCK.read_text() == "boardllama rollback, on the board\n", "a deploy is told who is at work"


def test_what_a_service_would_run_can_be_pasted_into_a_shell(target: Target, say: Say) -> None:
    release = serve(target)
    ends, said, _ = say("command")
    words = shlex.split(said)
    assert ends == 0 and words[0] == str(target.places.public_bin / "llama-server")
    wanted = json.loads(release.config(target.service).read_text())
    assert words[words.index("--port") + 1] == str(wanted["server"]["port"])


def test_a_config_that_is_wrong_is_said_with_the_service_and_a_status_of_its_own(target: Target, say: Say) -> None:
    serve(target)
    assert say("check-config") == (0, "", "")
    target.service.config.write_text('{"server": {"prot": 1}}')
    ends, said, error = say("check-config")
    assert (ends, said) == (launch.EX_CONFIG, "")
    assert error.startswith(f"{target.service.name}: {target.service.config}: server.prot is unknown")


def test_what_nothing_needs_is_removed_and_named(target: Target, say: Say) -> None:
    serve(target)
    stray = target.add("r2")
    gone = [stray.folder, target.places.builds / "build-r2"]
    ends, said, _ = say("prune")
    assert (ends, set(said.splitlines())) == (0, {f"removed {path}" for path in gone})
    assert not any(path.exists() for path in gone)


def test_a_service_that_is_not_here_is_answered_with_those_that_are(target: Target, say: Say) -> None:
    serve(target)
    assert say("key", "--service", "none.service") == (
        1, "", f"boardllama: none.service is no service of this board: there are {target.service.name}\n",
    )  # fmt: skip
    assert say("health", "--service", target.service.name)[1].startswith("starting")


def test_a_deploy_begins_a_switch_to_its_release_and_goes_on(target: Target, say: Say, systemd: Systemd) -> None:
    serve(target)
    target.add("r2")
    assert say("switch", "r2") == (0, "", "")
    assert systemd.ran[-2:] == ["perform", "r2"]


def test_of_a_server_whose_config_is_wrong_a_deploy_is_told_no_health(
    target: Target, status: Callable[..., dict[str, Any]]
) -> None:
    release = serve(target)
    release.config(target.service).write_text("{")
    assert status()["health"] is None
