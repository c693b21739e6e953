"""config.json: what it may say, and what llama-server is told because of it."""

from pathlib import Path
from typing import Any

import pytest

from deploy.onboard.server import config as rules
from deploy.onboard.server.config_keys import KEYS, no_arguments
from deploy.onboard.service import OLLAMA
from tests.unit.onboard import argument, command, config, models

__all__ = ["models"]


def test_the_defaults_obey_their_own_rules() -> None:
    assert rules.config_problems(rules.with_defaults({}, OLLAMA), OLLAMA, keyed=False) == []


@pytest.mark.parametrize(
    ("section", "key", "value", "flag", "shown"),
    [
        ("server", "host", "::1", "--host", "::1"),
        ("server", "port", 8080, "--port", "8080"),
        ("server", "timeout", 7, "--timeout", "7"),
        ("models", "default_context_size", 1024, "--ctx-size", "1024"),
        ("models", "default_threads", 3, "--threads", "3"),
        ("models", "default_threads", 3, "--threads-batch", "3"),
        ("models", "default_batch_threads", 5, "--threads-batch", "5"),
        ("inference", "batch_size", 64, "--batch-size", "64"),
        ("inference", "temperature", 0.1, "--temp", "0.1"),
        ("inference", "top_p", 1, "--top-p", "1"),
        ("inference", "top_k", 5, "--top-k", "5"),
        ("inference", "min_p", 0.05, "--min-p", "0.05"),
        ("inference", "repeat_penalty", 1.0, "--repeat-penalty", "1.0"),
        ("inference", "presence_penalty", -1.5, "--presence-penalty", "-1.5"),
        ("inference", "max_tokens", 256, "--predict", "256"),
        ("inference", "parallel", 1, "--parallel", "1"),
        ("inference", "checkpoints", 2, "--ctx-checkpoints", "2"),
        ("inference", "kv_cache", "q8_0", "--cache-type-k", "q8_0"),
        ("inference", "kv_cache", "q8_0", "--cache-type-v", "q8_0"),
        ("inference", "prompt_cache", 256, "--cache-ram", "256"),
        ("inference", "speculative", "ngram-mod", "--spec-type", "ngram-mod"),
        ("inference", "image_tokens", 64, "--image-max-tokens", "64"),
        ("inference", "reasoning", "off", "--reasoning", "off"),
        ("inference", "reasoning_budget", 0, "--reasoning-budget", "0"),
        ("inference", "extra_arguments", ["--seed", "7"], "--seed", "7"),
        ("models", "alias", "qwen3.5:2b", "--alias", "qwen3.5:2b"),
        ("models", "chat_template", "chatml", "--chat-template", "chatml"),
        ("models", "sleep_after", 600, "--sleep-idle-seconds", "600"),
        ("models", "sleep_after", 0, "--sleep-idle-seconds", "-1"),
        ("logging", "level", "debug", "--log-verbosity", "5"),
    ],
)
def test_every_key_reaches_the_server(
    models: Path, section: str, key: str, value: object, flag: str, shown: str
) -> None:
    wanted = config(models)
    wanted[section][key] = value
    assert rules.config_problems(wanted, OLLAMA, keyed=False) == []
    assert argument(command(wanted), flag) == shown


@pytest.mark.parametrize(
    ("key", "flag"),
    [
        ("temperature", "--temp"),
        ("top_p", "--top-p"),
        ("top_k", "--top-k"),
        ("min_p", "--min-p"),
        ("repeat_penalty", "--repeat-penalty"),
        ("presence_penalty", "--presence-penalty"),
        ("max_tokens", "--predict"),
        ("reasoning", "--reasoning"),
        ("reasoning_budget", "--reasoning-budget"),
        ("image_tokens", "--image-max-tokens"),
    ],
)
def test_of_a_key_that_is_null_or_missing_the_server_is_told_nothing(models: Path, key: str, flag: str) -> None:
    wanted = config(models)
    assert wanted["inference"][key] is None
    assert rules.config_problems({"inference": {key: None}}, OLLAMA, keyed=False) == []
    assert flag not in command(wanted)


def test_a_key_without_a_default_of_llama_cpp_may_not_be_null() -> None:
    (problem,) = rules.config_problems({"server": {"port": None}}, OLLAMA, keyed=False)
    assert problem == "server.port is null: must be a whole number from 1 to 65535"


def test_the_log_format_is_a_flag_of_its_own(models: Path) -> None:
    assert "--log-jsonl" in command(config(models, logging={"format": "json"}))
    assert "--no-log-jsonl" in command(config(models, logging={"format": "text"}))


def test_no_key_of_the_table_is_without_a_test_of_its_effect() -> None:
    """`no_arguments` marks keys that `server_command` treats by itself, each tested below. gpu_layers has one value."""
    special = {
        f"{section}.{name}"
        for section, keys in KEYS.items()
        for name, key in keys.items()
        if key.arguments is no_arguments
    }
    assert special == {
        "server.allow_unauthenticated",
        "models.path",
        "models.default_model",
        "models.default_cores",
        "models.default_threads",
        "models.default_batch_threads",
        "models.alias",
        "inference.gpu_layers",
    }


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"server": {"prot": 1}}, "server.prot is unknown: did you mean server.port?"),
        ({"sever": {}}, "sever is unknown: did you mean server?"),
        ({"server": {"port": 99999}}, "server.port is 99999: must be a whole number from 1 to 65535"),
        ({"server": {"port": True}}, "server.port is true: must be a whole number from 1 to 65535"),
        ({"server": {"host": "evil; rm"}}, 'server.host is "evil; rm": must be an IP address or localhost'),
        ({"models": {"default_threads": "4"}}, 'models.default_threads is "4": must be a whole number'),
        ({"models": {"default_model": "../x.gguf"}}, "models.default_model"),
        ({"models": {"path": "relative"}}, 'models.path is "relative": must be an absolute folder'),
        ({"models": {"path": "/" + "x" * 10_000}}, "(10003 characters): must be an absolute folder"),
        ({"models": {"path": "/a\nb"}}, "must be an absolute folder"),
        ({"models": {"default_model": "x" * 256 + ".gguf"}}, "must be the name of a .gguf file"),
        ({"models": {"default_model": ".x.gguf"}}, "without a dot in front"),
        ({"server": {"host": "fe80::1%\nIPAddressAllow=any"}}, "must be an IP address or localhost"),
        ({"inference": {"gpu_layers": 5}}, "inference.gpu_layers is 5: must be 0"),
        ({"inference": {"top_p": 2}}, "inference.top_p is 2: must be a number from 0 to 1"),
        ({"inference": {"kv_cache": "q5_1"}}, 'inference.kv_cache is "q5_1": must be one of f16, q8_0, q4_0'),
        ({"inference": {"parallel": 0}}, "inference.parallel is 0: must be a whole number from 1 to 32"),
        ({"inference": {"reasoning": False}}, "inference.reasoning is false: must be one of off, auto, on, or null"),
        ({"inference": {"speculative": "draft"}}, "must be one of none, ngram-simple"),
        ({"models": {"alias": "a,b"}}, 'models.alias is "a,b": must be at most 100 letters, digits or any of'),
        ({"models": {"chat_template": "llama3"}}, "must be chatml, or the text of a Jinja template with the word"),
        ({"models": {"chat_template": "messages" * 5000}}, "(40002 characters): must be chatml, or the text"),
        ({"logging": {"level": "loud"}}, 'logging.level is "loud": must be one of error, warning'),
        ({"server": 5}, "server is 5: must be an object"),
        ([], "the file holds []: must be an object"),
    ],
)
def test_a_wrong_key_is_refused_by_name(broken: Any, said: str) -> None:
    (problem,) = rules.config_problems(broken, OLLAMA, keyed=False)
    assert said in problem


def test_beyond_loopback_a_key_is_needed() -> None:
    outside = {"server": {"host": "0.0.0.0"}}
    assert "API key is needed" in rules.config_problems(outside, OLLAMA, keyed=False)[0]
    assert rules.config_problems(outside, OLLAMA, keyed=True) == []
    assert (
        rules.config_problems({"server": {"host": "0.0.0.0", "allow_unauthenticated": True}}, OLLAMA, keyed=False) == []
    )


def test_a_key_file_without_a_key_counts_as_none(tmp_path: Path) -> None:
    """llama-server would take such a file and switch its check off."""
    key = tmp_path / "api-key"
    for content, expected in (("", None), ("# none\n\n", None), ("# mine\nsecret\n", "secret")):
        key.write_text(content)
        assert rules.first_key(key) == expected


def test_broken_json_is_reported_with_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{\n  "models": {\n    "default_threads": 4  // more\n  }\n}\n')
    with pytest.raises(rules.ConfigError, match=r"line 3, column 27: Expecting"):
        rules.read_config(file)


def test_a_fragment_leaves_the_rest_at_its_defaults(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"models": {"default_threads": 4}}')
    wanted = rules.load_config(OLLAMA, file)
    assert wanted["models"]["default_threads"] == 4
    assert wanted["server"]["port"] == 11434


def test_a_wildcard_address_is_asked_on_loopback() -> None:
    assert rules.url_of({"host": "0.0.0.0", "port": 1}) == "http://127.0.0.1:1"
    assert rules.url_of({"host": "::", "port": 1}) == "http://[::1]:1"
