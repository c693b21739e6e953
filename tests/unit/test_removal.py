"""`boardllama uninstall`: the machine is as before the first deploy, wherever it was cut, and what is whose stays."""

import itertools
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.onboard.removal import removal
from deploy.onboard.removal.ours import Ours
from deploy.onboard.service import OLLAMA, broker_service, service_beside
from tests.unit.onboard import target
from tests.unit.removing import Removed, in_tar, removed
from tests.unit.systemd import systemd
from tests.unit.test_switch_cuts import PowerCut, boots, cut_at

__all__ = ["removed", "systemd", "target"]

Said = pytest.CaptureFixture[str]


def edit(removed: Removed) -> dict[str, str]:
    """What an operator does: an edited config, a drop-in, a file of their own. By the names that the tar has."""
    config, drop_in = removed.target.service.config, removed.places.enabled / f"{OLLAMA.unit}.d/mine.conf"
    edited = {config: '{"models": {"default_threads": 3}}', drop_in: "[Service]\nNice=5\n"}
    edited[config.with_name("notes.txt")] = "mine"
    for path, text in edited.items():
        path.unlink(missing_ok=True)  # many editors put a new file in the place of a link
        removed.put(path, text)
    return {str(path.relative_to(removed.root)): text for path, text in edited.items()}


def test_the_machine_is_as_before_the_first_deploy(removed: Removed, capsys: Said) -> None:
    removed.deploy()
    assert removed.uninstall() == 0
    assert removed.listing() == removed.before
    assert removed.kept() == []
    assert not (removed.root / "run/boardllama").exists()
    said = capsys.readouterr().out
    assert "2 releases" in said and said.splitlines()[-1] == "boardllama is removed"


def serve_otherwise(removed: Removed) -> dict[str, str]:
    """Another server has our names, and starts at boot. Returns what the machine has then."""
    unit = removed.put(removed.target.public_unit, "[Service]\nExecStart=/opt/server\n")
    removed.put(removed.target.service.config, '{"models": {"default_model": null}}')
    wanted = removed.target.service.enabled(removed.places)
    wanted.parent.mkdir(parents=True)
    wanted.symlink_to(unit)
    return removed.listing()


def test_what_stood_at_our_names_before_is_back(removed: Removed) -> None:
    before = serve_otherwise(removed)
    removed.deploy("r1")
    assert removed.target.public_unit.is_symlink() and removed.target.service.config.is_symlink()
    assert removed.uninstall() == 0
    assert removed.listing() == before


def test_what_was_edited_is_named_and_kept_for_root_alone(removed: Removed, capsys: Said) -> None:
    removed.deploy()
    edited = edit(removed)
    removed.put(removed.places.tmpfiles, "edited\n")
    edited[str(removed.places.tmpfiles.relative_to(removed.root))] = "edited\n"
    assert removed.uninstall() == 0
    (kept,) = removed.kept()
    assert in_tar(kept) == edited
    assert kept.stat().st_mode & 0o777 == 0o600
    said = capsys.readouterr().out
    assert all(name in said for name in (*edited, str(kept)))
    assert removed.listing() == removed.before


def test_an_edit_that_became_part_of_the_release_is_kept(removed: Removed) -> None:
    removed.deploy("r1")
    own = removed.target.release("r1").folder
    removed.put(own / "pristine/config.json", (own / "config.json").read_text())
    removed.put(own / "config.json", '{"inference": {"top_k": 7}}')
    assert removed.uninstall() == 0
    assert in_tar(removed.kept()[0]) == {"etc/ollama-cpp/config.json": '{"inference": {"top_k": 7}}'}


STOPPED = subprocess.CompletedProcess[str]([], 3, "", "")


def is_cut(removed: Removed, step: int, *words: str) -> bool:
    """Runs the command; the power goes before the `step`-th change of the disk, if it makes so many."""
    with pytest.MonkeyPatch.context() as patch:
        counted = cut_at(step, patch)
        for module, name in ((Path, "rmdir"), (shutil, "rmtree"), (removal, "run_command")):
            patch.setattr(module, name, counted(getattr(module, name)))
        try:
            assert removed.uninstall(*words) == 0
            return False
        except PowerCut:
            boots(removed.target)
            return True


@pytest.mark.parametrize("models", ["--models", "--keep-models"])
def test_after_a_cut_at_any_step_the_same_command_goes_on(
    removed: Removed, models: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = serve_otherwise(removed)
    removed.deploy("r1")
    edited = edit(removed)
    monkeypatch.setattr(removal, "end_of", lambda *words, **named: STOPPED)  # systemctl, some hundred times
    deployed = tmp_path_factory.mktemp("deployed") / "root"
    shutil.copytree(removed.root, deployed, symlinks=True)
    for step in itertools.count():
        was_cut = is_cut(removed, step, "--yes", models)
        if was_cut:
            assert removed.uninstall("--yes", models) == 0
        left = removed.listing()
        model = {name for name in left if name.startswith("var/lib/ollama/models/")}
        assert bool(model) == (models == "--keep-models"), step
        assert {name: text for name, text in left.items() if name not in model} == before, step
        assert any(edited.items() <= in_tar(path).items() for path in removed.kept()), step
        if not was_cut:
            break
        shutil.rmtree(removed.root)
        shutil.copytree(deployed, removed.root, symlinks=True)
    assert step > 30


def test_the_last_step_goes_on_by_itself_when_its_programs_are_gone(removed: Removed) -> None:
    removed.put(removed.target.service.config, "before")
    before = removed.listing()
    removed.deploy("r1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(removal, "run_last_step", lambda script: None)
        assert removed.uninstall() == 0
    shutil.rmtree(removed.target.release("r1").folder / ".." / "r1")
    assert removed.uninstall("--yes") == 0
    assert removed.listing() == before


@pytest.mark.parametrize("damage", ["{", None])
def test_a_damaged_release_is_removed_like_another(removed: Removed, damage: str | None) -> None:
    removed.deploy()
    for name in ("r1", "r2"):
        manifest = removed.target.release(name).folder / "manifest.json"
        manifest.write_text(damage) if damage else shutil.rmtree(manifest.parent)
    assert removed.uninstall() == 0
    assert removed.listing() == removed.before


def test_every_service_that_a_release_had_goes(removed: Removed) -> None:
    beside = (service_beside("second", "embed", 11500), broker_service("front", 11501))
    for service in beside:
        name = service.unit
        target = removed.places.current / service.folder / name
        (removed.places.units / name).symlink_to(target)
        wanted = removed.places.enabled / "multi-user.target.wants" / name
        wanted.parent.mkdir(parents=True, exist_ok=True)
        wanted.symlink_to(removed.places.units / name)
    assert {path.name for path in Ours(removed.places).unit_files()} == {service.unit for service in beside}
    assert removed.uninstall() == 0
    assert removed.listing() == removed.before


def test_models_that_are_kept_have_names_without_a_release(removed: Removed) -> None:
    removed.deploy()
    assert removed.uninstall("--yes", "--keep-models") == 0
    model = removed.target.service.models / "m.gguf"
    assert model.read_bytes() == b"GGUF" and model.resolve().is_relative_to(removed.target.service.model_store)
    removed.deploy("r3")
    assert removed.uninstall() == 0
    assert removed.listing() == removed.before


def test_an_operators_own_model_and_large_file_stay_and_are_named(
    removed: Removed, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed.deploy()
    own = removed.put(removed.target.service.models / "own.gguf", "GGUF own")
    large = removed.put(removed.target.service.state / "dump", "larger")
    monkeypatch.setattr("deploy.onboard.removal.ours.KEPT_BYTES", 3)
    assert removed.uninstall() == 0
    assert (own.read_text(), large.read_text()) == ("GGUF own", "larger")
    said = capsys.readouterr().out
    assert str(own) in said and str(large) in said


def test_a_folder_on_another_disk_is_emptied_there(removed: Removed, tmp_path: Path) -> None:
    other = tmp_path / "disk"
    other.mkdir()
    (other / "holiday.jpg").write_text("own")
    models = removed.target.service.models
    models.rmdir()
    models.symlink_to(other)
    removed.deploy()
    assert removed.uninstall() == 0
    assert [path.name for path in other.iterdir()] == ["holiday.jpg"]
