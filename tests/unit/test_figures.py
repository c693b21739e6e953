"""What a board tells a monitor of its release: lines of a file that the node exporter reads."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.onboard.cli import main
from deploy.onboard.places import PLACES, Places
from deploy.onboard.release.figures import FILE
from tests.monitor.selectors import OF_MONITORS, named_figures

MANIFEST = {
    "version": 2,
    "services": [],
    "pins": {"llama.cpp": {"commit": "0c1e570"}},
    "policy": {"min_tokens_per_second": 2.5, "releases_kept": 2},
}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A board whose release r1 is the current one, with an exporter."""
    made = replace(
        PLACES,
        releases=tmp_path / "releases",
        current=tmp_path / "current",
        figures=tmp_path / "figures",
        verdict=tmp_path / "verdict.json",
    )
    (made.releases / "r1").mkdir(parents=True)
    (made.releases / "r1" / "manifest.json").write_text(json.dumps(MANIFEST))
    made.current.symlink_to("releases/r1")
    made.figures.mkdir()
    return made


def lines(places: Places) -> dict[str, str]:
    """The values of the file by the names of their metrics."""
    rows = [line.rpartition(" ") for line in (places.figures / FILE).read_text().splitlines()]
    return {name.partition("{")[0]: value for name, _, value in rows}


def test_the_release_its_floor_and_its_speed_are_told(places: Places) -> None:
    places.verdict.write_text(json.dumps({"release": "r1", "tokens_per_second": 7.25}))
    assert main(["figures"], places) == 0
    assert 'boardllama_release_info{release="r1",model="-",commit="0c1e570"} 1' in (places.figures / FILE).read_text()
    told = lines(places)
    assert told["boardllama_tokens_per_second_floor"] == "2.5"
    assert told["boardllama_tokens_per_second_gate"] == "7.25"
    assert told["boardllama_release_committed_timestamp_seconds"] == f"{places.current.lstat().st_mtime:.0f}"
    assert told.keys() == {name for name in named_figures("boardllama_") if name not in OF_MONITORS}, "all is looked at"


def test_a_speed_of_another_release_is_not_told(places: Places) -> None:
    places.verdict.write_text(json.dumps({"release": "r0", "tokens_per_second": 7.25}))
    assert main(["figures"], places) == 0
    assert "boardllama_tokens_per_second_gate" not in lines(places)


def test_a_board_without_an_exporter_gets_no_file(places: Places) -> None:
    places.figures.rmdir()
    assert main(["figures"], places) == 0
    assert not places.figures.exists()


def test_of_a_damaged_release_nothing_is_told(places: Places) -> None:
    assert main(["figures"], places) == 0
    (places.releases / "r1" / "manifest.json").write_text("{")
    assert main(["figures"], places) == 0
    assert (places.figures / FILE).read_text() == ""


def test_the_exporter_needs_no_right_to_what_is_root_s_alone() -> None:
    """A deploy closes the folder of its records, and tests/fleet has the exporter of a board read the figures."""
    assert not PLACES.figures.is_relative_to(PLACES.records.parent)
