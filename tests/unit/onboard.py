"""A target in a folder: everything of deploy/onboard that is not systemd's, run for real."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from deploy.onboard import places
from deploy.onboard.release import releases, switch
from deploy.onboard.release.releases import Release, current
from deploy.onboard.server import launch
from deploy.onboard.server.config import with_defaults
from deploy.onboard.server.health import Unhealthy

__all__ = ["Target", "argument", "command", "config", "consistent", "models", "target"]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A models folder with one GGUF file."""
    folder = tmp_path / "models with space"
    folder.mkdir()
    (folder / "only one.gguf").write_bytes(b"GGUF....")
    return folder


def config(models: Path, **sections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A complete configuration that serves from `models`."""
    return with_defaults({"models": {"path": str(models)}} | sections)


def command(wanted: dict[str, dict[str, Any]]) -> list[str]:
    """The argument vector, for a release whose model the operator brings."""
    release = Release(Path("/nonexistent"))
    release.__dict__["manifest"] = {"model": None}
    return launch.command(wanted, release)


def argument(command: list[str], flag: str) -> str:
    """The value that follows `flag`."""
    return command[command.index(flag) + 1]


class Target:
    """Its root is `root`. `bad` names releases that the gate does not let pass, `fatal` is a word of config.json with
    which none does; `judged` those that were tried.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bad: set[str] = set()
        self.fatal = "\0"
        self.judged: list[str] = []
        for name in ("usr/bin", "usr/lib/systemd/system", "run/systemd/system", "var/lib/ollama/models", "etc"):
            (root / name).mkdir(parents=True)

    def add(
        self,
        name: str,
        model: str | None = "m.gguf",
        content: bytes = b"GGUF",
        keep: int = 2,
        server: bytes | None = None,
    ) -> Release:
        """Prepares a release as a deploy does. Its programs hold its name, but for a `server` that can be run."""
        folder = places.RELEASES / name
        folder.mkdir(parents=True)
        programs = {one: name.encode() for one in places.PROGRAMS} | ({"llama-server": server} if server else {})
        build = self.store(places.BUILDS / f"build-{name}", programs)
        links = {one: build / one for one in places.PROGRAMS}
        if model:
            store = places.MODEL_STORE / hashlib.sha256(content).hexdigest()[:16]
            links[model] = self.store(store, {model: content}) / model
        for one, place in links.items():
            (folder / one).symlink_to(place)
        models = {"path": str(places.MODELS), "default_model": model}
        (folder / "boardllama").write_text(f"programs of {name}")
        (folder / "config.json").write_text(json.dumps({"models": models}))
        (folder / places.UNIT).write_text(f"# {name}\nExecStart={places.CURRENT}/boardllama launch\n")
        (folder / "manifest.json").write_text(json.dumps(self.manifest(name, folder, model, keep)))
        return Release(folder)

    def manifest(self, name: str, folder: Path, model: str | None, keep: int) -> dict[str, Any]:
        """As deploy/hosts/release.py writes it."""
        hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        return {
            "created": "2026-01-01T00:00:00+00:00",
            "build": {"name": f"build-{name}", "files": {one: {"sha256": hashes[one]} for one in places.PROGRAMS}},
            "model": {"name": model, "sha256": hashes[model]} if model else None,
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

    def served(self) -> Release:
        """What systemd would start now: it reads the unit of /run before the one of /usr/lib."""
        unit = places.TRIAL if places.TRIAL.exists() else places.PUBLIC_UNIT
        return Release(Path(unit.read_text().split("ExecStart=")[1].split("/boardllama ")[0]).resolve())

    def judge(self, release: Release, _say: object) -> None:
        """Stands for the gate, which needs systemd: it must be asked about the release that would be started."""
        self.judged.append(release.id)
        assert self.served() == release
        if release.id in self.bad or self.fatal in release.place(places.CONFIG).read_text():
            raise Unhealthy("it answers 503")


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """A target without any release."""
    for name, place in vars(places).items():
        if isinstance(place, Path) and name.isupper():
            monkeypatch.setattr(places, name, tmp_path / str(place).lstrip("/"))
    made = Target(tmp_path)
    monkeypatch.setattr(switch, "check", lambda release: None)
    monkeypatch.setattr(switch, "judge", made.judge)
    monkeypatch.setattr(switch, "systemctl", lambda *words: None)
    monkeypatch.setattr(switch, "last_words", lambda count: ["its last line"])
    return made


def consistent(target: Target) -> str:
    """The release that all public names lead to; fails when they lead to two."""
    release = current()
    assert release
    for path in release.public_names():
        assert path.resolve().exists(), path
        inside = path.resolve().is_relative_to(release.folder)
        stored = path.resolve().parent in releases.stored(release)
        assert inside or stored, path
    assert target.served() == release
    return str(release.id)
