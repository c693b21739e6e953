"""A few rows of the campaign with fixed seeds: one of each kind. `make faults` runs them all."""

from collections.abc import Iterator

import pytest

from tests.faults.__main__ import chosen
from tests.faults.campaign import attempt, need_start
from tests.faults.changes import BARE
from tests.faults.lab import Lab
from tests.faults.write_log import replay

# Row and seed; where each strikes follows from the seed.
SELECTION = (
    ("power-cut-unflushed/upgrade", 1),
    ("release-exits/upgrade", 1),
)


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A VM of its own, gone afterwards."""
    lab = Lab("faults-test")
    show = request.config.pluginmanager.getplugin("capturemanager")
    with show.global_and_fixture_disabled():  # a minute passes for each row: whoever waits sees what for
        try:
            yield lab
        finally:
            lab.wipe()


def test_a_replayed_disk_has_what_was_synced_and_nothing_else(lab: Lab) -> None:
    """The fault is real: otherwise no row of power-cut-unflushed would tell anything."""
    need_start(lab, BARE)
    lab.restore(BARE)
    lab.up(write_log=True)
    lab.run("mount -o remount,commit=300 /")  # else ext4 itself flushes all after 5 s
    lab.run("cd /root; echo 1 > synced; sync synced; echo 2 > .new; sync .new; mv .new renamed; sync .; echo 3 > lost")
    assert lab.run("cat /root/lost").strip() == "3"
    lab.cut()
    lab.restore(BARE)
    replay(lab.machine.write_log, lab.machine.disk)
    lab.up()
    assert lab.run("cd /root; cat synced renamed; ls").split() == ["1", "2", "renamed", "synced"]


@pytest.mark.parametrize(("name", "seed"), SELECTION)
def test_nothing_is_lost(lab: Lab, name: str, seed: int) -> None:
    (row,) = chosen(name)
    result = attempt(lab, row, seed)
    assert result.outcome != "LOST", str(result)
