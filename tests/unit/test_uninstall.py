"""`boardllama uninstall`: when it is refused, what it asks, and what else of the machine it touches."""

import fcntl
import json
import subprocess
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from deploy.fleet.gateway.acme import CERTBOT_DROP_IN
from deploy.fleet.gateway.certbot_files import RENEWAL
from deploy.fleet.gateway.gateway_stage import DROP_IN, KEEPER
from deploy.fleet.gateway.shared_address import CONF
from deploy.fleet.monitor.monitor_places import FOLDER, PAGE, PROGRAMS
from deploy.fleet.monitor.story import UNIT_FILES
from deploy.hosts import packages
from deploy.hosts.facts.target import record_path
from deploy.onboard.gateway.gateway_places import GATEWAY_PLACES, SHARED_LOADED
from deploy.onboard.places import PLACES
from deploy.onboard.release import lease
from deploy.onboard.removal import traces
from deploy.onboard.removal.ours import Ours
from deploy.onboard.removal.uninstall import run_uninstall
from deploy.onboard.service import OLLAMA, broker_service, service_beside
from tests.unit.known_host import program
from tests.unit.onboard import target
from tests.unit.removing import Removed, in_tar, removed
from tests.unit.systemd import Systemd, systemd

__all__ = ["removed", "systemd", "target"]

Said = pytest.CaptureFixture[str]


def hold_lock(removed: Removed, _systemd: Systemd) -> Callable[[], None]:
    lease.LOCK.parent.mkdir(exist_ok=True)
    held = lease.LOCK.open("a+")
    fcntl.flock(held, fcntl.LOCK_EX)
    print("ann@laptop, process 1", file=held, flush=True)
    return held.close


def switching(_removed: Removed, systemd: Systemd) -> Callable[[], None]:
    systemd.switches()
    return lambda: None


@pytest.mark.parametrize(
    ("begin", "words", "reason"),
    [
        (hold_lock, ["--yes", "--models"], "ann@laptop, process 1 is at work here: wait for it"),
        (switching, ["--yes", "--models"], "a switch is under way here: wait for it"),
        (None, ["--yes"], "say --models to remove the models, too, or --keep-models to leave them"),
        (None, ["--models"], "nobody is here to answer: say --yes"),
    ],
)
def test_it_is_refused_and_nothing_changes(
    removed: Removed, systemd: Systemd, capsys: Said, begin: Any, words: list[str], reason: str
) -> None:
    removed.deploy()
    before = removed.listing()
    end = begin(removed, systemd) if begin else lambda: None
    assert run_uninstall(words, removed.places) == 1
    end()
    assert capsys.readouterr().err == f"boardllama: {reason}\n"
    assert removed.listing() == before and removed.kept() == []


@pytest.mark.parametrize(("answers", "gone"), [("y y", True), ("n y", False), ("y n", None)])
def test_on_a_terminal_it_asks(
    removed: Removed, monkeypatch: pytest.MonkeyPatch, answers: str, gone: bool | None
) -> None:
    removed.deploy()
    given = iter(answers.split())
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _question: next(given))
    before = removed.listing()
    assert run_uninstall([], removed.places) == (1 if gone is None else 0)
    if gone is None:
        assert removed.listing() == before
    else:
        assert removed.target.service.model_store.exists() != gone


def test_what_was_set_for_speed_is_put_back(removed: Removed) -> None:
    removed.deploy()
    pages = removed.put(removed.root / "sys/pages", "always")
    told = {"values": {str(pages): "madvise"}, "units": [], "swaps": []}
    removed.put(removed.root / "run/boardllama/system.json", json.dumps(told))
    assert removed.uninstall() == 0
    assert pages.read_text() == "madvise"


def test_an_account_that_no_deploy_made_stays(removed: Removed, capsys: Said) -> None:
    removed.deploy()
    theirs = "ollama:x:998:998::/usr/share/ollama:/bin/false\n"
    removed.put(removed.root / "etc/passwd", theirs)
    assert removed.uninstall() == 0
    assert (removed.root / "etc/passwd").read_text() == theirs
    assert "the account ollama: a deploy has not made it" in capsys.readouterr().out


@pytest.mark.parametrize(("needed", "left"), [("", []), (" theirs", ["exporter: theirs"])])
def test_packages_of_a_deploy_go_unless_others_need_them(
    removed: Removed, capsys: Said, needed: str, left: list[str]
) -> None:
    removed.deploy()
    removed.put(removed.root / "packages", f"curl:\nexporter:{needed}\n")
    removed.put(removed.places.packages, "exporter\ncurl\ngone\n")
    assert removed.uninstall() == 0
    assert (removed.root / "packages").read_text().splitlines() == ["curl:", *left]
    said = capsys.readouterr().out
    assert "curl: a deploy installed it" in said and ("exporter: theirs needs" in said) == bool(needed)


def test_what_a_package_s_programs_made_goes_with_the_package(removed: Removed) -> None:
    """And stays with one that was there before."""
    removed.deploy()
    for path in traces.REMAINS.values():
        removed.put(removed.root / path.lstrip("/") / "made", "while it ran\n")
    removed.put(removed.root / "packages", "haproxy:\ncertbot:\nkeepalived:\n")
    removed.put(removed.places.packages, "haproxy\nkeepalived\n")
    assert removed.uninstall() == 0
    there = {path for path in traces.REMAINS.values() if (removed.root / path.lstrip("/")).exists()}
    assert there == {traces.REMAINS["certbot"]} and not (removed.root / "etc/iproute2").exists()


def test_a_companion_is_switched_off_before_it_would_listen_to_everyone(
    removed: Removed, systemd: Systemd, capsys: Said
) -> None:
    removed.deploy()
    removed.put(removed.places.exporter, "[Service]\n")
    assert removed.uninstall() == 0
    unit = "prometheus-node-exporter.service"
    assert [words for words in systemd.asked if unit in words and "is-active" not in words] == [
        f"stop {unit}", f"disable -q {unit}",
    ]  # fmt: skip
    assert "the package prometheus-node-exporter, switched off" in capsys.readouterr().out
    assert not removed.places.exporter.parent.exists()


# What an image or boardllama.txt has made: the board's own.
OF_THE_BOARD = "network network_before wifi manager_cable manager_wifi regulatory netplan account sudoers".split()


def test_no_place_of_ours_is_forgotten(removed: Removed) -> None:
    """A place that a later deploy brings is removed, too, or is said here to be the board's own."""
    removed.deploy("r1")
    places = [(one.name, getattr(where, one.name)) for where in (PLACES, GATEWAY_PLACES) for one in fields(where)]
    ours = [(name, path) for name, path in places if "boardllama" in str(path) and name not in OF_THE_BOARD]
    for name, path in ours:
        here = removed.root / path.relative_to("/")
        if name.endswith("_enabled") and not here.is_symlink():
            here.parent.mkdir(parents=True, exist_ok=True)
            here.symlink_to(removed.places.units / here.name)
        elif not here.exists():
            removed.put(here / "brought" if not path.suffix else here, "ours\n")
    assert removed.uninstall() == 0
    assert removed.listing() == removed.before
    left = [path for _, path in ours if (removed.root / path.relative_to("/")).exists()]
    assert [path for path in left if Path("/run") not in path.parents] == [], "a boot empties /run"


def test_the_places_of_other_roles_are_theirs() -> None:
    assert str(GATEWAY_PLACES.config) == traces.GATEWAY and traces.MONITOR == FOLDER
    assert {str(GATEWAY_PLACES.programs), str(GATEWAY_PLACES.runtime), PROGRAMS, PAGE} <= {*traces.FOLDERS}
    told = {path for one in traces.COMPANIONS for path in one.told}
    drop_ins = {f"{traces.SYSTEM_UNITS}/{name}" for name in UNIT_FILES if ".d/" in name}
    assert CERTBOT_DROP_IN == traces.CERTBOT
    assert {str(GATEWAY_PLACES.lineage), RENEWAL} <= {*traces.CERTBOT_FILES}
    assert told == {DROP_IN, SHARED_LOADED, CONF, str(PLACES.exporter), *drop_ins}
    assert all(traces.UNIT.fullmatch(name) for name in (KEEPER, *UNIT_FILES) if ".d/" not in name)
    services = (OLLAMA, service_beside("a", "chat", 1), broker_service("front", 2), broker_service("ollama", 3))
    assert all(traces.UNIT.fullmatch(service.unit) for service in services)
    assert Ours(PLACES).record(Path("/a/b")) == Path(record_path("/a/b"))
    assert Ours(PLACES).board.models == OLLAMA.models


def test_a_deploy_notes_the_packages_that_it_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By dpkg's list before and after; what apt brings along is noted, too, and a command that fails notes nothing."""
    monkeypatch.setattr(packages, "PLACES", replace(PLACES, packages=tmp_path / "state/packages"))
    program(tmp_path / "dpkg-query", f"cat {tmp_path}/there")
    (tmp_path / "there").write_text("bash\ncurl\n")
    install = f"printf 'bash\\nlib.c\\ncurl\\nhaproxy\\n' >{tmp_path}/there"
    for command in (f"({install}; false)", "true", install, "true"):
        (tmp_path / "there").write_text("bash\ncurl\n") if command == install else None
        run = f"PATH={tmp_path}:$PATH; set -e; {packages.noting(command)}"
        assert (subprocess.run(["sh", "-c", run], check=False).returncode == 0) == ("false" not in command)
    assert (tmp_path / "state/packages").read_text() == "haproxy\nlib.c\n"


def test_a_gateway_and_a_monitor_give_up_what_they_were_told(removed: Removed, systemd: Systemd) -> None:
    units = removed.places.enabled
    for one in traces.COMPANIONS:
        for path in one.told:
            removed.put(removed.root / path.lstrip("/"), "ours\n")
    for name in ("boardllama-keeper.service", "boardllama-fleet-page.timer", "boardllama-fleet-page.service"):
        removed.put(units / name, "[Service]\n")
    for folder in traces.FOLDERS:
        removed.put(removed.root / folder.lstrip("/") / "keys/board", "sk-1\n")
    for pattern in traces.CERTBOT_FILES:
        removed.put(removed.root / pattern.lstrip("/").replace("[0-9]", "0"), "certbot's\n")
    config = removed.put(removed.root / traces.GATEWAY.lstrip("/") / "haproxy.cfg", "edited\n")
    removed.put(Ours(removed.places).record(config), "deployed\n")
    assert removed.uninstall("--yes") == 0
    assert removed.listing() == removed.before
    assert in_tar(removed.kept()[0]) == {str(config.relative_to(removed.root)): "edited\n"}
    assert {f"stop {one.unit}" for one in traces.COMPANIONS} <= {*systemd.asked}
    assert not any(removed.root.glob("etc/systemd/system/*.d"))
