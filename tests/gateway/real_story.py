"""Two boards with real llama-servers behind a gateway: `python -m tests.gateway.real_story trixie`.

The boards are simulated, and their programs those of a Cortex-A76, which the kernel starts through qemu-user. Each
serves the smoke model for chats and MiniLM for embeddings. OpenAI's own client asks.
"""

import sys
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import openai
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from deploy.build.artifact import require_artifact
from deploy.controller.progress import say_line
from deploy.debian.binfmt import ensure_arm64_runs
from deploy.errors import BoardllamaError
from deploy.models import smoke
from deploy.paths import cache_dir
from tests.build.builds import wanted
from tests.certificates import Authority
from tests.fleet.apart import run_folder
from tests.fleet.boards import Board
from tests.fleet.inventories import pyinfra_inventory
from tests.fleet.run import BOARD_CPU
from tests.fleet.tools import Work, deploy_reported, invoke_deploy
from tests.fleet.under_load import BOARD_DATA, CLIENT_KEY, GATEWAY, PORT, Site, require_good, upgrade_all
from tests.gateway.simulated import run_story, simulated_boards
from tests.real_models import minilm

BOARDS, DEADLINE = 2, 120.0
CHAT, VECTORS = smoke.FILE, "mini"
# What a board's sandbox forbids and the emulator does: it compiles while it runs.
EMULATED = "[Service]\nMemoryDenyWriteExecute=no\n"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Is the lamp on or off?"}]
STATE: dict[str, object] = {"type": "object", "properties": {"state": {"enum": ["on", "off"]}}, "required": ["state"]}
LAMP: ChatCompletionToolParam = {"type": "function", "function": {"name": "turn_lamp", "parameters": STATE}}


@dataclass(frozen=True)
class RealSite(Site):
    """Boards whose programs are real, and their gateway."""

    def deploy(self, work: Work) -> list[dict[str, Any]]:
        """Deploys to all boards and the gateway, by the user's own builds. Returns the report's rows."""
        models = ["smoke", {"model": str(minilm()), "role": "embed", "alias": VECTORS}]
        # One thread for each server: threads wait for one another by spinning, and here are fewer cores than on boards.
        told = BOARD_DATA | {"models": models, "threads": 1}
        hosts = {board.title: board.host_data() | told for board in self.boards}
        inventory = pyinfra_inventory(hosts, {GATEWAY.title: self.gateway_data()})
        called = invoke_deploy(inventory, {"top_k": work.top_k}, cache_dir())
        return deploy_reported(called, self.fleet.boards, run_folder() / "real.log")[0]

    @cached_property
    def client(self) -> openai.OpenAI:
        """OpenAI's client of the gateway, which trusts its certificate and tries nothing twice."""
        http = openai.DefaultHttpxClient(verify=str(self.authority.pem), timeout=DEADLINE)
        return openai.OpenAI(
            base_url=f"https://{GATEWAY.address}:{PORT}/v1", api_key=CLIENT_KEY, max_retries=0, http_client=http
        )


def tell(suite: str) -> None:
    """The story. Raises AssertionError, BoardllamaError, openai.OpenAIError."""
    with simulated_boards(suite, BOARDS) as fleet:
        boards = [board for board in fleet.boards if board is not GATEWAY]
        for board in boards:
            let_emulator_compile(board)
        authority = Authority(run_folder(), (GATEWAY.address,))
        authority.context()
        site, work = RealSite(fleet, boards, authority), Work(run_folder(), smoke.smoke_model())
        began = time.monotonic()
        require_good(site.deploy(work))
        say_line(f"real: deployed to {len(boards)} boards, {time.monotonic() - began:.0f} s")
        ask_everything(site.client)
        upgrade = upgrade_all(site, replace(work, top_k=41))
        for line in (upgrade.summary, *upgrade.failed):
            say_line(f"real: {line}")
        assert upgrade.as_expected


def let_emulator_compile(board: Board) -> None:
    """Has the board's systemd allow what the emulator does."""
    folder = board.root / "etc/systemd/system/service.d"
    folder.mkdir()
    (folder / "emulated.conf").write_text(EMULATED)
    board.run("systemctl", "daemon-reload")


def ask_everything(client: openai.OpenAI) -> None:
    """What clients ask of a gateway. Raises AssertionError, openai.OpenAIError."""
    assert {model.id for model in client.models.list()} == {CHAT, VECTORS}
    answer = client.chat.completions.create(model=CHAT, messages=MESSAGES, max_tokens=6)
    assert answer.choices[0].message.content and answer.usage and answer.usage.completion_tokens
    pieces = list(client.chat.completions.create(model=CHAT, messages=MESSAGES, max_tokens=20, stream=True))
    choices = [piece.choices[0] for piece in pieces if piece.choices]
    assert len(choices) > 10 and choices[-1].finish_reason in ("stop", "length")
    message = (
        client.chat.completions.create(model=CHAT, messages=MESSAGES, max_tokens=30, tools=[LAMP]).choices[0].message
    )
    assert message.content or message.tool_calls
    texts = ["a lamp", "a light", "a goat in the hills"]
    lamp, light, goat = (row.embedding for row in client.embeddings.create(model=VECTORS, input=texts).data)
    assert len(lamp) == 384 and product(lamp, light) > product(lamp, goat)
    for model, status in (("gpt-5", 404), ("", 404)):
        refuse(client, model, status)
    say_line("real: models, whole answer, stream, tools, embeddings; an unknown model is refused by name")


def product(one: list[float], other: list[float]) -> float:
    """How alike two texts are, by their vectors."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def refuse(client: openai.OpenAI, model: str, status: int) -> None:
    """Raises AssertionError unless the model is refused, with the names of those that are served."""
    try:
        client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=1)
    except openai.APIStatusError as refused:
        assert refused.status_code == status and f"name one of {CHAT}, {VECTORS}" in str(refused), str(refused)
    else:
        raise AssertionError(f"{model} was answered")


def prepare() -> None:
    """What takes a network. Raises BoardllamaError where there is no build."""
    try:
        require_artifact(wanted(BOARD_CPU))
    except BoardllamaError as error:
        raise BoardllamaError(f"{error}; `make builds` makes it") from None
    minilm()
    ensure_arm64_runs()


if __name__ == "__main__":
    sys.exit(run_story("tests.gateway.real_story", prepare, tell))
