"""Settings: what a host may be told, and the one line that answers everything else."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from deploy import defaults
from deploy.onboard.server import config as rules
from deploy.onboard.server.config_keys import KEYS
from deploy.onboard.service import OLLAMA
from deploy.paths import REPO
from deploy.setting_fields import (
    EVERY_FIELD,
    ChannelFields,
    GatewayFields,
    MonitorFields,
    RoleFields,
    SettingsError,
    role_settings,
)
from deploy.settings import Settings, settings_from

ALL: dict[str, Any] = {name: value for name, value in vars(defaults).items() if not name.startswith("_")}


def told(**changes: object) -> Settings:
    """The defaults of the repository with `changes`."""
    return settings_from(ALL | changes)


def refused(**changes: object) -> str:
    """The one line that refuses `changes`."""
    with pytest.raises(SettingsError) as caught:
        told(**changes)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_defaults_are_valid_and_stay_on_loopback() -> None:
    settings = told()
    assert settings.server_host == "127.0.0.1"
    assert settings.allowed_clients == ["localhost"]
    assert told(model="hub").model_name == "tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf"


def test_every_setting_has_its_default_in_one_place() -> None:
    assert set(EVERY_FIELD) == set(ALL)


def test_config_json_has_the_shape_of_the_reference_and_the_launcher_takes_it() -> None:
    config = json.loads(told(context_size=1024, threads=3).config_json(OLLAMA))
    assert {section: set(keys) for section, keys in KEYS.items()} == {
        section: set(keys) for section, keys in config.items()
    }
    assert config["models"]["default_context_size"] == 1024
    assert config["models"]["default_threads"] == 3
    assert rules.config_problems(config, OLLAMA, keyed=False) == []


def test_the_defaults_of_the_launcher_and_of_the_settings_agree() -> None:
    unset = dict.fromkeys(("temperature", "top_p", "top_k", "repeat_penalty"))
    assert json.loads(told(model=None, **unset).config_json(OLLAMA)) == rules.with_defaults({}, OLLAMA)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sever_port": 1}, "unknown setting sever_port: did you mean server_port?"),
        ({"server_port": 99999}, "server_port is 99999: must be a whole number from 1 to 65535"),
        ({"server_port": "http"}, "server_port is 'http': must be"),
        ({"cpu": "cortex-a67"}, "unknown cpu 'cortex-a67'"),
        ({"threads": -1}, "threads is -1: must be a whole number from 0"),
        ({"context_size": -5}, "context_size is -5: must be"),
        ({"log_level": "loud"}, 'log_level is "loud": must be one of'),
        ({"server_host": "0.0.0.0"}, "beyond loopback an API key is needed (setting api_key"),
        (
            {"model": "path", "model_path": "/x/model.bin"},
            'model file is "model.bin": must be the name of a .gguf file',
        ),
        ({"model": "pth"}, "model is 'pth': did you mean path?"),
        ({"model": "qwen3.5-2B"}, "model is 'qwen3.5-2B': did you mean qwen3.5-2b?"),
        ({"model": "hub", "model_sha256": "123"}, "model sha256 '123' is not valid"),
        ({"api_key": "short"}, "api_key: must be generate, or 8 to 1024 letters"),
        ({"api_key": "two\nlines-of-key"}, "api_key: must be generate, or 8 to 1024 letters"),
        ({"llama_source": "ftp"}, "llama_source"),
        ({"config_conflict": "maybe"}, "config_conflict is 'maybe': must be"),
    ],
)
def test_bad_settings_are_refused_in_one_line(changes: dict[str, Any], said: str) -> None:
    assert said in refused(**changes)


def test_every_problem_is_named_at_once() -> None:
    message = refused(sever_port=1, thread=2)
    assert "sever_port" in message
    assert "thread" in message


@pytest.mark.parametrize("role", [Settings, GatewayFields, MonitorFields, ChannelFields])
def test_a_host_that_is_told_nothing_has_the_defaults(role: type[RoleFields]) -> None:
    assert role_settings(role, {}) == role_settings(role, ALL)


def test_what_belongs_to_pyinfra_is_not_ours_to_refuse() -> None:
    settings_from(ALL | {"ssh_user": "pi", "_sudo": True}, foreign=frozenset({"ssh_user"}))


@pytest.mark.parametrize("role", [Settings, GatewayFields, MonitorFields, ChannelFields])
def test_a_host_has_one_set_of_data_for_all_of_its_roles(role: type[RoleFields]) -> None:
    role_settings(role, ALL)
    with pytest.raises(SettingsError, match=r"^unknown setting sever_port: did you mean server_port\?$"):
        role_settings(role, ALL | {"sever_port": 1})


def test_a_key_is_never_shown() -> None:
    settings = told(api_key="very-secret-key", server_host="0.0.0.0")
    assert "very-secret" not in repr(settings)
    assert "very-secret" not in settings.config_json(OLLAMA)
    assert "very-secret" not in refused(api_key="very-secret key")


@pytest.mark.parametrize("name", ["it's a model; rm -rf.gguf", 'two "quotes".gguf', "$(reboot).gguf"])
def test_a_model_path_may_hold_what_a_shell_would_act_on(name: str) -> None:
    settings = told(model="path", model_path=f"/models/{name}")
    assert json.loads(settings.config_json(OLLAMA))["models"]["default_model"] == name


def test_a_newline_in_a_model_path_is_refused() -> None:
    assert "model file" in refused(model="path", model_path="/models/a\nb.gguf")


def test_who_may_connect_follows_the_address_and_the_networks() -> None:
    assert told(server_host="0.0.0.0", allow_unauthenticated=True).allowed_clients == ["any"]
    assert told(
        server_host="0.0.0.0", api_key="generate", server_clients="192.168.1.0/24 fd00::/8"
    ).allowed_clients == [
        "localhost",
        "192.168.1.0/24",
        "fd00::/8",
    ]
    assert "192.168.1.0/33" in refused(server_clients="192.168.1.0/33")


def test_group_data_of_boards_holds_differences_only() -> None:
    for file in sorted(Path(REPO / "inventory" / "group_data").glob("*.py")):
        values = {key for key in runpy.run_path(str(file)) if not key.startswith("_")}
        assert values <= set(ALL), file
