"""Every link of a page leads somewhere, every page can be reached, and what pages tell to type is there."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.command.__main__ import boardllama
from deploy.paths import REPO
from deploy.reference.command_tables import board_verbs
from deploy.reference.links import MENTION, Link, anchor_of, links_of, pages
from deploy.reference.messages import messages_in
from tests.pages import page_blocks

SOURCES = [path for folder in ("deploy", "tests", "inventory", "templates") for path in (REPO / folder).rglob("*.*")]
TUTORIAL = (REPO / "docs/tutorial/first-answer.md").read_text()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(REPO)))
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = {f"{page.name}:{link.line}: {link.target}": link.fault for link in links_of(page) if link.fault}
    assert dead == {}


def test_every_page_is_reached_from_the_first() -> None:
    reached, todo = set(), [REPO / "README.md"]
    while todo:
        page = todo.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            local = (link for link in links_of(page) if ":" not in link.target)
            todo += [(page.parent / link.target.partition("#")[0]).resolve() for link in local if link.target[0] != "#"]
    assert set(pages()) - reached == set()


def test_every_page_that_a_program_names_is_there() -> None:
    texts = {
        path: path.read_text(errors="replace") for path in [*SOURCES, REPO / "Makefile", *pages()] if path.is_file()
    }
    dead = {
        (str(path.relative_to(REPO)), name)
        for path, text in texts.items()
        if path.suffix in (".py", ".md", ".j2", "") and path != Path(__file__)
        for name in MENTION.findall(text)
        if not (REPO / name).exists()
    }
    assert dead == set()


def test_every_target_that_a_page_tells_to_make_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(), re.M))
    told = {
        (page.name, name)
        for page in pages()
        for name in re.findall(r"(?:^    |`|^\$ |&& )make ([a-z-]+)", page.read_text(), re.M)
    }
    assert len(told) > 50 and {(page, name) for page, name in told if name not in targets} == set()


def test_every_verb_that_a_page_tells_to_type_is_there() -> None:
    verbs = {*boardllama.commands, *board_verbs().choices}
    told = {
        (page.name, name)
        for page in pages()
        for name in re.findall(r"(?:^    |`|sudo )boardllama ([a-z][a-z-]+)", page.read_text(), re.M)
    }
    assert len(told) > 20 and {(page, name) for page, name in told if name not in verbs} == set()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(REPO)))
def test_every_block_of_python_is_python(page: Path) -> None:
    for block in page_blocks(page.read_text(), "python").values():
        ast.parse(block)


def test_the_readme_is_one_screen_with_one_picture() -> None:
    text = (REPO / "README.md").read_text()
    assert text.count("\n") <= 60 and text.count("![") == 1


def test_the_tutorials_command_writes_the_tutorials_inventory(tmp_path: Path) -> None:
    """And pyinfra reads it."""
    blocks = page_blocks(TUTORIAL, "python", "bash")
    words = shlex.split(blocks["init"])
    command = [sys.executable, "-m", "deploy.command", *words[1:2], str(tmp_path / words[2]), *words[3:]]
    subprocess.run(command, cwd=REPO, capture_output=True, check=True)
    inventory = tmp_path / "fleet/boards.py"
    assert inventory.read_text().endswith(blocks["inventory"])
    pyinfra = Path(sys.executable).with_name("pyinfra")
    said = subprocess.run(
        [pyinfra, inventory, "debug-inventory"], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    assert "kitchen.local" in said.stdout + said.stderr and "generate" in said.stdout + said.stderr


def test_an_anchor_is_made_as_code_hosts_make_it() -> None:
    assert anchor_of("What to call instead of Ollama's API") == "what-to-call-instead-of-ollamas-api"
    assert anchor_of("Radxa ROCK 5B+, `rock_5b_plus`") == "radxa-rock-5b-rock_5b_plus"
    assert anchor_of("2. Your board") == "2-your-board"


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = REPO / "docs/README.md"
    assert Link(page, "nowhere.md", 1).fault == "there is no such file"
    assert Link(page, "roles/operator.md#nothing", 1).fault == "operator.md has no heading #nothing"
    assert Link(page, "../../..", 1).fault == "it leads out of the repository"
    assert Link(page, "https://pyinfra.com", 1).fault == ""


def test_a_message_is_found_with_places_for_its_values(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text(
        'raise BoardllamaError(f"{x} is {y}: must be so" if x else "both are wrong: say one")\n'
        'refuse(f"the board of {host.name} is gone: " + "look")\nraise KeyError("not for people at all")\n'
        'bad("it is hot", f"a fan of {size}")\n'
    )
    assert sorted({*messages_in(source)}) == [
        "both are wrong: say one",
        "it is hot -> a fan of …",
        "the board of … is gone:look",
        "… is …: must be so",
    ]
