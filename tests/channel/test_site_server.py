"""A site's web server: Debian's nginx with the lines of docs/how-to/fleet.md takes a model once, and gives it."""

import hashlib
import re
import time
from pathlib import Path

import pytest

from deploy.fleet.sharing.site import SiteCache, fill_cache
from deploy.hosts.carriage import Carriage, NotThisWay, Pace, Turns, pace_of
from deploy.hosts.store import BigFile, deliver_files
from deploy.paths import REPO
from tests.channel.nginx import Nginx, running_nginx
from tests.unit.local_target import OWNER, LocalTarget, local

MODEL = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(MODEL).hexdigest()
PUT, GET = f"PUT /models/{SHA256}", f"GET /models/{SHA256}"


def documented_location(root: Path, controller: str) -> str:
    """The lines of docs/how-to/fleet.md, with another folder and another address of the controller."""
    line = re.search(r"^    (location /models/ .*)$", (REPO / "docs/how-to/fleet.md").read_text(), re.M)
    assert line
    assert "root /srv;" in line[1] and "allow 192.0.2.10;" in line[1]
    return line[1].replace("/srv", str(root)).replace("192.0.2.10", controller)


def bring(folder: Path, board: str, nginx: Nginx, half_there: bool = False) -> tuple[BigFile, list[str]]:
    """Brings the model to a board by way of nginx. Returns it, and what was said. A board's shell is this machine's."""
    (folder / "model.gguf").write_bytes(MODEL)
    target = LocalTarget(local)
    file = BigFile(folder / "model.gguf", str(folder / board / "m.gguf"), SHA256, len(MODEL), owner=OWNER)
    if half_there:
        (folder / board).mkdir()
        Path(file.part_path).write_bytes(MODEL[: len(MODEL) // 2])
    way = SiteCache(f"http://127.0.0.1:{nginx.port}/models", 0)
    deliver_files(target, [file], Carriage(way, Pace(0), Turns(0)))
    assert Path(file.dest).read_bytes() == MODEL
    return file, target.said


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What nginx serves. It makes no folder for a file that is put."""
    (tmp_path / "srv/models").mkdir(parents=True)
    fill_cache.forget()
    return tmp_path / "srv"


def test_the_controller_gives_the_model_once_and_boards_get_it_from_the_site(root: Path, tmp_path: Path) -> None:
    with running_nginx(root, documented_location(root, "127.0.0.1")) as nginx:
        for board in ("one", "two"):
            _, said = bring(tmp_path, board, nginx)
            assert said == [f"m.gguf: came from http://127.0.0.1:{nginx.port}/models"]
        fill_cache.forget()
        bring(tmp_path, "of the next run", nginx)
        asked = [line for line in nginx.asked() if not line.startswith("HEAD")]
    assert asked == [f"{PUT} 201", f"{GET} 200", f"{GET} 200", f"{GET} 200"]
    assert (root / "models" / SHA256).read_bytes() == MODEL


def test_a_board_goes_on_with_what_it_has(root: Path, tmp_path: Path) -> None:
    with running_nginx(root, documented_location(root, "127.0.0.1")) as nginx:
        bring(tmp_path, "one", nginx, half_there=True)
        assert nginx.asked()[-1] == f"{GET} 206"


def test_nobody_but_the_controller_puts_a_model_there(root: Path, tmp_path: Path) -> None:
    with running_nginx(root, documented_location(root, "192.0.2.10")) as nginx:
        _, said = bring(tmp_path, "one", nginx)
        assert "takes none from this controller (HTTP Error 403: Forbidden)" in said[0], said
    assert list((root / "models").iterdir()) == []


def test_a_server_that_refuses_a_model_is_not_sent_all_of_it(root: Path, tmp_path: Path) -> None:
    """nginx as it is without client_max_body_size, which takes 1 MB."""
    (tmp_path / "model.gguf").write_bytes(MODEL)
    pace = pace_of(len(MODEL) // 4)
    with running_nginx(root, f"location /models/ {{ root {root}; dav_methods PUT; }}") as nginx:
        began = time.monotonic()
        with pytest.raises(NotThisWay, match="413: Request Entity Too Large"):
            fill_cache(f"http://127.0.0.1:{nginx.port}/models/x", tmp_path / "model.gguf", len(MODEL), pace.rate)
    assert pace.due - began < 2, "of the four seconds that all of it takes"
