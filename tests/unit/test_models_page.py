"""docs/how-to/models.md: its settings are valid. That its commands work, tests/vm/test_models_page.py types on a VM."""

import re
from pathlib import Path

import pytest

from tests.unit.test_settings import told
from tests.vm.models_page import COMMANDS, EXPECTED, OWN_EMBEDDER, OWN_FILE, PAGE, SETTINGS, settings_block


def test_every_command_of_the_page_is_typed_in_a_test() -> None:
    assert list(COMMANDS) == list(EXPECTED)
    assert set(re.findall(r"^ *(?:```|~~~) *(\w+)", PAGE, re.M)) == {"bash", "python", "text"}
    assert not re.findall(r"^    (?:make|curl|\w+ = ).*", PAGE, re.M), "an indented block is typed by no test"


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_of_the_page_are_valid(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for file in (OWN_FILE, OWN_EMBEDDER):
        Path(file).expanduser().parent.mkdir(exist_ok=True)
        Path(file).expanduser().write_bytes(b"GGUF")
    assert told(**settings_block(name))


def test_settings_that_a_command_needs_are_on_the_page() -> None:
    assert {typed.settings for typed in EXPECTED.values()} - {""} <= set(SETTINGS)
