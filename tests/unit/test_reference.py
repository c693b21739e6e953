"""What docs/ and `make help` say of the tables of the code is what the tables say."""

import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from deploy.build.source import source_kinds
from deploy.command.__main__ import boardllama
from deploy.cpu import CPUS
from deploy.errors import BoardllamaError
from deploy.image.boards import BOARDS
from deploy.models.catalogue.entries import CATALOGUE
from deploy.onboard.places import PLACES
from deploy.onboard.server.config_keys import KEYS
from deploy.paths import REPO
from deploy.reference.catalogue_table import catalogue_table, pins_table
from deploy.reference.command_tables import board_table, verbs_sections
from deploy.reference.config_table import config_table
from deploy.reference.dashboards import dashboard_files
from deploy.reference.default_comments import comments_above, explained_settings
from deploy.reference.messages import messages_page
from deploy.reference.pages import generated_pages, with_parts
from deploy.reference.place_tables import READ, places_table, served_table
from deploy.reference.settings_table import rule_text, settings_tables
from deploy.reference.tables import boards_table, cpus_table
from deploy.setting_fields import EVERY_FIELD
from tests.unit.test_settings import refused


def test_the_pages_are_what_the_code_writes() -> None:
    """`make docs` writes them again."""
    for page, text in {**generated_pages(), **dashboard_files()}.items():
        assert page.read_text() == text, f"{page} differs: make docs"


def test_every_board_cpu_and_setting_has_its_row() -> None:
    assert [line.split("`")[1] for line in boards_table().splitlines()[2:]] == list(BOARDS)
    assert [line.split("`")[1] for line in cpus_table().splitlines()[2:]] == list(CPUS)
    rows = [line.split("`")[1] for line in settings_tables().splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(EVERY_FIELD)


def test_every_key_model_verb_and_place_has_its_row() -> None:
    keys = [f"| `{section}.{name}` |" for section, names in KEYS.items() for name in names]
    assert [key for key in keys if key not in config_table()] == []
    assert [name for name in CATALOGUE if f"| `{name}` |" not in catalogue_table()] == []
    assert [name for name in CATALOGUE if f"| `{name}` |" not in pins_table()] == []
    assert [name for name in boardllama.commands if f"boardllama {name}\n" not in verbs_sections()] == []
    assert "`boardllama rollback [ID]`" in board_table()
    places = served_table() + places_table()
    named = [field.name for field in fields(PLACES) if field.name not in READ]
    assert [name for name in named if f"`{getattr(PLACES, name)}`" not in places] == []


def test_the_page_of_messages_has_what_a_user_met() -> None:
    page = messages_page()
    for said in ("does not keep what is written to it", "is not what was signed", "is what this machine runs from"):
        assert said in page, said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server_port", 0),
        ("llama_source", "x"),
        ("model_repo", "x"),
        ("api_key", "x"),
        ("log_level", "x"),
        ("context_size", -1),
    ],
)
def test_a_row_has_the_words_in_which_a_wrong_value_is_refused(name: str, value: object) -> None:
    assert rule_text(name).removesuffix("; or None") in refused(**{name: value})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model", "auto, hub, path, smoke, None, or a name that `make models` lists"),
        ("config_conflict", "keep, overwrite"),
        ("model_size", "a whole number over 0"),
        ("canary", "a whole number, 0 or more"),
        ("min_tokens_per_second", 'a number from 0 to 10000, or "tuned"'),
        ("llama_source", f"one of {source_kinds()}"),
    ],
)
def test_a_rule_of_pydantic_is_said_in_words(name: str, said: str) -> None:
    assert rule_text(name) == said


def test_a_comment_belongs_to_the_name_below_it() -> None:
    source = '"""Head."""\n\n# A group. At once.\n\n# Says this\n# and that.\na_b = 1\nplain = ""\n'
    assert list(comments_above(source)) == [("A group. At once.", ""), ("Says this and that.", "a_b"), ("", "plain")]


def test_every_setting_says_what_it_does_and_when_it_takes_effect() -> None:
    for setting in explained_settings():
        assert setting.text.endswith(".") and setting.group and setting.effect, setting.name


def test_a_page_without_its_marks_is_one_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n")
    with pytest.raises(BoardllamaError, match=r"page\.md: <!-- boards: .* must be there once: write both comments"):
        with_parts(page, {"boards": boards_table})


def test_help_lists_the_boards_and_is_there_before_python_is(tmp_path: Path) -> None:
    for name in ("make", "sh", "sed", "awk"):
        (tmp_path / name).symlink_to(Path("/usr/bin") / name)
    said = {path: make_help(path) for path in (f"{tmp_path}", "/usr/bin:/bin")}
    assert said[f"{tmp_path}"].endswith("  BOARD: docs/how-to/images.md lists them\n")
    assert all(name in "".join(said["/usr/bin:/bin"].splitlines()[-2:]) for name in BOARDS)


def make_help(programs: str) -> str:
    """What `make help` prints with the programs of those folders."""
    line = ["/usr/bin/make", "--no-print-directory", "help"]
    return subprocess.run(line, cwd=REPO, env={"PATH": programs}, capture_output=True, text=True, check=True).stdout
