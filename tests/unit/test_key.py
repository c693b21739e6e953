"""The API key: on a board that runs it is written; an image gets the unit that makes one, never a key."""

import base64
import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.hosts.facts import KeyFile, KeyInfo
from deploy.hosts.snapshot import Snapshot
from deploy.onboard.identity.rules import GENERATE
from deploy.onboard.places import PLACES
from deploy.onboard.service import OLLAMA, Service
from deploy.stages import key
from tests.unit.known_host import KnownHost, Lock, lock_here, program, programs_here
from tests.unit.test_plan import PI_5, a_board, changes, deploy, plan

__all__ = ["lock_here", "programs_here"]

IN_A_TREE = PI_5.removesuffix("\nsystemd yes")
MADE = "Configure | Have the first start make the API key"


GIVEN = hashlib.sha256(b"sk-1\n").hexdigest()


@pytest.fixture
def api_key(tmp_path: Path, lock_here: Lock) -> Path:
    """The key's place. `seen` beside it: the command lines of the machine, and the file's mode, when it got its owner.

    A board has the account that this machine lacks.
    """
    path = tmp_path / "etc" / "api-key"
    path.parent.mkdir()
    look = "cat /proc/[0-9]*/cmdline 2>/dev/null; stat -c ' mode %a' $2; echo owner $1"
    program(tmp_path / "programs" / "chown", f"{{ {look}; }} >{tmp_path}/seen")
    return path


def kept(api_key: Path) -> Service:
    """The service that has its key there."""
    return replace(OLLAMA, api_key=api_key)


def seen(api_key: Path) -> str:
    """What the fixture noted."""
    return (api_key.parent.parent / "seen").read_bytes().decode(errors="replace")


def test_a_running_board_gets_its_key_and_a_tree_the_unit(tmp_path: Path) -> None:
    both = [a_board(PI_5, "board"), a_board(IN_A_TREE, "tree")]
    planned = changes(deploy(tmp_path, both, "--dry", "--data", "api_key=generate", builder="@fake/builder"))
    assert planned["Configure | Write the API key"] == ["@fake/board"]
    assert planned[MADE] == ["@fake/tree"]


def test_a_key_of_ones_own_is_refused_for_a_tree(tmp_path: Path) -> None:
    done = plan(tmp_path, IN_A_TREE, "--data", "api_key=one-for-all-cards")
    assert "would be refused: api_key: a key of your own does not go into an image" in done.stderr
    assert "one-for-all-cards" not in done.stderr


def test_the_unit_makes_a_key_only_where_there_is_none_and_before_the_server() -> None:
    lines = key.key_unit(OLLAMA).splitlines()
    assert f"ConditionPathExists=!{OLLAMA.api_key}" in lines
    assert f"Before={OLLAMA.unit}" in lines
    assert f"RequiredBy={OLLAMA.unit}" in lines
    (start,) = (line for line in lines if line.startswith("ExecStart="))
    assert start.count("'") == 2, "the shell gets one word"
    assert not set("%$\\") & set(start), "systemd would expand it"


def test_a_key_that_a_first_start_makes_is_another_one_on_each_board(api_key: Path) -> None:
    """What the unit of an image runs: 24 random bytes in base64, and nothing beside it."""
    made = []
    for _ in range(2):
        subprocess.run(["sh", "-c", key.key_command(kept(api_key), key.random_key("/dev/random"))], check=True)
        made.append(api_key.read_text())
    assert [len(base64.b64decode(text)) for text in made] == [24, 24]
    assert made[0] != made[1]


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


@pytest.mark.parametrize("there", [None, KeyInfo("ab", "640", "root:ollama")], ids=["none", "another"])
def test_the_given_key_is_written_for_the_service_alone_and_shown_to_nobody(
    api_key: Path, there: KeyInfo | None
) -> None:
    assert KnownHost(Snapshot(keys={OLLAMA.name: there})).does(key.store_api_key, kept(api_key), SecretStr("sk-1"))
    assert api_key.read_text() == "sk-1\n"
    assert api_key.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in api_key.parent.iterdir()] == ["api-key"]
    assert seen(api_key).endswith(" mode 600\nowner root:ollama\n"), "before it has its owner root alone may read it"
    assert "sk-1" not in seen(api_key), "it stands in no command line"


def test_a_key_is_made_on_a_board_that_has_none(api_key: Path) -> None:
    assert KnownHost(Snapshot()).does(key.store_api_key, kept(api_key), SecretStr("generate"))
    assert len(base64.b64decode(api_key.read_text())) == 24


def test_a_key_that_others_may_read_is_locked_away(api_key: Path) -> None:
    api_key.write_text("sk-1\n")
    api_key.chmod(0o644)
    there = Snapshot(keys={OLLAMA.name: KeyInfo(GIVEN, "644", "root:ollama")})
    assert KnownHost(there).does(key.store_api_key, kept(api_key), SecretStr("sk-1"))
    assert (api_key.read_text(), api_key.stat().st_mode & 0o777) == ("sk-1\n", 0o640)
    assert seen(api_key).endswith("owner root:ollama\n")


@pytest.mark.parametrize(
    ("given", "there", "changes"),
    [
        ("generate", KeyInfo("ab", "640", "root:ollama"), False),
        ("sk-1", KeyInfo(GIVEN, "640", "root:ollama"), False),
        ("sk-1", KeyInfo(GIVEN, "640", "pi:pi"), True),
        ("generate", KeyInfo("ab", "604", "root:ollama"), True),
        ("sk-2", KeyInfo(GIVEN, "640", "root:ollama"), True),
    ],
)
def test_a_key_that_is_right_stays(given: str, there: KeyInfo, changes: bool) -> None:
    assert (
        bool(KnownHost(Snapshot(keys={OLLAMA.name: there})).plans(key.store_api_key, OLLAMA, SecretStr(given)))
        == changes
    )


def test_no_card_gets_a_key_that_many_cards_would_have() -> None:
    host = KnownHost(Snapshot())
    assert not host.does(key.key_of_first_start, OLLAMA, SecretStr("sk-1"))
    assert host.record.verdict == "refused" and "sk-1" not in host.record.reason


def test_the_unit_of_a_first_start_is_enabled_once(tmp_path: Path, programs_here: Path) -> None:
    unit, enabled = OLLAMA.public_key_unit(PLACES), OLLAMA.key_enabled(PLACES)
    cases: list[dict[str, str | None]] = [{}, {str(enabled): "/elsewhere"}, {str(enabled): str(unit)}]
    hosts = [KnownHost(Snapshot(links=links)) for links in cases]
    planned = [len(host.plans(key.key_of_first_start, OLLAMA, SecretStr(GENERATE))) for host in hosts]
    assert [planned[0] - count for count in planned] == [0, 0, 1]
    program(programs_here / "systemctl", f'echo "$@" >>{tmp_path}/asked')
    key.enable_key_unit(KnownHost(Snapshot()).remote, OLLAMA)
    assert (tmp_path / "asked").read_text() == f"enable {OLLAMA.key_unit}\n"
