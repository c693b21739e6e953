"""systemd takes the units that a deploy writes beside those of a release: nothing in them is unknown to it."""

import subprocess
from pathlib import Path

import pytest

from deploy.fleet.channel.subscribe import subscription_files
from deploy.fleet.monitor.story import units_of
from deploy.hosts.text_files import TextFile
from tests.monitor.monitored import told as monitor_told
from tests.unit.made_offer import KIND, keys
from tests.unit.test_settings import told

__all__ = ["keys"]

# Programs that are not on this machine, each in the place of one that is.
PROGRAMS = {"/usr/lib/boardllama/current/boardllama": "/bin/true", "/usr/bin/python3": "/bin/true"}


@pytest.fixture
def units(keys: Path) -> list[TextFile]:
    """Those of a board that pulls, and of a monitor's page."""
    files = [*subscription_files(told(channel_url="http://u.example"), KIND), *units_of(monitor_told())]
    return [file for file in files if Path(file.dest).suffix in (".service", ".timer")]


def test_systemd_takes_every_unit_as_it_is(units: list[TextFile], tmp_path: Path) -> None:
    assert len(units) == 4
    places = [tmp_path / Path(file.dest).name for file in units]
    for file, place in zip(units, places, strict=True):
        text = file.content
        for program, stand_in in PROGRAMS.items():
            text = text.replace(program, stand_in)
        place.write_text(text)
    words = ["systemd-analyze", "verify", "--man=no", *map(str, places)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    about = [line for line in done.stderr.splitlines() if any(place.name in line for place in places)]
    assert (done.returncode, about) == (0, []), done.stderr
