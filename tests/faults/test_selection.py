"""A few rows of the campaign with fixed seeds: one of each kind. `make faults` runs them all."""

from collections.abc import Iterator

import pytest

from tests.faults.__main__ import chosen
from tests.faults.campaign import attempt
from tests.faults.lab import Lab

# Row and seed; where each strikes follows from the seed.
SELECTION = (
    ("power-cut-unflushed/upgrade", 1),
    ("controller-killed/upgrade", 2),
    ("release-exits/upgrade", 1),
)


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A VM of its own, gone afterwards."""
    lab = Lab("faults-test")
    show = request.config.pluginmanager.getplugin("capturemanager")
    with show.global_and_fixture_disabled():  # a minute passes for each row: whoever waits sees what for
        try:
            yield lab
        finally:
            lab.wipe()


@pytest.mark.parametrize(("name", "seed"), SELECTION)
def test_nothing_is_lost(lab: Lab, name: str, seed: int) -> None:
    (row,) = chosen(name)
    result = attempt(lab, row, seed)
    assert result.outcome != "LOST", str(result)
