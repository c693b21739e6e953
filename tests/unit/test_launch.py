"""The launcher: what config.json may say, and what llama-server is told because of it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy import launch


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A models folder with one GGUF file."""
    folder = tmp_path / "models with space"
    folder.mkdir()
    (folder / "only one.gguf").write_bytes(b"GGUF....")
    return folder


def config(models: Path, **sections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A complete configuration that serves from `models`."""
    return launch.with_defaults({"models": {"path": str(models)}} | sections)


def argument(command: list[str], flag: str) -> str:
    """The value that follows `flag`."""
    return command[command.index(flag) + 1]


def test_the_defaults_obey_their_own_rules() -> None:
    assert launch.problems(launch.with_defaults({}), keyed=False) == []


@pytest.mark.parametrize(
    ("section", "key", "value", "flag", "shown"),
    [
        ("server", "host", "::1", "--host", "::1"),
        ("server", "port", 8080, "--port", "8080"),
        ("server", "timeout", 7, "--timeout", "7"),
        ("models", "default_context_size", 1024, "--ctx-size", "1024"),
        ("models", "default_threads", 3, "--threads", "3"),
        ("inference", "batch_size", 64, "--batch-size", "64"),
        ("inference", "temperature", 0.1, "--temp", "0.1"),
        ("inference", "top_p", 1, "--top-p", "1"),
        ("inference", "top_k", 5, "--top-k", "5"),
        ("inference", "repeat_penalty", 1.0, "--repeat-penalty", "1.0"),
        ("logging", "level", "debug", "--log-verbosity", "5"),
    ],
)
def test_every_key_reaches_the_server(
    models: Path, section: str, key: str, value: object, flag: str, shown: str
) -> None:
    wanted = config(models)
    wanted[section][key] = value
    assert launch.problems(wanted, keyed=False) == []
    assert argument(launch.command(wanted), flag) == shown


def test_the_log_format_is_a_flag_of_its_own(models: Path) -> None:
    assert "--log-jsonl" in launch.command(config(models, logging={"format": "json"}))
    assert "--no-log-jsonl" in launch.command(config(models, logging={"format": "text"}))


def test_no_key_of_the_table_is_without_a_test_of_its_effect() -> None:
    """`elsewhere` marks the keys that `command` treats by itself; each is tested below. gpu_layers has one value."""
    special = {
        f"{section}.{name}"
        for section, keys in launch.KEYS.items()
        for name, key in keys.items()
        if key.arguments is launch.elsewhere
    }
    assert special == {
        "server.allow_unauthenticated",
        "models.path",
        "models.default_model",
        "models.default_threads",
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
        ({"inference": {"gpu_layers": 5}}, "inference.gpu_layers is 5: must be 0"),
        ({"inference": {"top_p": 2}}, "inference.top_p is 2: must be a number from 0 to 1"),
        ({"logging": {"level": "loud"}}, 'logging.level is "loud": must be one of error, warning'),
        ({"server": 5}, "server is 5: must be an object"),
        ([], "the file holds []: must be an object"),
    ],
)
def test_a_wrong_key_is_refused_by_name(broken: Any, said: str) -> None:
    (problem,) = launch.problems(broken, keyed=False)
    assert said in problem


def test_beyond_loopback_a_key_is_needed() -> None:
    outside = {"server": {"host": "0.0.0.0"}}
    assert "API key is needed" in launch.problems(outside, keyed=False)[0]
    assert launch.problems(outside, keyed=True) == []
    assert launch.problems({"server": {"host": "0.0.0.0", "allow_unauthenticated": True}}, keyed=False) == []


def test_a_key_file_without_a_key_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """llama-server would take such a file and switch its check off."""
    key = tmp_path / "api-key"
    monkeypatch.setattr(launch, "API_KEY", key)
    for content, expected in (("", False), ("# none\n\n", False), ("# mine\nsecret\n", True)):
        key.write_text(content)
        assert launch.has_key() is expected


def test_broken_json_is_reported_with_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{\n  "models": {\n    "default_threads": 4  // more\n  }\n}\n')
    with pytest.raises(launch.ConfigError, match=r"line 3, column 27: Expecting"):
        launch.read(file)


def test_a_fragment_leaves_the_rest_at_its_defaults(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"models": {"default_threads": 4}}')
    wanted = launch.configuration(file)
    assert wanted["models"]["default_threads"] == 4
    assert wanted["server"]["port"] == 11434


def test_the_only_model_is_served(models: Path) -> None:
    assert argument(launch.command(config(models)), "--model") == str(models / "only one.gguf")


def test_a_hidden_rest_of_a_transfer_is_no_model(models: Path) -> None:
    (models / ".half.gguf").write_bytes(b"GGUF")
    assert launch.find_model(config(models)["models"]).name == "only one.gguf"


def test_none_or_two_models_are_refused_by_name(models: Path) -> None:
    (models / "two.gguf").write_bytes(b"GGUF")
    with pytest.raises(launch.ConfigError, match=r"holds 2 \*\.gguf \(only one\.gguf, two\.gguf\): set models.default"):
        launch.find_model(config(models)["models"])
    chosen = config(models)
    chosen["models"]["default_model"] = "two.gguf"
    assert launch.find_model(chosen["models"]).name == "two.gguf"
    for file in models.iterdir():
        file.unlink()
    with pytest.raises(launch.ConfigError, match=r"holds no \*\.gguf \(nothing\): put one there and restart"):
        launch.find_model(config(models)["models"])
    with pytest.raises(launch.ConfigError, match=r"default_model is two\.gguf: .* holds none"):
        launch.find_model(chosen["models"])


def test_a_web_page_is_no_model(models: Path) -> None:
    (models / "only one.gguf").write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(launch.ConfigError, match="is no GGUF file: it begins with b'<!DO'"):
        launch.find_model(config(models)["models"])


def test_hardware_threads_of_one_core_count_once(tmp_path: Path) -> None:
    for number, siblings in enumerate(["0-1", "0-1", "2-3", "2-3"]):
        topology = tmp_path / f"cpu{number}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(f"{siblings}\n")
    (tmp_path / "cpufreq").mkdir()
    assert launch.physical_cores(tmp_path) == 2


def test_threads_default_to_the_physical_cores(models: Path) -> None:
    assert argument(launch.command(config(models)), "--threads") == str(launch.physical_cores())


def test_a_taken_port_is_said_to_be_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(launch.ConfigError, match=rf"server.port {port}: Address already in use"):
            launch.check_port({"host": "127.0.0.1", "port": port})
    launch.check_port({"host": "127.0.0.1", "port": port})


def test_what_it_started_from_is_recorded(models: Path, tmp_path: Path) -> None:
    model = models / "only one.gguf"
    launch.record(tmp_path, model)
    stat = model.stat()
    *others, last = (tmp_path / "started").read_text().splitlines()
    assert last.split(" ", 3)[::3] == [str(stat.st_ino), str(model)]
    assert f"absent 0 0 {launch.API_KEY}" in others, "a key that appears later makes a difference"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The launcher as a program, with nothing but the standard library."""
    return subprocess.run(
        [sys.executable, "-IS", launch.__file__, *arguments], capture_output=True, text=True, timeout=20, check=False
    )


def test_the_command_line_answers_in_one_line(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps({"server": {"port": 8080}}))
    bad.write_text(json.dumps({"server": {"prot": 8080}}))
    assert run("--check", str(good)).returncode == 0
    answer = run("--check", str(bad))
    assert answer.returncode == launch.EX_CONFIG
    assert answer.stderr == f"ollama-cpp-server: {bad}: server.prot is unknown: did you mean server.port?\n"
    assert run("--check", str(tmp_path / "none.json")).returncode == launch.EX_CONFIG
    assert run("--nonsense").returncode == 2


def test_it_becomes_the_server_with_a_clean_environment(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LLAMA_ARG_* and a user's config.ini must not change what config.json says."""
    started: dict[str, Any] = {}
    monkeypatch.setenv("LLAMA_ARG_PORT", "1")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(os, "execve", lambda *args: started.update(zip(("path", "argv", "env"), args, strict=True)))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    launch.start(config(models, server={"port": port}))
    assert started["path"] == started["argv"][0] == "/usr/bin/llama-server"
    assert started["env"] == {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "XDG_CONFIG_HOME": "/nonexistent"}
    assert str(models / "only one.gguf") in (tmp_path / "started").read_text()
