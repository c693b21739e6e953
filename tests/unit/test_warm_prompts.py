"""Prompts that a server reads at its start: what a deploy takes for them, and that the server is asked each once."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from deploy.controller.warm_prompts import LARGEST, read_warm_prompts
from deploy.errors import BoardllamaError
from deploy.onboard.places import WARM
from deploy.onboard.server import warming
from deploy.onboard.server.config import with_defaults
from deploy.onboard.server.launch import warm_prompts
from deploy.onboard.service import OLLAMA
from deploy.stages.server_input import prompts_of
from tests.unit.llama_server import Ports, ports
from tests.unit.onboard import Target, target
from tests.unit.test_settings import told

__all__ = ["ports", "target"]
CHAT: dict[str, Any] = {"messages": [{"role": "system", "content": "You are a kitchen."}]}


def folder(place: Path, **bodies: object) -> str:
    """A folder of prompts: texts as they are, other bodies as JSON."""
    place.mkdir(exist_ok=True)
    for name, body in bodies.items():
        (place / f"{name}.json").write_text(body if isinstance(body, str) else json.dumps(body))
    return str(place)


def test_the_prompts_of_a_folder_come_as_they_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    place = folder(tmp_path, b=CHAT, a={"prompt": "once upon", "model": "x"})
    (tmp_path / "README.md").write_text("no prompt")
    assert list(read_warm_prompts(place).items()) == [
        ("a.json", b'{"prompt": "once upon", "model": "x"}'),
        ("b.json", json.dumps(CHAT).encode()),
    ]
    assert read_warm_prompts("") == {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"messages": [}', r"a\.json', line 1, column 15: Expecting value; must be JSON"),
        ("[" * 100_000, r"a\.json' is no JSON text"),
        ({"content": "x"}, r"a\.json' is no request: must be an object with messages"),
        ({"messages": "hello"}, r"a\.json' is no request"),
        ({"messages": []}, r"a\.json' is no request"),
        ({"prompt": ""}, r"a\.json' is no request"),
        ([1], r"a\.json' is no request"),
        ({"prompt": "x" * LARGEST}, r"of 1000000 bytes at most"),
    ],
)
def test_what_is_no_request_is_refused_by_name_in_one_line(tmp_path: Path, body: object, said: str) -> None:
    with pytest.raises(BoardllamaError, match=said) as caught:
        read_warm_prompts(folder(tmp_path, a=body))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_folder_without_prompts_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BoardllamaError, match=r"must be a folder of this computer with \*\.json in it"):
            read_warm_prompts(str(place))


def test_more_prompts_than_would_stay_are_refused(tmp_path: Path) -> None:
    place = folder(tmp_path, a=CHAT, b={"prompt": "x"})
    with pytest.raises(BoardllamaError, match="holds 2 prompts: with parallel 1 and prompt_cache 0 only the last 1"):
        prompts_of(told(warm_prompts=place, parallel=1), OLLAMA)
    assert len(prompts_of(told(warm_prompts=place, parallel=1, prompt_cache=64), OLLAMA)) == 2
    assert len(prompts_of(told(warm_prompts=place), OLLAMA)) == 2


def warmed(target: Target, port: int, parent: int, **bodies: object) -> None:
    """Has the server at that port read these prompts, with a release that is committed."""
    release = target.add("r1")
    place = release.folder_of(target.service) / WARM
    folder(place, **bodies)
    config = with_defaults({"server": {"port": port}}, OLLAMA)
    warming.warm_server(release, target.service, config, parent, sorted(place.iterdir()))


def test_each_prompt_is_asked_once_and_a_bad_one_keeps_none_from_the_others(
    target: Target, ports: Ports, capsys: pytest.CaptureFixture[str]
) -> None:
    bodies = {"a": CHAT, "b": "{", "c": {"prompt": "once upon", "max_tokens": 500}}
    warmed(target, ports("well"), os.getppid(), **bodies)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" tokens")[0].split(": line 1")[0] for line in lines] == [
        "ollama-cpp-server: the prompt a.json is warm: 1",
        "ollama-cpp-server: the prompt b.json cannot be read: Expecting property name enclosed in double quotes",
        "ollama-cpp-server: the prompt c.json is warm: 1",
    ]


def test_nothing_is_asked_for_a_server_that_is_gone(
    target: Target, ports: Ports, capsys: pytest.CaptureFixture[str]
) -> None:
    warmed(target, ports("well"), -1, a=CHAT)
    warmed_nobody = capsys.readouterr().err
    assert warmed_nobody == ""


def test_a_prompt_that_the_server_refuses_is_a_line(tmp_path: Path, ports: Ports) -> None:
    (tmp_path / "a.json").write_text(json.dumps(CHAT))
    said = warming.read_prompt(tmp_path / "a.json", "http://127.0.0.1:1", 0, None)
    assert said.startswith("the prompt a.json was answered with nothing, ConnectionRefusedError")


def test_a_release_brings_the_prompts_of_its_own_folder(target: Target) -> None:
    release = target.add("r1")
    assert warm_prompts(release, target.service) == []
    place = release.folder_of(target.service) / WARM
    folder(place, b=CHAT, a=CHAT)
    assert warm_prompts(release, target.service) == [place / "a.json", place / "b.json"]
