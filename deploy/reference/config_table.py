"""docs/reference/config-json.md: a row for each key of /etc/ollama-cpp/config.json."""

import json

from deploy.onboard.server.config_keys import KEYS
from deploy.reference.tables import markdown_table
from deploy.setting_fields import EVERY_FIELD
from deploy.setting_rules import config_settings


def config_table() -> str:
    """Each key with its rule, its value where a file leaves it out, and the setting that a deploy writes it from."""
    rows = [
        [f"`{section}.{name}`", f"{key.rule.text}", f"`{json.dumps(key.default)}`", setting_cell(f"{section}.{name}")]
        for section, keys in KEYS.items()
        for name, key in keys.items()
    ]
    return markdown_table(("key", "must be", "when left out", "a deploy writes it from"), rows)


def setting_cell(key: str) -> str:
    """The setting by its name, or in words where several decide."""
    setting = config_settings()[key]
    return f"`{setting}`" if setting in EVERY_FIELD else f"the {setting}" if " " in setting else "what the board is"
