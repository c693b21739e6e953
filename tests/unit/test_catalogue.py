"""The catalogue: names for models, what is known of each before it is fetched, and which one "auto" takes."""

import json
import subprocess
from typing import Any

import pytest
from gguf import GGMLQuantizationType as Kind

from deploy.cpu import find_cpu
from deploy.hosts.facts import BoardInfo
from deploy.hosts.remote import HostStep
from deploy.hosts.snapshot import Snapshot
from deploy.models.catalogue.entries import CATALOGUE
from deploy.models.catalogue.headers import attention_numbers
from deploy.models.catalogue.outline import Outline
from deploy.models.catalogue.table import SIZES, automatic_model, catalogue_rows, memory_of_size, usual_boards
from deploy.models.gguf.info import read_gguf_info
from deploy.models.memory.estimate import Serving, estimate_memory
from deploy.models.model import Advice
from deploy.onboard.gguf.architectures import ARCHITECTURES
from deploy.onboard.server.config import config_problems
from deploy.onboard.service import OLLAMA
from deploy.paths import REPO
from deploy.settings import Settings
from deploy.stages import model as stage
from deploy.stages.config_changes import value_changes
from deploy.stages.service import release_pins
from tests.shapes import Shape, write
from tests.unit.known_host import KnownHost
from tests.unit.test_settings import refused, told

CPU = find_cpu("cortex-a76")
GB = 10**9


def board(memory: int) -> KnownHost:
    return KnownHost(Snapshot(board=BoardInfo(memory=memory)))


def chosen(memory: int, **changes: Any) -> tuple[Settings, KnownHost]:
    """What "auto" makes of the settings on a board with that much memory."""
    host = board(memory)
    with host.turn():
        return stage.choose_model(told(**changes), CPU), host


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_name_is_a_whole_pin_and_a_model_that_this_llama_cpp_serves(name: str) -> None:
    settings, model = told(model=name), CATALOGUE[name]
    assert settings.chosen == model
    assert settings.served_role == model.role
    assert model.outline and model.outline.architecture in ARCHITECTURES
    assert settings.context_tokens <= model.outline.context_length
    assert model.licence and (model.page or model.licence in ("Apache-2.0", "MIT"))
    assert config_problems(json.loads(settings.config_json(OLLAMA)), OLLAMA, keyed=False) == []


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_numbers_of_a_header_are_read_as_a_files_are(name: str) -> None:
    model = CATALOGUE[name]
    assert model.outline
    info = model.outline.info_of_size(model.size)
    assert (info.size, info.architecture) == (model.size, model.outline.architecture)
    assert any(layer.cached for layer in info.layers)
    assert len(info.layers) == model.outline.numbers["block_count"]


def test_an_estimate_before_the_fetch_is_never_less_than_the_files_own_nor_far_from_it(tmp_path: Any) -> None:
    shape = Shape("x", Kind.Q4_K, Kind.Q6_K, 512, 2048, 8, 16, 4, 4000, 8192)
    exact = read_gguf_info(write(shape, tmp_path / "x.gguf"))
    numbers = attention_numbers(8, 512, 2048, 16, 4, 32, 8192)
    outline = Outline("llama", numbers, tokens=4000, merges=exact.hyperparameters.merges)
    for repack in (False, True):
        serving = Serving(4096, repack)
        guess, known = (estimate_memory(info, serving).total for info in (outline.info_of_size(exact.size), exact))
        assert known <= guess <= known * 1.05


@pytest.mark.parametrize(
    ("size", "name"),
    [
        (1, "smollm2-135m"),
        (2, "qwen3.5-0.8b"),
        (4, "qwen3.5-2b"),
        (8, "qwen3.5-4b"),
        (16, "qwen3.5-9b"),
        (32, "gpt-oss-20b"),
    ],
)
def test_auto_takes_the_best_that_leaves_room(size: int, name: str) -> None:
    settings, host = chosen(memory_of_size(size).total)
    assert settings.chosen == CATALOGUE[name]
    assert host.record.model == name
    found = automatic_model(memory_of_size(size))
    assert found and found.name == name


def test_the_choice_is_in_the_pins_of_the_release() -> None:
    settings, host = chosen(4 * GB)
    with host.turn():
        pins = release_pins(settings)
    assert pins["model_choice"] == "auto"
    assert pins["model"] == {
        "repo": "unsloth/Qwen3.5-2B-GGUF",
        "revision": "f6d5376be1edb4d416d56da11e5397a961aca8ae",
        "file": "Qwen3.5-2B-Q4_K_M.gguf",
    }
    with board(4 * GB).turn():
        assert "model_choice" not in release_pins(told(model="qwen3.5-2b")), "a name was given"


def test_auto_keeps_to_the_context_that_an_operator_asks_for() -> None:
    settings, _ = chosen(4 * GB, context_size=65_536)
    assert settings.chosen == CATALOGUE["qwen3.5-0.8b"] or settings.chosen == CATALOGUE["qwen3.5-2b"]
    assert settings.context_tokens == 65_536


@pytest.mark.parametrize(
    ("memory", "said"),
    [(100_000_000, "model is auto: none fits 100 MB"), (0, "model is auto: this board's memory is not known")],
)
def test_a_board_for_which_nothing_is_found_is_refused_before_anything_is_fetched(memory: int, said: str) -> None:
    settings, host = chosen(memory)
    assert not host.does(stage.fetch_models, settings, CPU)
    assert host.record.reason.startswith(said)


def test_a_model_that_cannot_fit_is_refused_before_it_is_fetched(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path))
    host = board(4 * GB)
    assert not host.does(stage.fetch_models, told(model="qwen3.5-9b"), CPU)
    assert host.record.reason.startswith("qwen3.5-9b needs ")
    assert host.record.reason.endswith("take a smaller one: `make models` lists what fits")
    host = board(4 * GB)
    assert not host.does(stage.fetch_models, told(model="qwen3-1.7b", context_size=32_768), CPU)
    assert "set context_size to " in host.record.reason
    (step,) = board(16 * GB).plans(stage.fetch_models, told(model="qwen3.5-9b"), CPU)
    assert isinstance(step, HostStep)


def test_a_licence_that_asks_for_more_is_shown_before_the_first_fetch(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path))
    said: list[str] = []
    for name in ("lfm2.5-1.2b", "qwen3.5-2b"):
        stage.say_licence(CATALOGUE[name], said.append)
    assert said == [
        "lfm2.5-1.2b is under the licence LFM Open 1.0: to use it is to accept it, see "
        "https://huggingface.co/LiquidAI/LFM2.5-1.2B-Instruct"
    ]


def inference(**changes: Any) -> dict[str, Any]:
    """That section of config.json."""
    section = json.loads(told(**changes).config_json(OLLAMA))["inference"]
    return {name: section[name] for name in ("temperature", "top_p", "top_k", "min_p", "repeat_penalty")}


def test_sampling_is_the_models_own_unless_an_operator_says_otherwise() -> None:
    assert inference(model="lfm2.5-1.2b", top_k=7) == {
        "temperature": 0.1,
        "top_p": 0.1,
        "top_k": 7,
        "min_p": None,
        "repeat_penalty": 1.05,
    }
    assert set(inference(model="smoke").values()) == {None}, "nothing is known of it: llama.cpp's own values hold"
    assert inference(model="smoke", temperature=0)["temperature"] == 0


def test_context_is_the_models_own_unless_an_operator_says_otherwise() -> None:
    assert [told(model=name).context_tokens for name in ("qwen3.5-2b", "smoke", None)] == [8192, 2048, 2048]
    assert [told(model="qwen3.5-2b", context_size=size).context_tokens for size in (0, 512)] == [0, 512]


def test_a_model_that_thinks_is_sampled_as_its_publisher_has_it_while_it_thinks() -> None:
    model = CATALOGUE["qwen3-0.6b"]
    assert (model.advice.reasoning, model.advice_for(None).temperature) == ("off", 0.7)
    assert [model.advice_for(word).temperature for word in ("on", "auto", "off")] == [0.6, 0.6, 0.7]
    assert CATALOGUE["gpt-oss-20b"].advice_for("off") == CATALOGUE["gpt-oss-20b"].advice, "it has one kind of advice"


def told_to(section: str, **changes: Any) -> dict[str, Any]:
    """That section of config.json."""
    return dict(json.loads(told(**changes).config_json(OLLAMA))[section])


def test_a_model_that_can_think_does_not_unless_it_is_told_to() -> None:
    silent, thinking = (
        told_to("inference", model="qwen3-0.6b"),
        told_to("inference", model="qwen3-0.6b", reasoning="on"),
    )
    assert (silent["reasoning"], silent["temperature"], silent["top_p"]) == ("off", 0.7, 0.8)
    assert (thinking["reasoning"], thinking["temperature"], thinking["top_p"]) == ("on", 0.6, 0.95)
    assert told_to("inference", model="smoke")["reasoning"] is None


def test_the_api_calls_a_model_by_its_name_in_the_catalogue() -> None:
    names = [told_to("models", **one)["alias"] for one in ({"model": "qwen3.5-2b"}, {"model": "smoke"})]
    assert names == ["qwen3.5-2b", None]
    assert told_to("models", model="qwen3.5-2b", alias="house")["alias"] == "house"


def test_a_value_that_an_upgrade_changes_is_said() -> None:
    """The reference's own sampling stood in every config.json before a model had one."""
    old = json.loads(told(model="smoke").config_json(OLLAMA))
    old["inference"].update(repeat_penalty=1.1, top_p=0.9)
    del old["inference"]["min_p"]
    new = told(model="smoke", min_p=0.1).config_json(OLLAMA)
    assert value_changes(OLLAMA, json.dumps(old).encode(), new.encode()) == [
        "inference.top_p 0.9 -> null",
        "inference.min_p null -> 0.1",
        "inference.repeat_penalty 1.1 -> null",
    ]
    assert value_changes(OLLAMA, new.encode(), new.encode()) == []
    assert value_changes(OLLAMA, b"{", new.encode()) == []


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    assert refused(model="qwen35-2b").startswith(
        "model is 'qwen35-2b': did you mean qwen3.5-2b? It must be one of auto"
    )


def test_the_table_says_what_fits_where() -> None:
    rows = {row["model"]: row for row in catalogue_rows(usual_boards(), repack=True)}
    assert list(rows) == list(CATALOGUE)
    assert [rows["qwen3.5-2b"][f"{size} GB"] for size in SIZES[:2]] == ["-", "-"]
    assert rows["qwen3.5-9b"]["16 GB"].endswith("k"), "tokens of context"
    assert rows["qwen3-1.7b"]["2 GB"].endswith("*")
    assert not any("*" in row[f"{size} GB"] for row in catalogue_rows(usual_boards(), repack=False) for size in SIZES)


def test_advice_names_settings() -> None:
    assert set(vars(Advice())) <= set(Settings.model_fields)


def test_make_prints_the_table_and_says_when_it_has_no_board_to_ask() -> None:
    said = subprocess.run(
        ["make", "--no-print-directory", "models"], cwd=REPO, capture_output=True, text=True, check=True
    ).stdout
    assert said.startswith("model ") and "auto takes: 1 GB smollm2-135m, " in said
    nowhere = ["make", "models", "INVENTORY=nowhere.py"]
    refusal = subprocess.run(nowhere, cwd=REPO, capture_output=True, text=True, check=False)
    assert refusal.returncode and "nowhere.py is no inventory file" in refusal.stderr
