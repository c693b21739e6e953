"""What the programs of a gateway could do to it: systemd's own judgement of their units, from 0 to 10."""

import subprocess
from pathlib import Path

import pytest

from deploy.fleet.gateway.gateway_stage import DROP_IN, KEEPER, unit_files

HAPROXY = "haproxy.service"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The units of a gateway: Debian's own one of haproxy, and ours."""
    units = {file.dest: file.content for file in unit_files()}
    debian = Path("/lib/systemd/system", HAPROXY).read_text()
    for path, text in {**units, f"/etc/systemd/system/{HAPROXY}": debian}.items():
        place = tmp_path / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return tmp_path


def exposure(root: Path, unit: str) -> float:
    """As systemd-analyze 250 and later judges files that no systemd runs."""
    words = ["systemd-analyze", "security", "--offline=true", f"--root={root}", "--no-pager", unit]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return float(said.splitlines()[-1].split(": ")[1].split()[0])


@pytest.mark.parametrize(("unit", "limit"), [(HAPROXY, 2.8), (KEEPER, 1.8)])
def test_a_gateway_s_programs_can_do_little_beside_their_work(root: Path, unit: str, limit: float) -> None:
    """Versions of systemd differ by 0.2."""
    assert exposure(root, unit) <= limit


def test_debian_s_own_unit_of_haproxy_could_do_anything(root: Path) -> None:
    """So the limit of haproxy shows what our addition to the unit does."""
    (root / DROP_IN.lstrip("/")).unlink()
    assert exposure(root, HAPROXY) > 8
