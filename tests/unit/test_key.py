"""The API key: on a board that runs it is written; an image gets the unit that makes one, never a key."""

import base64
import subprocess
from pathlib import Path

import pytest

from deploy import key
from deploy.onboard import places
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
