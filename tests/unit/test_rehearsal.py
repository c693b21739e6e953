"""Rehearsals: which boards are alike, and what a virtual one has of them."""

import os
from typing import Any

import pytest

from deploy.errors import BoardllamaError
from deploy.rehearsal.__main__ import rehearse
from deploy.rehearsal.kinds import Rehearsal, rehearsals_of

REACHED = {"ssh_user": "pi", "ssh_port": 22, "_sudo": True}


def target(name: str, *groups: str, **data: Any) -> tuple[str, list[str], dict[str, Any]]:
    return name, ["targets", *groups], {**REACHED, **data}


def test_boards_that_are_told_the_same_are_rehearsed_once() -> None:
    found = rehearsals_of(
        [
            target("a", "raspberry_pi_5", threads=2),
            target("b", "raspberry_pi_5", threads=2, ssh_port=2222),
            target("c", "raspberry_pi_5", threads=3),
            target("d", "raspberry_pi_4", threads=2),
            target("e", threads=2),
        ],
        {},
    )
    assert [one.hosts for one in found] == [("a", "b"), ("c",), ("d",), ("e",)]
    assert [one.board and one.board.name for one in found] == ["raspberry_pi_5"] * 2 + ["raspberry_pi_4", None]


def test_a_virtual_board_reaches_nobody_whom_the_real_one_would() -> None:
    """A mistyped setting stays: the deploy has to refuse it."""
    told = {"channel_url": "http://x", "site_cache": "y", "distribution": "site", "thread": 2, "model": "auto"}
    (found,) = rehearsals_of([target("a", "raspberry_pi_5", **told)], {"model": "smoke"})
    assert found.data == {"thread": 2, "model": "smoke"}


@pytest.mark.parametrize(
    ("told", "cores"),
    [({}, 2), ({"threads": 3}, 3), ({"cores": "0-3"}, 4), ({"cores": "fast"}, 2), ({"threads": 64}, 4)],
)
def test_it_has_the_boards_processor_and_memory(
    told: dict[str, Any], cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    (found,) = rehearsals_of([target("a", "raspberry_pi_3", **told)], {})
    assert (found.hardware.cpu, found.hardware.memory, found.hardware.cores) == ("cortex-a53", 904, cores)


def test_a_board_of_no_known_kind_is_taken_for_the_vms() -> None:
    assert Rehearsal(("a",), None, {}).hardware.cpu == "cortex-a76"


def test_a_result_that_has_no_place_is_an_error_before_anything_starts() -> None:
    """It was an OSError about a file that nobody had named, after minutes."""
    with pytest.raises(BoardllamaError, match="--junit is '/nonexistent/x"):
        rehearse(["boards-that-nobody-reads.py", "--junit", "/nonexistent/x.xml"])
