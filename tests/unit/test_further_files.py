"""A model of several files: parts of its weights, a projector, a draft. One model, one fit, one release."""

import json
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Kind

from deploy.cpu import find_cpu
from deploy.errors import BoardllamaError
from deploy.hosts.facts import BoardInfo
from deploy.hosts.lock import TargetStep
from deploy.hosts.snapshot import Snapshot
from deploy.models.gguf.header import read_model_header
from deploy.models.gguf.info import read_gguf_info
from deploy.models.gguf.model_headers import PICTURES, companion_bytes, picture_bytes, read_weights_info
from deploy.models.memory.estimate import BINARY, CLIENTS, HEAP, Serving, estimate_memory
from deploy.models.memory.fit import RESERVE
from deploy.models.smoke import write_smoke_model
from deploy.onboard.doctor.facts import model_served
from deploy.onboard.server import launch
from deploy.onboard.server.config import with_defaults
from deploy.onboard.service import OLLAMA
from deploy.settings import Settings
from deploy.stages import fitting
from deploy.stages import model as stage
from tests.hub_case import hub_environment
from tests.hub_faults import Fault
from tests.projector import write_projector
from tests.shapes import Shape, write
from tests.unit.known_host import KnownHost
from tests.unit.onboard import Target, argument, target
from tests.unit.test_settings import refused, told

__all__ = ["target"]

CPU = find_cpu("cortex-a76")
SHAPE = Shape("x", Kind.Q8_0, Kind.Q8_0, 256, 512, 2, 8, 8, 1400, 2048)


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first of three parts, all in one folder, beside the same model in one file."""
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path / "cache"))
    write(SHAPE, tmp_path / "whole.gguf")
    return write(SHAPE, tmp_path / "m.gguf", tensors_per_file=8)


@pytest.fixture
def seeing(first: Path) -> Settings:
    """They serve the split model with a projector and a draft."""
    eye = write_projector(first.with_name("mmproj.gguf"), SHAPE.width)
    further = [{"kind": "draft", "file": str(first.with_name("whole.gguf"))}, {"kind": "projector", "file": str(eye)}]
    return told(model="path", model_path=str(first), further_files=further)


def board(memory: int) -> KnownHost:
    """One with that much memory in bytes, beside what its system takes."""
    return KnownHost(Snapshot(board=BoardInfo(memory=RESERVE + memory)))


def test_the_parts_of_an_own_model_lie_beside_its_first(first: Path) -> None:
    model = told(model="path", model_path=str(first)).chosen
    assert model
    assert [file.name for file in model.files] == [f"m-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    stage.judge_model(told(model="path", model_path=str(first)), model)
    assert told(model="path", model_path=str(first)).advised["alias"] == "m.gguf", "the name in the API"


def test_a_split_model_weighs_what_it_weighs_in_one_file(first: Path) -> None:
    model = told(model="path", model_path=str(first)).chosen
    assert model
    whole, split = read_gguf_info(first.with_name("whole.gguf")), read_weights_info(model)
    assert (split.n_tensors, split.layers, split.hyperparameters) == (
        whole.n_tensors,
        whole.layers,
        whole.hyperparameters,
    )
    for repack in (False, True):
        one, parts = (estimate_memory(info, Serving(512, repack)).total for info in (whole, split))
        assert one <= parts <= one * 1.02


def test_a_part_that_is_missing_is_said_before_anything_is_brought(first: Path) -> None:
    first.with_name("m-00002-of-00003.gguf").unlink()
    host = board(10**9)
    assert not host.does(stage.fetch_models, told(model="path", model_path=str(first)), CPU)
    assert "m-00002-of-00003.gguf': must be a .gguf file on this computer that is there" in host.record.reason


def test_parts_that_were_mixed_up_are_said(first: Path) -> None:
    second, third = (first.with_name(f"m-0000{number}-of-00003.gguf") for number in (2, 3))
    third.write_bytes(second.read_bytes())
    with pytest.raises(BoardllamaError, match=r"m-00003-of-00003\.gguf says that it is part 1: must be 2"):
        settings = told(model="path", model_path=str(first))
        assert settings.chosen
        stage.judge_model(settings, settings.chosen)


def test_a_lone_part_and_a_lone_projector_are_refused(first: Path, seeing: Settings) -> None:
    assert "is one of 3 parts of a model: take the first" in refused(
        model="path", model_path=str(first.with_name("m-00002-of-00003.gguf"))
    )
    renamed = first.rename(first.with_name("lonely.gguf"))
    for path, said in ((renamed, "is one of 3 parts"), (first.with_name("mmproj.gguf"), "is a projector")):
        settings = told(model="path", model_path=str(path))
        assert settings.chosen
        with pytest.raises(BoardllamaError, match=said):
            stage.judge_model(settings, settings.chosen)


PIN = {"sha256": "ab" * 32, "size": 5}


def test_the_parts_of_a_hub_are_all_pinned() -> None:
    others = [{"kind": "weights", "file": f"q4/m-0000{number}-of-00003.gguf", **PIN} for number in (2, 3)]
    settings = told(model="hub", model_file="q4/m-00001-of-00003.gguf", further_files=others)
    assert settings.chosen and len(settings.chosen.files) == 3
    assert {file.origin.pin["repo"] for file in settings.chosen.files} == {settings.model_repo}  # type: ignore[call-overload,index]
    for wrong in (others[:1], others[::-1], []):
        assert "is one of 3 parts" in refused(model="hub", model_file="q4/m-00001-of-00003.gguf", further_files=wrong)


def test_every_file_of_a_hub_is_fetched_and_proven(
    tmp_path: Path, first: Path, seeing: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the real client; a byte that differs in the last of five refuses the model."""
    (tmp_path / "hub").mkdir()
    with hub_environment(monkeypatch, tmp_path / "hub") as hub:
        assert seeing.chosen
        files = {file.name: file.origin.path.read_bytes() for file in seeing.chosen.files}
        kinds = [file.kind.value for file in seeing.chosen.files]
        pins = [hub.publish("owner/name", name, content) for name, content in files.items()]
        further = [
            {"kind": kind, "file": pin.file, "sha256": pin.sha256, "size": pin.size}
            for kind, pin in zip(kinds[1:], pins[1:], strict=True)
        ]
        pin = {name: getattr(pins[0], name) for name in ("repo", "file", "revision", "sha256", "size")}
        settings = told(model="hub", **{f"model_{key}": value for key, value in pin.items()}, further_files=further)
        host = board(10**9)
        assert host.does(stage.fetch_models, settings, CPU), host.record.reason
        assert settings.chosen and settings.chosen.is_here
        assert [file.origin.path.read_bytes() for file in settings.chosen.files] == list(files.values())
        settings.chosen.files[-1].origin.path.unlink()
        hub.fault = Fault.WRONG_BYTES
        assert not host.does(stage.fetch_models, settings, CPU)
        assert "expected" in host.record.reason and host.record.reason.startswith("whole.gguf from ")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"further_files": [{"kind": "weights", "file": "b.gguf", **PIN}]}, "has the weights 'b.gguf': but "),
        ({"further_files": [{"kind": "eye", "file": "b.gguf"}]}, "further_files.0.kind is 'eye': must be "),
        ({"further_files": [{"kind": "draft", "file": "b.bin"}]}, "has the file 'b.bin': must be the path of a .gguf"),
        ({"further_files": [{"kind": "draft", "file": "b.gguf"}] * 2}, "has 2 files of the kind draft: take one"),
        ({"model": None, "further_files": [{"kind": "draft", "file": "b.gguf"}]}, "belongs to a model: name it"),
        (
            {"model": "smoke", "further_files": [{"kind": "draft", "file": "b.gguf", **PIN}]},
            "model repo '' is not valid",
        ),
    ],
)
def test_a_mistake_is_one_line(changes: dict[str, object], said: str) -> None:
    assert said in refused(**{"model": "hub", **changes})


def test_what_is_no_projector_and_no_draft_is_refused(first: Path, seeing: Settings) -> None:
    whole, eye = str(first.with_name("whole.gguf")), str(first.with_name("mmproj.gguf"))
    for kind, file, said in (
        ("projector", whole, "is no projector"),
        ("draft", eye, "is to be a draft, and is a proj"),
    ):
        settings = told(model="path", model_path=whole, further_files=[{"kind": kind, "file": file}])
        assert settings.chosen
        with pytest.raises(BoardllamaError, match=said):
            stage.judge_model(settings, settings.chosen)


def test_all_files_are_counted_and_brought(seeing: Settings) -> None:
    assert seeing.chosen
    serving = fitting.serving_of(seeing, CPU)
    weights = estimate_memory(read_weights_info(seeing.chosen), serving).total
    beside = companion_bytes(seeing.chosen, serving)
    (projector,) = (file.origin for file in seeing.chosen.files if file.name == "mmproj.gguf")
    draft = estimate_memory(read_gguf_info(Path(seeing.model_path).with_name("whole.gguf")), serving).total
    seeing_bytes = projector.size + picture_bytes(read_model_header(projector.path)) + PICTURES
    assert beside == seeing_bytes + draft - BINARY - HEAP - CLIENTS
    (step,) = board(int((weights + beside) / 0.85)).plans(stage.store_models, seeing, CPU)
    assert isinstance(step, TargetStep)
    small = board(beside + 1_000_000)
    assert not small.does(stage.store_models, seeing, CPU)
    assert "of them for its projector and draft" in small.record.reason


def test_the_launcher_names_every_file_of_the_release(target: Target, first: Path) -> None:
    draft = first.with_name("whole.gguf").read_bytes()
    release = target.add_model_file(target.add("r1"), "eye.gguf", "projector", b"GGUF eye")
    release = target.add_model_file(release, "small.gguf", "draft", draft)
    models = {"path": str(target.service.models), "default_model": "m.gguf"}
    words = launch.server_command(with_defaults({"models": models}, target.service), release, target.service)
    assert argument(words, "--mmproj") == str((release.folder / "eye.gguf").resolve())
    assert argument(words, "--spec-draft-model") == str((release.folder / "small.gguf").resolve())
    assert argument(words[words.index("--spec-draft-model") :], "--spec-type") == "draft-simple"


def test_the_doctor_counts_every_file(target: Target) -> None:
    release = target.add_model_file(target.add("r1", content=b"GGUF"), "eye.gguf", "projector", b"GGUF eye")
    (target.service.config.parent).mkdir(exist_ok=True, parents=True)
    models = {"path": str(target.service.models), "default_model": "m.gguf"}
    target.service.config.write_text(json.dumps({"models": models}))
    assert model_served(target.service, release) == ("m.gguf", len(b"GGUF" + b"GGUF eye"))


def test_an_operators_own_model_has_no_companions(target: Target) -> None:
    release = target.add_model_file(target.add("r1"), "eye.gguf", "projector", b"GGUF eye")
    write_smoke_model(target.service.models / "mine.gguf")
    models = {"path": str(target.service.models), "default_model": "mine.gguf"}
    words = launch.server_command(with_defaults({"models": models}, target.service), release, target.service)
    assert "--mmproj" not in words


def test_each_file_has_a_public_name(target: Target) -> None:
    release = target.add_model_file(target.add("r1"), "eye.gguf", "projector", b"GGUF eye")
    assert {OLLAMA.models.name, "eye.gguf"} & {path.name for path in release.public_names()} == {"eye.gguf"}
