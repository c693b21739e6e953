"""A target in a folder: everything of deploy/onboard that is not systemd's, run for real."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from deploy.onboard.places import PLACES, PROGRAMS
from deploy.onboard.release import pruning, switch
from deploy.onboard.release.releases import Release, current_release
from deploy.onboard.server import launch
from deploy.onboard.server.config import with_defaults
from deploy.onboard.server.health import Unhealthy
from deploy.onboard.service import OLLAMA, Service
from tests.services import paths_below

__all__ = ["Target", "argument", "command", "config", "consistent", "models", "operators", "target"]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A models folder with one GGUF file."""
    folder = tmp_path / "models with space"
    folder.mkdir()
    (folder / "only one.gguf").write_bytes(b"GGUF....")
    return folder


def config(models: Path, **sections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A complete configuration that serves from `models`."""
    return with_defaults({"models": {"path": str(models)}} | sections, OLLAMA)


def operators(service: Service = OLLAMA) -> Release:
    """A release whose model the operator brings."""
    release = Release(Path("/nonexistent"))
    release.__dict__.update(manifest={}, served={service: {"model": None}})
    return release


def command(wanted: dict[str, dict[str, Any]], service: Service = OLLAMA) -> list[str]:
    """The argument vector, for a release whose model the operator brings."""
    return launch.server_command(wanted, operators(service), service)


def argument(command: list[str], flag: str) -> str:
    """The value that follows `flag`."""
    return command[command.index(flag) + 1]


class Target:
    """Its root is `root`. `bad` names releases that the gate does not let pass, `fatal` is a word of config.json with
    which none does; `judged` those that were tried.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.places, self.service = paths_below(root, PLACES), paths_below(root, OLLAMA)
        self.bad: set[str] = set()
        self.fatal = "\0"
        self.judged: list[str] = []
        for name in ("usr/bin", "usr/lib/systemd/system", "run/systemd/system", "var/lib/ollama/models", "etc"):
            (root / name).mkdir(parents=True)

    @property
    def trial(self) -> Path:
        """Where the unit of a release under trial stands."""
        return self.service.trial_unit(self.places)

    @property
    def public_unit(self) -> Path:
        """The unit's public name."""
        return self.service.public_unit(self.places)

    def release(self, name: str) -> Release:
        """The release of that id."""
        return Release(self.places.releases / name, self.places)

    def add(
        self,
        name: str,
        model: str | None = "m.gguf",
        content: bytes = b"GGUF",
        keep: int = 2,
        server: bytes | None = None,
        services: tuple[Service, ...] = (),
    ) -> Release:
        """Prepares a release as a deploy does. Its programs hold its name, but for a `server` that can be run."""
        folder = self.places.releases / name
        folder.mkdir(parents=True)
        programs = {one: name.encode() for one in PROGRAMS} | ({"llama-server": server} if server else {})
        build = self.store(self.places.builds / f"build-{name}", programs)
        for one in PROGRAMS:
            (folder / one).symlink_to(build / one)
        (folder / "boardllama").write_text(f"programs of {name}")
        entries = [self.serve(folder, service, model, content) for service in services or (self.service,)]
        (folder / "manifest.json").write_text(json.dumps(self.manifest(name, folder, entries, keep)))
        return self.release(name)

    def serve(self, folder: Path, service: Service, model: str | None, content: bytes) -> dict[str, Any]:
        """Puts a service into a release. Returns its entry of the manifest."""
        own = folder / service.folder
        own.mkdir(exist_ok=True)
        if model:
            store = service.model_store / hashlib.sha256(content).hexdigest()[:16]
            (own / model).symlink_to(self.store(store, {model: content}) / model)
        models = {"path": str(service.models), "default_model": model}
        (own / "config.json").write_text(json.dumps({"models": models}))
        (own / service.unit).write_text(f"# {folder.name}\nExecStart={self.places.current}/boardllama launch\n")
        return {
            "service": TypeAdapter(Service).dump_python(service, mode="json"),
            "model": {"name": model, "sha256": hashlib.sha256(content).hexdigest()} if model else None,
        }

    def add_model_file(self, release: Release, name: str, kind: str, content: bytes) -> Release:
        """The release with one more file of its model."""
        hashed = hashlib.sha256(content).hexdigest()
        store = self.store(self.service.model_store / hashed[:16], {name: content})
        (release.folder / name).symlink_to(store / name)
        model = release.manifest["services"][0]["model"]
        first = {key: model[key] for key in ("name", "sha256")}
        files = model.get("files", [{**first, "kind": "weights"}])
        model["files"] = [*files, {"name": name, "sha256": hashed, "size": len(content), "kind": kind}]
        (release.folder / "manifest.json").write_text(json.dumps(release.manifest))
        return self.release(release.id)

    def manifest(self, name: str, folder: Path, services: list[dict[str, Any]], keep: int) -> dict[str, Any]:
        """As deploy/hosts/release_manifest.py has it."""
        hashes = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()
        }
        return {
            "version": 2,
            "created": "2026-01-01T00:00:00+00:00",
            "build": {"name": f"build-{name}", "files": {one: {"sha256": hashes[one]} for one in PROGRAMS}},
            "services": services,
            "programs": {"boardllama": hashes["boardllama"]},
            "policy": {"min_tokens_per_second": 0, "releases_kept": keep},
        }

    def store(self, folder: Path, files: dict[str, bytes]) -> Path:
        """Puts files into a folder of a store."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o755)
        return folder

    def served(self, service: Service | None = None) -> Release:
        """What systemd would start now: it reads the unit of /run before the one of /usr/lib."""
        service = service or self.service
        trial, public = service.trial_unit(self.places), service.public_unit(self.places)
        unit = (trial if trial.exists() else public).read_text()
        return self.release(Path(unit.split("ExecStart=")[1].split("/boardllama ")[0]).resolve().name)

    def judge(self, release: Release, _say: object) -> None:
        """Stands for the gate, which needs systemd: it must be asked about the release that would be started."""
        self.judged.append(release.id)
        assert all(self.served(service) == release for service in release.services)
        texts = [release.config(service).read_text() for service in release.services]
        if release.id in self.bad or any(self.fatal in text for text in texts):
            raise Unhealthy("it answers 503")


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """A target without any release."""
    made = Target(tmp_path)
    monkeypatch.setattr(switch, "check_release", lambda release: None)
    monkeypatch.setattr(switch, "judge_release", made.judge)
    monkeypatch.setattr(switch, "run_systemctl", lambda *words: None)
    monkeypatch.setattr(switch, "last_words", lambda service, count: ["its last line"])
    return made


def consistent(target: Target) -> str:
    """The release that all public names lead to; fails when they lead to two."""
    release = current_release(target.places)
    assert release
    for path in release.public_names():
        assert path.resolve().exists(), path
        inside = path.resolve().is_relative_to(release.folder)
        stored = path.resolve().parent in pruning.stored_folders(release)
        assert inside or stored, path
    assert all(target.served(service) == release for service in release.services)
    return str(release.id)
