"""Facts: process() on output recorded from boards."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from deploy.hosts.facts import Links, ReleaseFiles, Status, StatusInfo, StoredFiles, Units, UnitState
from deploy.onboard.server.health import Health, State


@pytest.mark.parametrize("version", ["", "1 "])
def test_a_receipt_counts_only_for_the_file_it_was_made_for(version: str) -> None:
    """The first receipts had no version."""
    sha256 = "a" * 64
    lines = [
        "stat 7 100 5.000000001|755 root:root|/usr/lib/a b",
        "stat 8 100 5.000000001|755 root:root|/usr/lib/c",
        f"receipt {version}{sha256} 7 100 5.000000001 /usr/lib/a b",
        f"receipt {version}{sha256} 9 100 5.000000001 /usr/lib/c",
    ]
    stored = StoredFiles().process(lines)
    assert stored["/usr/lib/a b"].sha256 == sha256
    assert stored["/usr/lib/c"].sha256 is None
    assert (stored["/usr/lib/c"].size, stored["/usr/lib/c"].mode, stored["/usr/lib/c"].owner) == (
        100,
        "755",
        "root:root",
    )


@pytest.mark.parametrize("line", ["receipt 2 {} 7 1 5.0 /a", "receipt 7 1 5.0 /a", "receipt {} 7 1 5.0", "receipt "])
def test_what_cannot_be_read_is_no_receipt(line: str) -> None:
    stored = StoredFiles().process(["stat 7 1 5.0|755 root:root|/a", line.format("a" * 64)])
    assert stored["/a"].sha256 is None


def test_what_is_no_link_is_told_apart() -> None:
    assert Links().process(["l|/usr/bin/a|/usr/lib/a", "f|/usr/bin/b|"]) == {
        "/usr/bin/a": "/usr/lib/a",
        "/usr/bin/b": None,
    }


def test_a_release_is_its_files_its_links_and_its_time() -> None:
    lines = ["ab  ./onboard/cli.py", "-> /usr/lib/x  ./llama-cli", "2026-11-22T15:50:43+00:00  ./created"]
    assert ReleaseFiles().process(lines) == {
        "onboard/cli.py": "ab",
        "llama-cli": "-> /usr/lib/x",
        "created": "2026-11-22T15:50:43+00:00",
    }


def test_a_target_without_our_programs_has_no_status() -> None:
    assert Status().process([]) == StatusInfo()
    assert Status().process(['{"current": "r1", "strays": ["/a"]}']) == StatusInfo(current="r1", strays=("/a",))


def test_programs_of_another_age_have_a_status_too() -> None:
    """Older ones say nothing of the server's health, newer ones more than this controller knows."""
    health = Health(State.LOADING, "/health answers 503")
    status = Status().process([json.dumps({"current": "r1", "health": health.to_json(), "from_next_year": 1})])
    assert status == StatusInfo(current="r1", health=health)
    assert Status().process(['{"current": "r1"}']).health is None


def test_a_unit_that_systemd_knows_by_an_older_file_is_told_from_others() -> None:
    said = "Id={}\nLoadState={}\nActiveState={}\nNeedDaemonReload={}"
    blocks = [
        said.format("a.timer", "loaded", "active", "yes"),
        said.format("b.service", "not-found", "inactive", "no"),
    ]
    assert Units().process("\n\n".join(blocks).splitlines()) == {
        "a.timer": UnitState(installed=True, active=True, stale=True),
        "b.service": UnitState(),
    }
    assert Units().process([]) == {}


def test_units_are_asked_about_where_their_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "systemctl").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "systemctl").chmod(0o755)
    command = Units().command({str(tmp_path / "systemctl"): "a.timer", "/nowhere/b": "b.service"})
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "show -p Id -p LoadState -p ActiveState -p NeedDaemonReload a.timer\n"
