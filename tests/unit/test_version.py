"""The version of pyproject.toml is the newest of CHANGELOG.md, which tells users no fault that they never had."""

import re

from deploy.paths import REPO

HEADING = re.compile(r"^## (\d+\.\d+\.\d+), (\d{4}-\d\d-\d\d|not tagged yet)$", re.M)
CHANGES = (REPO / "CHANGELOG.md").read_text()


def test_the_newest_section_is_of_the_version_that_the_project_has() -> None:
    version = re.search(r'^version = "(.+)"$', (REPO / "pyproject.toml").read_text(), re.M)
    assert version and version[1] == HEADING.findall(CHANGES)[0][0]


def test_every_section_has_a_version_and_a_date_but_the_newest() -> None:
    sections = re.findall(r"^## .*$", CHANGES, re.M)
    assert sections[0] == "## Unreleased"
    found = HEADING.findall(CHANGES)
    assert len(found) == len(sections) - 1
    assert "not tagged yet" not in [date for _, date in found[1:]]


def test_while_a_release_is_not_tagged_its_section_takes_the_lines() -> None:
    unreleased = CHANGES.partition("## Unreleased\n")[2].partition("\n## ")[0]
    said = "write this below the version that is not tagged yet, with its likes"
    assert not unreleased.strip() or HEADING.findall(CHANGES)[0][1] != "not tagged yet", said


def test_the_first_release_corrects_nothing() -> None:
    first = re.split(r"^## ", CHANGES, flags=re.M)[-1]
    assert "Fixed:" not in first and "before;" not in first
