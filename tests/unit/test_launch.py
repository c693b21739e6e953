"""The launcher: which model it finds, and how it becomes llama-server."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from deploy.onboard.gguf.architectures import PIN
from deploy.onboard.release import switch
from deploy.onboard.server import bounds, launch
from deploy.onboard.server.config import ConfigError
from deploy.onboard.server.cores import share_out
from deploy.onboard.service import OLLAMA
from tests.gguf_bytes import chat, gguf
from tests.unit.onboard import Target, argument, command, config, models, operators, target

__all__ = ["models", "target"]


def find(wanted: dict[str, dict[str, Any]]) -> Path:
    """The model, for a release that brings none."""
    return launch.find_model(wanted["models"], operators(), OLLAMA)


def test_the_only_model_is_served(models: Path) -> None:
    assert argument(command(config(models)), "--model") == str(models / "only one.gguf")


def test_a_hidden_rest_of_a_transfer_is_no_model(models: Path) -> None:
    (models / ".half.gguf").write_bytes(b"GGUF")
    assert find(config(models)).name == "only one.gguf"


def test_none_or_two_models_are_refused_by_name(models: Path) -> None:
    (models / "two.gguf").write_bytes(b"GGUF")
    with pytest.raises(ConfigError, match=r"holds 2 \*\.gguf \(only one\.gguf, two\.gguf\): set models.default"):
        find(config(models))
    chosen = config(models)
    chosen["models"]["default_model"] = "two.gguf"
    assert find(chosen).name == "two.gguf"
    for file in models.iterdir():
        file.unlink()
    with pytest.raises(ConfigError, match=r"holds no \*\.gguf \(nothing\): put one there and restart"):
        find(config(models))
    with pytest.raises(ConfigError, match=r"default_model is two\.gguf: .* holds none"):
        find(chosen)


def test_a_web_page_is_no_model(models: Path) -> None:
    (models / "only one.gguf").write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(ConfigError, match="is no GGUF file: it begins with b'<!DO'"):
        find(config(models))


def test_a_comma_does_not_make_two_names_of_one(models: Path) -> None:
    (models / "only one.gguf").rename(models / "a,b.gguf")
    words = command(config(models))
    assert argument(words, "--alias") == "a_b.gguf"
    assert argument(words, "--model") == str(models / "a,b.gguf")


def test_what_an_operator_brings_is_judged_and_what_a_release_brings_was(target: Target) -> None:
    """An embedding model answers no completion."""
    content = gguf(chat("bert"))
    (target.service.models / "by hand.gguf").write_bytes(content)
    brought = target.add("r1", content=content)
    models = {"path": str(target.service.models), "default_model": "m.gguf"}
    assert launch.find_model(models, brought, target.service).name == "m.gguf"
    with pytest.raises(ConfigError, match=r"by hand\.gguf is an embedding model .*\(bert\)"):
        launch.find_model(models | {"default_model": "by hand.gguf"}, brought, target.service)


def test_what_an_operator_brings_is_judged_by_what_the_llama_cpp_of_the_release_knows(models: Path) -> None:
    (models / "only one.gguf").write_bytes(gguf(chat("martian")))
    release, wanted = operators(), config(models)["models"]
    release.manifest["pins"] = {"llama.cpp": {"commit": PIN}}
    with pytest.raises(ConfigError, match="martian"):
        launch.find_model(wanted, release, OLLAMA)
    release.manifest["pins"] = {"llama.cpp": {"commit": "0" * 40}}
    assert launch.find_model(wanted, release, OLLAMA) == models / "only one.gguf"


def test_a_file_that_the_account_may_not_read_is_said(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read anything: the refusal is the kernel's in words."""

    def denied(*_words: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(ConfigError, match="cannot be read by the service's account: `chmod a\\+r` it"):
        find(config(models))


def test_a_folder_that_is_named_as_a_model_is_none(models: Path) -> None:
    (models / "folder.gguf").mkdir()
    assert find(config(models)).name == "only one.gguf"


def test_threads_default_to_the_cores_that_this_process_may_use(models: Path) -> None:
    work = share_out(config(models)["models"])
    assert work.cores <= os.sched_getaffinity(0)
    assert argument(command(config(models)), "--threads") == str(work.threads)
    assert argument(command(config(models)), "--threads-batch") == str(work.batch_threads)


def test_what_the_estimate_counts_with_is_said_whatever_the_config_says(models: Path) -> None:
    told = command(config(models))
    assert argument(told, "--ubatch-size") == str(bounds.UBATCH)
    counted = ("--parallel", "--ctx-checkpoints", "--cache-ram", "--cache-type-k", "--cache-type-v", "--spec-type")
    assert [argument(told, name) for name in counted] == ["4", "1", "0", "f16", "f16", "none"]
    assert [argument(told, name) for name in ("--flash-attn", "--load-mode", "--fit")] == ["on", "mmap", "off"]
    assert "--kv-unified" in told


def test_the_server_fetches_nothing_and_no_web_page_from_elsewhere_may_call_it(models: Path) -> None:
    told = command(config(models))
    assert "--offline" in told and "--metrics" in told
    assert argument(told, "--cors-origins") == "localhost"


def test_a_port_whose_last_connections_are_not_forgotten_yet_is_not_taken() -> None:
    """As after a restart: the kernel keeps for a minute what the server itself closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""
    launch.require_free_port(OLLAMA, {"host": "127.0.0.1", "port": port})


def test_a_taken_port_is_said_to_be_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"server.port {port}: Address already in use"):
            launch.require_free_port(OLLAMA, {"host": "127.0.0.1", "port": port})
    launch.require_free_port(OLLAMA, {"host": "127.0.0.1", "port": port})


def test_a_server_is_told_of_the_key_as_soon_as_there_is_one(models: Path, target: Target) -> None:
    assert "--api-key-file" not in command(config(models), target.service)
    target.service.api_key.parent.mkdir(parents=True, exist_ok=True)
    target.service.api_key.write_text("# of the kitchen\nsk-1\n")
    assert argument(command(config(models), target.service), "--api-key-file") == str(target.service.api_key)


def test_an_address_that_is_not_there_yet_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    class Waited(Exception):
        """Once is enough."""

    def sleep(_seconds: float) -> None:
        raise Waited

    with pytest.raises(Waited):
        launch.require_free_port(OLLAMA, {"host": "192.0.2.1", "port": 11434}, sleep)
    assert "waiting for the address 192.0.2.1" in capsys.readouterr().err


def test_the_model_of_a_release_is_its_own_before_and_after_the_commit(target: Target) -> None:
    switch.perform_switch(target.add("r1", content=b"GGUF one"))
    second = target.add("r2", content=b"GGUF two")
    models = {"path": str(target.service.models), "default_model": "m.gguf"}
    assert launch.find_model(models, second, target.service).read_bytes() == b"GGUF two"
    assert launch.find_model(models, target.release("r1"), target.service).read_bytes() == b"GGUF one"
    (target.service.models / "m.gguf").unlink()
    (target.service.models / "m.gguf").write_bytes(b"GGUF by hand")
    assert launch.find_model(models, second, target.service).read_bytes() == b"GGUF two", "what was judged is what runs"


def test_a_config_that_names_the_model_of_the_release_before_is_refused_at_once(target: Target) -> None:
    """Kept from an operator's edit while the deploy brings another model: it would be gone after the commit."""
    switch.perform_switch(target.add("r1", model="a.gguf"))
    second = target.add("r2", model="b.gguf", content=b"GGUF b")
    models = {"path": str(target.service.models), "default_model": "a.gguf"}
    with pytest.raises(ConfigError, match=r"default_model is a\.gguf: .* holds b\.gguf"):
        launch.find_model(models, second, target.service)


def test_a_port_that_is_roots_alone_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_socket: socket.socket, _address: object) -> None:
        raise PermissionError(13, "Permission denied")

    class Socket(socket.socket):
        bind = denied

    monkeypatch.setattr(socket, "socket", Socket)
    with pytest.raises(ConfigError, match=r"server\.port 80: Permission denied; ports below 1024 are root's"):
        launch.require_free_port(OLLAMA, {"host": "127.0.0.1", "port": 80})
