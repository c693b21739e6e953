"""docs/how-to/models.md as data: its blocks by name, which settings each needs, and what it must say.

`python` blocks are settings, as an inventory has them. `bash` blocks are typed on the controller, or on the board.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from deploy.paths import REPO
from tests.pages import page_blocks
from tests.real_models import MINILM, SMOLLM2

PAGE = (REPO / "docs" / "how-to" / "models.md").read_text()
COMMANDS = page_blocks(PAGE, "bash")
SETTINGS = page_blocks(PAGE, "python")
PLAIN = ""  # the settings of the inventory as it is
PIN_REPO, PIN_FILE = "ggml-org/Qwen3-1.7B-GGUF", "Qwen3-1.7B-Q4_K_M.gguf"
# What the page names → what these tests have.
INVENTORY, BOARD = "inventory/boards.py", "kitchen.example"
OWN_FILE, OWN_EMBEDDER = f"~/models/{SMOLLM2.name}", f"~/models/{MINILM.name}"


@dataclass(frozen=True)
class Typed:
    """`says`: regular expressions, found in what the block prints. `settings`: the block that is deployed before."""

    says: tuple[str, ...]
    settings: str = PLAIN
    on_board: bool = False


# In the order of the page.
EXPECTED = {
    "models": Typed((r"^qwen3\.5-2b ", r"^embeddinggemma-300m ")),
    "models-of-boards": Typed((r"MB of memory$", r"^qwen3\.5-2b ")),
    "models-of-a-board": Typed((r"MB of memory$",)),
    "deploy": Typed((r"1 board: 1 (switched|changed|no change)",)),
    "pin": Typed((rf'^model_repo = "{PIN_REPO}"$', r'^model_sha256 = "[0-9a-f]{64}"$', r"^model_size = \d+$")),
    "chat": Typed((r'"content":"[^"]*4',), settings="own-file", on_board=True),
    "picture": Typed((r"image input is not supported",), settings="own-file", on_board=True),
    "thinking-command": Typed((r" --reasoning off ",), settings="thinking", on_board=True),
    "long-prompts-command": Typed(
        (r" --ctx-size 4096 ", r" --cache-type-k q8_0 ", r" --cache-ram 128 ", r" --parallel 2 "),
        settings="long-prompts",
        on_board=True,
    ),
    "embeddings": Typed((r'"embedding":\[-?0\.\d+',), settings="embed", on_board=True),
    "list": Typed((r'"id": ?"boardllama-smoke.gguf"', r'"id": ?"mini"'), settings="several", on_board=True),
    "by-name": Typed((r'"embedding":\[-?0\.\d+',), settings="several", on_board=True),
    "answers-before": Typed((r"the first answers of this model here",)),
    "upgrade": Typed((r"1 board: 1 (switched|changed|no change)",)),
    "answers-after": Typed((r"\d answers are (not )?as by ",)),
    "rollback": Typed((r"1 board: 1 switched",)),
}


def settings_block(name: str) -> dict[str, Any]:
    """The settings that a block of the page writes down."""
    written: dict[str, Any] = {}
    exec(SETTINGS[name], written)
    return {key: value for key, value in written.items() if not key.startswith("__")}


def data_options(settings: dict[str, Any]) -> list[str]:
    """The options that tell pyinfra these settings."""
    words = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    return [word for name, value in words.items() for word in ("--data", f"{name}={value}")]


def is_said(pattern: str, said: str) -> bool:
    return re.search(pattern, said, re.M) is not None
