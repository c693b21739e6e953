"""What is decided of a model before anything reaches a target: that it is whole, and that the board has room for it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from gguf import GGMLQuantizationType as Kind

from deploy import cpu
from deploy.errors import BoardllamaError
from deploy.hosts.facts import BoardInfo
from deploy.hosts.lock import TargetStep
from deploy.hosts.remote import HostStep
from deploy.hosts.snapshot import Snapshot
from deploy.models.gguf.info import read_gguf_info
from deploy.models.memory import fit
from deploy.models.memory.estimate import Serving, estimate_memory
from deploy.onboard.service import OLLAMA
from deploy.settings import Settings
from deploy.stages import model, service
from tests.shapes import Shape, write
from tests.unit.known_host import KnownHost
from tests.unit.test_gguf_info import write as write_small
from tests.unit.test_settings import told

CPU = cpu.find_cpu("cortex-a76")
SHAPE = Shape("x", Kind.Q8_0, Kind.Q8_0, 512, 2048, 4, 16, 16, 2000, 8192)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """They serve a model of 20 MB with 2048 tokens of context."""
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path))
    return told(model="path", model_path=str(write(SHAPE, tmp_path / "x.gguf")))


def board(memory: int = 0) -> KnownHost:
    """One with that much memory in bytes, beside what its system takes."""
    return KnownHost(Snapshot(board=BoardInfo(memory=fit.RESERVE + memory)))


def room(settings: Settings, serving: Serving) -> KnownHost:
    """A board with just the memory that serving the model in this way takes."""
    return board(estimate_memory(read_gguf_info(Path(settings.model_path)), serving).total + 1_000_000)


def edited(settings: Settings, **sections: dict[str, Any]) -> bytes:
    """An operator's config.json."""
    config = json.loads(settings.config_json(OLLAMA))
    for section, changes in sections.items():
        config[section].update(changes)
    return json.dumps(config).encode()


def test_a_cache_of_blocks_needs_heads_that_fill_them(tmp_path: Path) -> None:
    path = write(Shape("x", Kind.Q8_0, Kind.Q8_0, 160, 320, 2, 2, 2, 2000, 8192), tmp_path / "x.gguf")
    model.check_weights(told(model="path", model_path=str(path)), [path])
    with pytest.raises(BoardllamaError, match=r"kv_cache is q8_0: .* heads of 80 numbers; set kv_cache to f16"):
        model.check_weights(told(model="path", model_path=str(path), kv_cache="q8_0"), [path])


def test_one_part_of_a_model_is_refused(tmp_path: Path) -> None:
    part = write_small(tmp_path / "m-00001-of-00003.gguf", parts=3)
    with pytest.raises(BoardllamaError, match="is one of 3 parts of a model: `llama-gguf-split --merge`"):
        model.check_weights(told(model="path", model_path=str(part)), [part])


def test_a_context_may_be_all_that_the_model_was_trained_for_and_no_more(settings: Settings) -> None:
    path, trained = Path(settings.model_path), read_gguf_info(Path(settings.model_path)).context_length
    for size in (0, trained - 1, trained):
        model.check_weights(settings.model_copy(update={"context_size": size}), [path])
    with pytest.raises(BoardllamaError) as refused:
        model.check_weights(settings.model_copy(update={"context_size": trained + 1}), [path])
    assert str(refused.value) == (
        f"context_size is {trained + 1}: x.gguf was trained for {trained} tokens at most; set context_size to "
        f"{trained} or less (0: the model's own)"
    )


@pytest.mark.parametrize("name", ["missing.gguf", "folder.gguf", "pipe.gguf"])
def test_what_is_no_file_is_refused_and_not_read(tmp_path: Path, name: str) -> None:
    """A pipe would be waited for without an end."""
    (tmp_path / "folder.gguf").mkdir()
    os.mkfifo(tmp_path / "pipe.gguf")
    settings = told(model="path", model_path=str(tmp_path / name))
    for operation, words in ((model.fetch_models, (settings, CPU)), (model.store_models, (settings, CPU))):
        host = board()
        assert not host.does(operation, *words)
        assert host.record.reason == (
            f"model_path is '{tmp_path / name}': must be a .gguf file on this computer that is there"
        )


def test_a_model_that_does_not_fit_stays_on_the_controller(settings: Settings) -> None:
    host = board(1_000_000)
    assert not host.does(model.store_models, settings, CPU)
    assert host.record.verdict == "refused"
    assert host.record.reason.startswith("x.gguf needs ")


def test_a_model_that_fits_is_brought(settings: Settings) -> None:
    (step,) = room(settings, Serving(2048, repack=False)).plans(model.store_models, settings, CPU)
    assert isinstance(step, TargetStep)


def test_an_operators_edit_that_the_board_has_no_room_for_is_refused(settings: Settings) -> None:
    """The server that runs was started before it."""
    large = edited(settings, models={"default_context_size": 4_000_000})
    with room(settings, Serving(2048, repack=True)).turn():
        service.check_edited(
            settings.with_edits(edited(settings, inference={"temperature": 0.1}), OLLAMA), OLLAMA, CPU, settings.hosted
        )
        with pytest.raises(
            BoardllamaError, match=r"config\.json was edited there: x\.gguf needs .*config_conflict=overwrite"
        ):
            service.check_edited(settings.with_edits(large, OLLAMA), OLLAMA, CPU, settings.hosted)


def test_an_edited_file_that_asks_for_repacking_without_room_is_refused(settings: Settings) -> None:
    """To say that it is served without, and not to do it, would be the end of the server."""
    with room(settings, Serving(2048, repack=False)).turn():
        with pytest.raises(BoardllamaError, match=r"set inference\.repack to false in it"):
            warmer = edited(settings, inference={"temperature": 0.1})
            service.check_edited(settings.with_edits(warmer, OLLAMA), OLLAMA, CPU, settings.hosted)
        service.check_edited(
            settings.with_edits(edited(settings, inference={"repack": False}), OLLAMA), OLLAMA, CPU, settings.hosted
        )


def test_an_operators_own_model_is_not_measured_by_the_size_of_ours(settings: Settings) -> None:
    other = edited(settings, models={"default_model": "mine.gguf", "default_context_size": 4_000_000})
    assert settings.with_edits(other, OLLAMA) is None


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"models": {"context": 1}}'])
def test_an_edited_file_that_is_wrong_is_the_targets_to_refuse(settings: Settings, text: bytes) -> None:
    assert settings.with_edits(text, OLLAMA) is None
    service.check_edited(None, OLLAMA, CPU, settings.hosted)


def test_a_model_of_a_hub_is_known_by_its_pin_before_it_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run fetches nothing."""
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path))
    settings, host = told(model="hub"), board()
    pin, wanted = settings.hub_model, model.model_of(settings, OLLAMA)
    assert pin and wanted
    (file,) = wanted.files
    assert (file.source, file.sha256, file.size) == (pin.path, pin.sha256, pin.size)
    (step,) = host.plans(model.fetch_models, settings, CPU)
    assert isinstance(step, HostStep) and not isinstance(step, TargetStep)
    assert not host.does(model.store_models, settings, CPU)
    assert host.record.reason == "the model is not on the controller"


def test_a_model_is_checked_as_soon_as_it_is_fetched(settings: Settings) -> None:
    with pytest.raises(BoardllamaError, match="was trained for 8192 tokens at most"):
        model.fetch_and_check(board().remote, settings.model_copy(update={"context_size": 9000}))
