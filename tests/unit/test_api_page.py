"""docs/reference/api.md: what it shows is what programs say. Its commands are typed by tests/vm/test_guide.py."""

import json
import re
import socket
import subprocess

import pytest

from deploy.onboard.server import launch
from deploy.onboard.server.config import ConfigError, load_config
from deploy.onboard.server.config_keys import KEYS
from deploy.onboard.service import OLLAMA
from tests.gguf_bytes import chat, gguf
from tests.unit.onboard import Target, target
from tests.unit.test_settings import told
from tests.vm.guide import EXPECTED, FILE, HUB, MODELS, PAGE, PROBLEMS, REPOSITORY, blocks, table

API_KEY, CONFIG = OLLAMA.api_key, OLLAMA.config

__all__ = ["target"]


def test_every_block_of_the_page_has_an_expectation_and_every_expectation_a_block() -> None:
    assert list(blocks()) == list(EXPECTED)
    assert PAGE.count("```bash") == len(EXPECTED)
    assert set(re.findall(r"^ *(?:```|~~~) *(\w+)", PAGE, re.M)) == {"bash", "text"}


@pytest.mark.parametrize(
    "typed",
    [
        f"wget -P {MODELS} {HUB}/{REPOSITORY}/resolve/main/{FILE}",
        "systemctl restart ollama-cpp-server",
        "systemctl status ollama-cpp-server",
        'curl http://localhost:11434/v1/completions -H "Content-Type: application/json" -d',
        'curl http://localhost:11434/v1/chat/completions -H "Content-Type: application/json" -d',
        "curl http://localhost:11434/health",
        "curl http://localhost:11434/props",
        "http://localhost:11434/api/generate -d",
        f"llama-cli -m {MODELS}/{FILE}",
        f"/usr/bin/llama-server --model {MODELS}/{FILE} --host",
        "--port 11434 --threads 8 --ctx-size 4096",
        f"/usr/bin/llama-server --model {MODELS}/{FILE} --ctx-size 1024",
        "netstat -plant | grep 11434",
        "journalctl -u ollama-cpp-server -f",
        "curl http://localhost:11434/metrics",
    ],
)
def test_what_users_of_the_reference_system_type_is_on_the_page(typed: str) -> None:
    on_one_line = [" ".join(block.replace("\\\n", " ").split()) for block in blocks().values()]
    assert any(typed in line for line in on_one_line)


def test_the_table_of_settings_is_the_launchers() -> None:
    keys = [(f"{section}.{name}", key) for section, keys in KEYS.items() for name, key in keys.items()]
    wanted = [[f"`{name}`", f"`{json.dumps(key.default)}`", key.rule.text] for name, key in keys]
    assert [row[:3] for row in table("key")] == wanted


def test_the_page_shows_the_lines_that_the_launcher_says() -> None:
    shown = [block for block in re.findall(r"^```text\n(.*?)^```$", PAGE, re.M | re.S) if "holds no *.gguf" in block]
    assert shown == ["".join(f"{line}\n" for line in PROBLEMS.values())]


class Served:
    """What the page tells to do to a board that serves, done in the target's folder."""

    def __init__(self, target: Target) -> None:
        self.release, self.root = target.add("r1", model=None), target.root
        self.service = target.service
        config = told(model=None, threads=2).config_json(self.service)
        self.service.config.parent.mkdir(parents=True)
        self.service.config.write_text(config)
        (self.service.models / FILE).write_bytes(gguf(chat()))

    def here(self, text: str) -> str:
        """A command or a message of the page, with the folder's paths."""
        for place in (MODELS, str(CONFIG), str(API_KEY)):
            text = text.replace(place, f"{self.root}{place}")
        return text

    def said(self) -> str:
        """Why the launcher does not start the server."""
        with pytest.raises(ConfigError) as caught:
            config = load_config(self.service)
            launch.server_command(config, self.release, self.service)
            launch.require_free_port(self.service, config["server"])
        return str(caught.value)


@pytest.fixture
def served(target: Target) -> Served:
    """As the page has left it: two threads, and one model that was brought by hand."""
    return Served(target)


@pytest.mark.parametrize("spoil", [spoil for spoil in PROBLEMS if spoil != "true"])
def test_the_launcher_says_what_is_wrong(served: Served, spoil: str) -> None:
    subprocess.run(["sh", "-ec", served.here(spoil)], check=True)
    assert served.said() == served.here(PROBLEMS[spoil])


def test_the_launcher_says_that_the_port_is_taken(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        config = served.service.config
        config.write_text(config.read_text().replace("11434", port))
        assert served.said() == PROBLEMS["true"].replace("11434", port)
