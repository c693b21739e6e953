"""A switch between releases of one service and of several that is cut, or meets a damaged manifest or a full disk."""

import errno
import json
from pathlib import Path

import pytest

from deploy.onboard.files import replace_link
from deploy.onboard.release import gate, pruning, switch
from deploy.onboard.release.public_names import has_its_names
from deploy.onboard.release.releases import DamagedManifest
from deploy.onboard.release.verdict import Outcome
from deploy.onboard.server import launch
from deploy.onboard.service import Service
from tests.unit.llama_server import Ports, ports
from tests.unit.onboard import Target, target
from tests.unit.systemd import Systemd, systemd
from tests.unit.test_services import both, second

__all__ = ["ports", "second", "systemd", "target"]


def test_an_operators_link_in_the_place_of_a_models_name_stays(target: Target, tmp_path: Path) -> None:
    """Of the release before, which had a model of that name."""
    switch.perform_switch(target.add("r1", model="old.gguf"))
    mine = target.service.models / "old.gguf"
    mine.unlink()
    (tmp_path / "other disk.gguf").write_bytes(b"GGUF")
    mine.symlink_to(tmp_path / "other disk.gguf")
    assert switch.perform_switch(target.add("r2", model="new.gguf", content=b"GGUF new")) is Outcome.COMMITTED
    assert mine.read_bytes() == b"GGUF"


@pytest.mark.parametrize("damage", ["{", None])
def test_a_damaged_manifest_of_the_release_before_keeps_nothing_from_being_tidied_up(
    target: Target, systemd: Systemd, monkeypatch: pytest.MonkeyPatch, damage: str | None
) -> None:
    monkeypatch.setattr(switch, "run_systemctl", gate.run_systemctl)
    switch.perform_switch(target.add("r1", keep=1))
    manifest = target.places.releases / "r1" / "manifest.json"
    manifest.unlink() if damage is None else manifest.write_text(damage)
    assert switch.perform_switch(target.add("r2", keep=1)) is Outcome.COMMITTED
    assert systemd.asked[-1] == "daemon-reload"
    assert not (target.places.releases / "r1").exists()


def test_a_release_with_a_damaged_manifest_runs_again_when_another_one_is_not_good(
    target: Target, ports: Ports, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is good nobody can tell any more, and that is said with the file."""
    monkeypatch.setattr(gate, "SERVICES", (target.service,))
    release = target.add("r1")
    (release.folder / "config.json").write_text(json.dumps({"server": {"port": ports("well")}}))
    target.trial.write_text(release.trial_text(target.service))
    (release.folder / "manifest.json").write_text("{")
    with pytest.raises(DamagedManifest, match=r"r1/manifest\.json is damaged .*: deploy again"):
        gate.judge_release(target.release("r1"), print)
    assert f"restart {target.service.unit}" in systemd.asked


def test_the_launcher_says_in_a_line_that_the_manifest_is_damaged(
    target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release = target.add("r1")
    (release.folder / "manifest.json").write_text("{")
    monkeypatch.setattr(launch, "own_release", lambda: target.release("r1"))
    assert launch.run_launcher() == launch.EX_CONFIG
    said = capsys.readouterr().err
    assert f"{release.folder}/manifest.json is damaged" in said and said.count("\n") == 1


def test_the_units_of_a_switch_that_was_stopped_go_with_the_next_one(
    target: Target, second: Service, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "run_systemctl", gate.run_systemctl)
    switch.perform_switch(target.add("r1"))
    stopped = both(target, second, "r2")
    second.trial_unit(target.places).write_text(stopped.trial_text(second))
    assert switch.perform_switch(target.release("r1")) is Outcome.SERVING
    assert not stopped.is_tried and f"stop {second.unit}" in systemd.asked


def test_a_service_that_waits_for_its_model_keeps_no_other_from_being_judged(target: Target, second: Service) -> None:
    switch.perform_switch(target.add("r1"))
    release = both(target, second, "r2")
    release.manifest["services"][1]["model"] = None
    (release.folder / "manifest.json").write_text(json.dumps(release.manifest))
    (second.models / "n.gguf").unlink(missing_ok=True)
    target.bad = {"r2"}
    assert launch.ready_services(target.release("r2")) == [target.service]
    assert switch.perform_switch(target.release("r2")) is Outcome.BACK
    assert target.judged[-2:] == ["r2", "r1"]


def test_a_full_disk_at_the_commit_leaves_no_name_of_the_second_service(
    target: Target, second: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch.perform_switch(target.add("r1"))

    def full(path: Path, to: Path) -> None:
        if path == target.places.current:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace_link(path, to)

    monkeypatch.setattr(switch, "replace_link", full)
    assert switch.perform_switch(both(target, second, "r2")) is Outcome.BACK
    names = (second.config, second.public_unit(target.places), second.enabled(target.places))
    assert not [path for path in names if path.is_symlink()]


def test_a_cut_right_after_the_commit_leaves_no_name_for_good(
    target: Target, second: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next deploy asks for the switch again, which finishes it: names of another release are left."""
    switch.perform_switch(both(target, second, "r1"))
    monkeypatch.setattr(switch, "tidy_up", lambda release: None)
    switch.perform_switch(target.add("r2"))
    assert not has_its_names(target.release("r2"))
    assert switch.perform_switch(target.release("r2")) is Outcome.SERVING
    assert not second.enabled(target.places).is_symlink()
    assert has_its_names(target.release("r2"))


def test_a_cut_of_the_pruning_loses_no_model_of_the_second_service(target: Target, second: Service) -> None:
    """What goes first is what only a release knows of."""
    switch.perform_switch(both(target, second, "r1"))
    for name in ("r2", "r3"):
        switch.commit_release(target.add(name, keep=1))
    strays = pruning.find_strays(target.places, 1)
    assert strays.index(second.model_store / "of-its-own") < strays.index(target.places.releases / "r1")
