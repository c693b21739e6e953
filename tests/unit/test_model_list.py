"""The setting `models`: what a host with several serves, where, and what of it is refused."""

import configparser
import json
from pathlib import Path
from typing import Any

import pytest
from gguf import GGMLQuantizationType as Kind

from deploy import cpu
from deploy.errors import BoardllamaError
from deploy.hosts.facts import BoardInfo
from deploy.models.gguf.info import read_gguf_info
from deploy.models.memory.estimate import estimate_memory
from deploy.models.memory.fit import RESERVE
from deploy.models.memory.fit_together import BROKER_BYTES
from deploy.models.model_list import ON_DEMAND_SECONDS
from deploy.onboard.places import PLACES
from deploy.onboard.service import CHAT, EMBED, FRONT, OLLAMA, OLLAMA_API, Service
from deploy.settings import Settings
from deploy.stages import fitting, model, service
from tests.gguf_bytes import chat, gguf
from tests.shapes import Shape, write
from tests.unit.test_settings import refused, told

CPU = cpu.find_cpu("cortex-a76")
SHAPE = Shape("x", Kind.Q8_0, Kind.Q8_0, 512, 2048, 4, 16, 16, 2000, 8192)


def two(**changes: Any) -> Settings:
    """A chat model and another for vectors, behind a front."""
    vectors = {"model": "/m/mini.gguf", "role": "embed", "alias": "mini"}
    return told(**{"models": ["/m/smol.gguf", vectors], "context_size": 1024} | changes)


def by_role(settings: Settings) -> dict[str, Service]:
    return {one.role: one for one in settings.services}


def test_one_model_alone_has_no_front_and_the_names_that_users_know() -> None:
    for alone in (told(), told(models=["/m/x.gguf"])):
        assert alone.services == (OLLAMA,)
        ((_, own),) = alone.hosted.items()
        assert (own.server_host, own.server_port) == ("127.0.0.1", 11434)


def test_several_listen_on_the_loopback_behind_the_address_of_the_settings() -> None:
    settings = two(server_host="0.0.0.0", server_port=8080, api_key="generate", server_clients="192.168.1.0/24")
    servers = [json.loads(own.config_json(one))["server"] for one, own in settings.hosted.items()]
    assert [(one["host"], one["port"]) for one in servers] == [("127.0.0.1", 8090), ("127.0.0.1", 8091)]
    (front,) = settings.brokers
    told_front = json.loads(settings.broker_json(front))["server"]
    assert (told_front["host"], told_front["port"]) == ("0.0.0.0", 8080)
    allowed = [unit(settings, one)["IPAddressAllow"] for one in settings.services]
    assert allowed == ["localhost", "localhost", "localhost 192.168.1.0/24"]


def test_a_front_leaves_room_for_the_ports_of_those_behind_it() -> None:
    said = refused(models=["/m/a.gguf", "/m/b.gguf"], ollama_api=True, server_port=65530)
    used = "behind a front at 65530 ports 65540 to 65542 would be used, and 65535 is the last"
    assert said.endswith(f"server_port is 65530: {used}; take 65523 or less")
    highest = two(server_port=65523, ollama_api=True)
    assert [one.port for one in highest.services] == [65533, 65534, 65535, 65523]


def test_the_first_has_the_unit_that_users_know_and_all_ask_for_one_key() -> None:
    first, second, front = two().services
    assert (first.unit, first.config, first.folder) == (OLLAMA.unit, OLLAMA.config, "")
    assert (second.unit, second.role) == ("ollama-cpp-server-mini.service", EMBED)
    assert str(second.config) == "/etc/ollama-cpp/mini/config.json"
    assert (front.unit, str(front.config)) == ("ollama-cpp-front.service", "/etc/ollama-cpp/front.json")
    for field in ("unit", "config", "runtime", "folder", "port"):
        assert len({getattr(one, field) for one in (first, second, front)}) == 3, field
    assert {(one.api_key, one.models, one.account) for one in (first, second, front)} == {
        (OLLAMA.api_key, OLLAMA.models, OLLAMA.account)
    }


def test_an_entry_has_settings_of_its_own_and_the_hosts_where_it_says_nothing() -> None:
    lazy = {"model": "smoke", "alias": "tiny", "context_size": 512, "start": "on_demand"}
    settings = two(models=["/m/smol.gguf", lazy], threads=3)
    first, second = (json.loads(own.config_json(one))["models"] for one, own in settings.hosted.items())
    assert (first["alias"], first["default_context_size"], first["sleep_after"]) == (None, 1024, 0)
    assert (second["alias"], second["default_context_size"], second["sleep_after"]) == ("tiny", 512, ON_DEMAND_SECONDS)
    assert first["default_threads"] == second["default_threads"] == 3


def test_a_model_of_the_catalogue_brings_its_name_and_its_role() -> None:
    settings = two(models=["qwen3.5-2b", "embeddinggemma-300m"], context_size=None)
    assert [one.role for one in settings.hosted] == [CHAT, EMBED]
    assert [own.alias for own in settings.hosted.values()] == ["qwen3.5-2b", "embeddinggemma-300m"]


def test_ollamas_api_has_a_front_also_before_one_model() -> None:
    settings = told(ollama_api=True)
    assert list(by_role(settings)) == [CHAT, OLLAMA_API, FRONT]
    assert [one.port for one in settings.services] == [11444, 11445, 11434]
    assert unit(settings, by_role(settings)[FRONT])["After"].endswith(
        "ollama-cpp-server.service ollama-cpp-ollama.service"
    )


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (["/a/x.gguf", "/b/x.gguf"], "models: x.gguf and x.gguf have the same name: give one of them an alias"),
        (["/a/x.gguf", {"model": "/a/y.gguf", "alias": "X"}], "models: x.gguf and X have the same name"),
        (["/a/x.gguf", {"model": "/a/y.gguf", "roel": "embed"}], "unknown setting 'models.1.roel': did you mean role?"),
        (["/a/x.gguf", {"alias": "y"}], "setting models.1.model is missing"),
        (["/a/x.gguf", "qwen3.5-2c"], "models, qwen3.5-2c: "),
        (["/a/x.gguf", {"model": "smoke", "context_size": -1}], "models, smoke: context_size is -1: must be"),
        (
            ["/a/x.gguf", {"model": "smoke", "start": "later"}],
            "models.1.start is 'later': must be 'boot' or 'on_demand'",
        ),
        (["/a/x.gguf", {"model": "smoke", "role": "sing"}], "models.1.role is 'sing': must be 'chat', 'embed' or"),
        (["/a/x.gguf", "auto"], "auto chooses one model for the whole board: name each model of a list"),
        ("smoke,smoke", "models is 'smoke,smoke': must be a list"),
        (["smoke", 3], "models.1 is 3: must be a table"),
        (
            ["smoke", {"model": "embeddinggemma-300m", "role": "chat"}],
            "role is chat: embeddinggemma-300m is made for embed",
        ),
    ],
)
def test_what_of_a_list_is_wrong_is_one_line_with_its_model(models: Any, words: str) -> None:
    assert words in refused(models=models)


def test_a_front_on_the_network_needs_the_key_that_one_server_needs() -> None:
    assert "server_host is 0.0.0.0: beyond loopback an API key is needed" in refused(
        models=["/a/x.gguf", "/a/y.gguf"], server_host="0.0.0.0"
    )


def test_an_embedder_that_is_to_chat_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mini.gguf"
    path.write_bytes(gguf(chat("bert", pooling_type=1)))
    settings = two(models=["smoke", str(path)])
    _, own = settings.hosted.values()
    with pytest.raises(BoardllamaError, match=r"mini\.gguf is an embedding model .* or set role to embed"):
        model.check_weights(own, [path])


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of two models that are on this controller, of 20 MB each."""
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path))
    paths = [str(write(SHAPE, tmp_path / name)) for name in ("one.gguf", "two.gguf")]
    return two(models=paths, context_size=2048)


def needs(settings: Settings, repack: bool) -> list[int]:
    """What each model takes, in bytes."""
    return [
        estimate_memory(
            read_gguf_info(Path(own.model_path)), fitting.serving_of(own.model_copy(update={"repack": repack}), CPU)
        ).total
        for own in settings.hosted.values()
    ]


def room_for(need: int) -> BoardInfo:
    """A board with just that much for models, and for what passes requests on to them."""
    return BoardInfo(memory=RESERVE + need + BROKER_BYTES)


def test_models_that_fit_together_may_each_have_what_it_needs_and_a_quarter(real: Settings) -> None:
    board = BoardInfo(memory=4_000_000_000)
    fits = fitting.fit_services(real.hosted, CPU, board)
    assert [one.said for one in fits.values()] == ["", ""]
    for fitted, need in zip(fits.values(), needs(real, repack=True), strict=True):
        limit = int(fitted.memory_max.removesuffix("M")) << 20
        assert need * 1.2 < limit <= need * 1.25
    alone = told(model="path", model_path=next(iter(real.hosted.values())).model_path)
    assert [one.memory_max for one in fitting.fit_services(alone.hosted, CPU, board).values()] == ["85%"]


def test_what_fits_only_without_repacking_is_served_so_and_said(real: Settings) -> None:
    plain = sum(needs(real, repack=False))
    fits = fitting.fit_services(real.hosted, CPU, room_for(plain + 1_000_000))
    assert [one.settings.repack for one in fits.values()] == [False, False]
    assert all("served with --no-repack" in one.said for one in fits.values())


def test_models_that_do_not_fit_together_are_named_with_the_need_of_each(real: Settings) -> None:
    one, other = needs(real, repack=False)
    with pytest.raises(BoardllamaError) as caught:
        fitting.fit_services(real.hosted, CPU, room_for(one + other - 1_000_000))
    said = str(caught.value)
    assert said.startswith(
        f"one.gguf {-(-one // 10**6)} MB, two.gguf {-(-other // 10**6)} MB and the front 40 MB need "
    )
    assert said.endswith("list fewer or smaller models, or give them a smaller context_size")
    assert "\n" not in said


def test_a_model_on_demand_counts_as_one_that_works(real: Settings) -> None:
    lazy = [{"model": own.model_path, "start": "on_demand"} for own in real.hosted.values()]
    with pytest.raises(BoardllamaError, match="MB together, this board has"):
        fitting.fit_services(two(models=lazy).hosted, CPU, room_for(sum(needs(real, repack=False)) // 2))


def test_what_has_no_model_is_bounded_by_itself() -> None:
    settings = two()
    (front,) = settings.brokers
    assert unit(settings, front)["MemoryMax"] == "64M"
    assert int(unit(settings, front)["LimitNOFILE"]) > 2 * 1000, "a connection for each client, and one to a server"
    assert unit(settings, next(iter(settings.hosted)))["LimitNOFILE"] == "64"


def unit(settings: Settings, one: Service) -> dict[str, str]:
    """The values of a service's unit."""
    own = settings.hosted.get(one)
    files = service.wanted_files(own, one, None) if own else service.broker_files(settings, one)
    text = files[one.public_unit(PLACES)].decode()
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return {name: value for section in parser.sections() for name, value in parser.items(section)}
