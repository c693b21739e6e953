"""The lock files hold what pyproject.toml asks for, each with its hashes; and what the audit of them says."""

import re
from typing import Any

import pytest
from packaging.requirements import Requirement

from deploy.controller.audit import NOT_AUDITED, VULNERABLE, judge_report, main
from deploy.paths import REPO

PROJECT = (REPO / "pyproject.toml").read_text()
MADE_WITH = {"requirements.lock": "3.10", "requirements-tools.lock": "3.11"}
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def wanted(lock: str) -> list[Requirement]:
    """What pyproject.toml asks for in that lock."""
    groups = re.findall(r"^(?:release|docs) = \[(.*)\]$", PROJECT, re.M)
    pins = re.findall(r'^    "([^"]+==[^"]+)",$', PROJECT, re.M)
    return [Requirement(text) for text in (re.findall(r'"(.+?)"', " ".join(groups)) if "tools" in lock else pins)]


def locked(lock: str) -> list[tuple[Requirement, int]]:
    """Each pin of a lock with the number of its hashes."""
    parts = re.findall(
        r"^([a-z].*?)(?: \\)?\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)*)", (REPO / lock).read_text(), re.M
    )
    return [(Requirement(pin), hashes.count("--hash")) for pin, hashes in parts]


@pytest.mark.parametrize("lock", MADE_WITH)
@pytest.mark.parametrize("python", PYTHONS)
def test_what_the_project_pins_is_in_the_lock(lock: str, python: str) -> None:
    """`make lock` writes the locks again."""
    if python < MADE_WITH[lock]:
        python = MADE_WITH[lock]
    asked = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux"}
    there = {pin.name: str(pin.specifier) for pin, _ in locked(lock) if not pin.marker or pin.marker.evaluate(asked)}
    pins = [pin for pin in wanted(lock) if not pin.marker or pin.marker.evaluate(asked)]
    assert pins and [str(pin) for pin in pins if there.get(pin.name.lower()) != str(pin.specifier)] == []


@pytest.mark.parametrize("lock", MADE_WITH)
def test_every_package_is_pinned_with_a_hash(lock: str) -> None:
    pins = locked(lock)
    assert len(pins) > 50 and [str(pin) for pin, hashes in pins if not hashes or "==" not in str(pin)] == []


def package(name: str, **more: Any) -> dict[str, Any]:
    """What pip-audit writes of one."""
    return {"name": name, **({"version": "1.0", "vulns": []} | more if "skip_reason" not in more else more)}


def test_an_audit_that_asked_nobody_is_not_a_good_one() -> None:
    """pip-audit 2.10 behind a mirror without the JSON API, which answers 404: status 0."""
    report = {"dependencies": [package("jinja2", skip_reason="Dependency not found on PyPI"), package("numpy")]}
    status, lines = judge_report(report, "a.lock")
    assert status == NOT_AUDITED and "a.lock: not audited: of 2 packages PyPI's JSON API knows 1" in lines[0]


def test_a_vulnerability_is_said_with_its_remedy() -> None:
    weakness = {"id": "PYSEC-1", "fix_versions": ["1.1"]}
    report = {"dependencies": [package("jinja2", vulns=[weakness]), package("numpy", skip_reason="x")]}
    status, lines = judge_report(report, "a.lock")
    assert (status, lines[0]) == (
        VULNERABLE,
        "jinja2 1.0: PYSEC-1, mended in 1.1: pin it in pyproject.toml, `make lock`",
    )


def test_no_vulnerability_is_status_0() -> None:
    assert judge_report({"dependencies": [package("numpy")]}, "a.lock")[0] == 0


def test_a_program_that_says_nothing_has_not_audited(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("/bin/false", "a.lock") == NOT_AUDITED
    assert "a.lock: not audited: pip-audit ended with status 1" in capsys.readouterr().out
