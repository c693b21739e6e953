"""The API key: on a board that runs it is written; an image gets the unit that makes one, never a key."""

import base64
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from deploy import key
from deploy.facts import KeyFile, KeyInfo
from deploy.onboard import places
from deploy.snapshot import Snapshot
from tests.unit.test_plan import PI_5, changes, plan

IN_A_TREE = PI_5.removesuffix("\nsystemd yes")
MADE = "Configure | Have the first start make the API key"


def test_a_running_board_gets_its_key_and_a_tree_the_unit(tmp_path: Path) -> None:
    board = changes(plan(tmp_path, PI_5, "--data", "api_key=generate"))
    assert (MADE in board, board["Configure | Write the API key"]) == (False, ["@fake/board"])
    tree = changes(plan(tmp_path, IN_A_TREE, "--data", "api_key=generate"))
    assert ("Configure | Write the API key" in tree, tree[MADE]) == (False, ["@fake/board"])


def test_a_key_of_ones_own_is_refused_for_a_tree(tmp_path: Path) -> None:
    done = plan(tmp_path, IN_A_TREE, "--data", "api_key=one-for-all-cards")
    assert "would be refused: api_key: a key of your own does not go into an image" in done.stderr
    assert "one-for-all-cards" not in done.stderr


def test_the_unit_makes_a_key_only_where_there_is_none_and_before_the_server() -> None:
    lines = key.key_unit().splitlines()
    assert f"ConditionPathExists=!{places.API_KEY}" in lines
    assert f"Before={places.UNIT}" in lines
    assert f"RequiredBy={places.UNIT}" in lines
    (start,) = (line for line in lines if line.startswith("ExecStart="))
    assert start.count("'") == 2, "the shell gets one word"
    assert not set("%$\\") & set(start), "systemd would expand it"


def test_a_made_key_has_the_length_of_24_random_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(key, "API_KEY", tmp_path / "api-key")
    command = key.keep(key.random_key("/dev/random")).replace("chown root:ollama", ": chown")
    made = []
    for _ in range(2):
        subprocess.run(["sh", "-c", command], check=True)
        made.append((tmp_path / "api-key").read_text())
    assert [len(base64.b64decode(text)) for text in made] == [24, 24]
    assert made[0] != made[1]
    assert [path.name for path in tmp_path.iterdir()] == ["api-key"]
    assert (tmp_path / "api-key").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("text", "is_key"), [("sk-1\n", True), ("# mine\nsk-1", True), ("", False), ("\n", False), ("# old\n \n", False)]
)
def test_a_file_without_a_key_counts_as_none(tmp_path: Path, text: str, is_key: bool) -> None:
    """llama-server would ask nobody for a key."""
    file = tmp_path / "a key"
    file.write_text(text)
    file.chmod(0o644)
    fact = KeyFile()
    printed = subprocess.run(["sh", "-c", fact.command(str(file))], capture_output=True, text=True, check=True).stdout
    found = fact.process(printed.splitlines())
    assert (found is not None) == is_key
    if found:
        assert (found.sha256, found.mode) == (hashlib.sha256(text.encode()).hexdigest(), "644")
    assert fact.process([]) is None


@pytest.mark.parametrize(
    ("there", "step"),
    [
        (None, key.write_key),
        (KeyInfo("ab", "640", "root:ollama"), None),
        (KeyInfo("ab", "644", "root:ollama"), key.lock_away),
        (KeyInfo("ab", "640", "pi:pi"), key.lock_away),
    ],
)
def test_a_key_that_others_may_read_is_locked_away(
    monkeypatch: pytest.MonkeyPatch, there: KeyInfo | None, step: Any
) -> None:
    monkeypatch.setattr(key, "seen", lambda _host: Snapshot(key=there))
    taken: list[Any] = []
    monkeypatch.setattr(key, "TargetStep", lambda function: taken.append(getattr(function, "func", function)))
    list(key.api_key._inner(SecretStr("generate")))
    assert taken == ([step] if step else [])
