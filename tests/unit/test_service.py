"""The release that a board is to have: which of its operator's files it takes over, and how it comes to the board."""

from pathlib import Path

import pytest

from deploy.build.artifact import Build
from deploy.cpu import find_cpu
from deploy.hosts.facts import ReleaseFiles, Text
from deploy.hosts.release import WantedRelease
from deploy.hosts.remote import Remote
from deploy.hosts.snapshot import ReleaseThere, Snapshot, memory_of, pristine_of
from deploy.hosts.stored_model import StoredModel
from deploy.models.hub.hub_model import HubModel
from deploy.models.model import single_file
from deploy.onboard.places import PLACES
from deploy.onboard.service import OLLAMA
from deploy.stages import service
from tests.unit.known_host import KnownHost
from tests.unit.test_plan import NOWHERE, prepare
from tests.unit.test_release import NOON, release
from tests.unit.test_settings import told

CONFIG, PUBLIC_UNIT = OLLAMA.config, OLLAMA.public_unit(PLACES)

__all__ = ["release"]

WANTED = {CONFIG: b'{"new": 1}', PUBLIC_UNIT: b"[Unit]\nDescription=new\n"}


def edits(there: dict[Path, bytes], deployed: dict[Path, bytes]) -> dict[Path, bytes]:
    """What is taken over from a board that has these files, where a release wrote those."""
    held = {str(path): content for path, content in there.items()}
    held |= {pristine_of(OLLAMA, path): content for path, content in deployed.items()}
    host = KnownHost(Snapshot(texts={path: Text(content, 0o644, "root:root") for path, content in held.items()}))
    with host.turn():
        return service.operator_edits(OLLAMA, WANTED)


@pytest.mark.parametrize("path", WANTED, ids=lambda path: path.name)
def test_a_file_that_was_edited_since_it_was_deployed_is_taken_over(path: Path) -> None:
    assert edits({path: b"mine"}, {path: b"old"}) == {path: b"mine"}


@pytest.mark.parametrize("path", WANTED, ids=lambda path: path.name)
def test_what_an_earlier_deploy_or_this_one_wrote_is_no_edit(path: Path) -> None:
    assert edits({}, {}) == {}
    assert edits({path: b"old"}, {path: b"old"}) == {}
    assert edits({path: WANTED[path]}, {path: b"old"}) == {}


def test_a_unit_from_before_the_first_release_is_no_edit_of_ours() -> None:
    """It would start someone else's server. A config.json from before says what its operator wants of ours."""
    assert edits({PUBLIC_UNIT: b"theirs", CONFIG: b"{}"}, {}) == {CONFIG: b"{}"}


def unit(model_size: int | None = None, **changes: object) -> dict[str, str]:
    """The lines of the unit for a model of so many bytes; None: the operator brings one."""
    model = None
    if model_size:
        pin = HubModel("owner/name", "m.gguf", "ab" * 20, "ab" * 32, model_size)
        model = StoredModel(single_file("m.gguf", pin), OLLAMA)
    text = service.wanted_files(told(model="smoke" if model else None, **changes), OLLAMA, model)[PUBLIC_UNIT].decode()
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


def test_a_start_may_take_as_long_as_the_slowest_card_reads_the_model() -> None:
    """At 10 MB/s; ten minutes for a model that is not known, unless the operator says how long."""
    deadlines = [unit(1), unit(1_000_000_000), unit(None), unit(1_000_000_000, health_deadline=20)]
    assert [one["TimeoutStartSec"] for one in deadlines] == ["60", "160", "660", "20"]


def test_a_start_asks_for_every_disk_on_the_way_to_the_models() -> None:
    """The outermost first: the others lie on it."""
    mounts = [f"{name}.mount" for name in ("var", "var-lib", "var-lib-ollama", "var-lib-ollama-models")]
    assert unit()["Wants"].split() == unit()["After"].split() == ["network-online.target", *mounts]


def test_only_the_named_networks_are_let_in() -> None:
    named = unit(server_host="0.0.0.0", api_key="generate", server_clients="192.168.1.0/24 fd00::/8")
    assert (named["IPAddressDeny"], named["IPAddressAllow"]) == ("any", "localhost 192.168.1.0/24 fd00::/8")
    assert unit()["IPAddressAllow"] == "localhost"


@pytest.fixture
def remote() -> Remote:
    """A board whose releases lie where `release` says."""
    return KnownHost(Snapshot()).remote


def found(remote: Remote, release: WantedRelease) -> dict[str, str]:
    """The release as the next run finds it there."""
    fact = ReleaseFiles()
    return fact.process(remote.run(fact.command(release.folder)).splitlines())


def test_a_release_comes_whole_and_nothing_else_with_it(remote: Remote, release: WantedRelease) -> None:
    service.write_release(remote, release, NOON)
    assert found(remote, release) == release.stored_contents(NOON) | {"created": NOON}
    assert [path.name for path in Path(release.folder).parent.iterdir()] == [release.id]


def test_a_damaged_release_is_mended_and_keeps_what_the_target_noted_in_it(
    remote: Remote, release: WantedRelease
) -> None:
    service.write_release(remote, release, NOON)
    folder = Path(release.folder)
    (folder / "previous").symlink_to("../r0")
    (folder / "config.json").write_text("damaged")
    (folder / "onboard" / "release" / "gate.py").unlink()
    (folder / "llama-server").unlink()
    rest = folder.with_name(f".{release.id}.new")
    rest.mkdir()
    (rest / "half").touch()
    service.write_release(remote, release, NOON)
    assert found(remote, release) == release.stored_contents(NOON) | {"created": NOON}
    assert (folder / "previous").readlink() == Path("../r0")
    assert not (folder / "half").exists() and not rest.exists()


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """One that the controller has."""
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path / "cache"))
    made = Build(NOWHERE, find_cpu("cortex-a76"))
    prepare(made)
    return made


EDITED = Snapshot(
    texts={
        str(CONFIG): Text(b'{"server": {"port": 80}}', 0o644, "root:root"),
        pristine_of(OLLAMA, CONFIG): Text(b"{}", 0o644, "root:root"),
    }
)


def test_a_board_is_brought_what_it_lacks_of_its_release_and_nothing_when_all_is_there(build: Build) -> None:
    host, settings = KnownHost(Snapshot(), "@fake/board"), told(model=None)
    assert len(host.plans(service.prepare_release, settings, build)) == 1
    release = service.prepared_release(host.host)
    assert release
    there = release.stored_contents(NOON) | {"created": NOON, "judged": "a note of the target's own"}
    memory_of(host.host).releases[release.id] = ReleaseThere(files=there)
    assert host.plans(service.prepare_release, settings, build) == []
    for name in ("config.json", "onboard/release/gate.py", "manifest.json"):
        memory_of(host.host).releases[release.id] = ReleaseThere(files=there | {name: "another sha256"})
        assert len(host.plans(service.prepare_release, settings, build)) == 1, name


@pytest.mark.parametrize(("conflict", "kept"), [("keep", [CONFIG]), ("overwrite", [])])
def test_an_edit_wins_until_its_operator_says_otherwise(build: Build, conflict: str, kept: list[Path]) -> None:
    host = KnownHost(EDITED, "@fake/board")
    host.plans(service.prepare_release, told(model=None, config_conflict=conflict), build)
    release = service.prepared_release(host.host)
    assert release and [list(served.kept) for served in release.served] == [kept]


def test_a_board_whose_build_is_gone_is_not_switched_to_what_was_prepared_before(build: Build) -> None:
    """pyinfra asks each operation twice: before the run, and in it."""
    host, settings = KnownHost(Snapshot(), "@fake/board"), told(model=None)
    host.plans(service.prepare_release, settings, build)
    (build.artifact_folder / "manifest.json").unlink()
    assert not host.does(service.prepare_release, settings, build)
    assert "is not there" in host.record.reason
    assert service.prepared_release(host.host) is None
