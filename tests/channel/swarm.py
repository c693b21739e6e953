"""Boards that give a model to one another by the real aria2, each in a network of its own on this machine.

`python -m tests.channel.swarm BOARDS LOST` as the first process of namespaces of its own. Once it has
a third of the model, the board of the number LOST loses its network for good. Prints {"seconds": …, "came": […]} when
all others have the model. A board's script is the product's; what stands for systemd starts and ends programs.

`beside`: two boards get a model each, and nginx a third, of the same controller. `liar`: a board gives other bytes.
"""

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.fleet.sharing.board_script import HERE
from deploy.fleet.sharing.peers import SCRIPT, UNIT, give_away, tracker_port
from deploy.fleet.sharing.site import fill_cache
from deploy.onboard.files import sha256_of
from tests.channel.nginx import running_nginx
from tests.engines import engine
from tests.unit.known_host import program

SIZE, LIMIT = 24_000_000, 4_000_000
CONTROLLER, DEADLINE = "10.98.0.1", 300.0
SYSTEMD_RUN = """
while case $1 in --*) true ;; *) false ;; esac; do
    case $1 in --property=WorkingDirectory=*) cd "${1#*=*=}" ;; esac
    shift
done
setsid "$@" >/dev/null 2>&1 </dev/null &
echo $! >/run/leader
"""
SYSTEMCTL = """
test -e /run/leader || exit 3
case $1 in stop) kill -- -"$(cat /run/leader)" ;; is-active) kill -0 "$(cat /run/leader)" ;; esac
"""
BOARD = 'mount -t tmpfs run /run && mkdir -p /run/systemd/system && exec sh "$@"'


def swarm_command(*words: str) -> list[str]:
    """The command line of a swarm."""
    spaces = [*(["--user", "--map-root-user"] if os.geteuid() else []), "--mount", "--net", "--pid"]
    return ["unshare", *spaces, "--fork", "--kill-child", "--mount-proc", sys.executable, "-m", __name__, *words]


class SwarmBoard:
    """A board with the number, which fetches the model into a folder of its own."""

    def __init__(self, number: int, folder: Path) -> None:
        self.name, self.link, self.part = f"b{number}", f"v{number}", folder / f"b{number}/m.part"
        self.part.parent.mkdir()
        ip(f"netns add {self.name}", f"link add {self.link} type veth peer name eth0 netns {self.name}")
        ip(f"link set {self.link} master sw0 up")
        ip(f"addr add 10.98.0.{10 + number}/24 dev eth0", "link set eth0 up", "link set lo up", within=self.name)

    def fetch(self, torrent: Path, programs: Path) -> None:
        """Begins."""
        tracker = f"http://{CONTROLLER}:{tracker_port()}/announce"
        told = [str(self.part), str(torrent.stat().st_size), tracker, f"{UNIT}swarm", str(LIMIT)]
        words = ["ip", "netns", "exec", self.name, "unshare", "--mount", "sh", "-c", BOARD, "board"]
        self.process = subprocess.Popen(
            [*words, str(HERE / SCRIPT), *told],
            stdin=torrent.open("rb"),
            stdout=subprocess.PIPE,
            env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
            text=True,
        )

    @property
    def came(self) -> int:
        """Bytes that it has."""
        return self.part.stat().st_blocks * 512 if self.part.exists() else 0


def ip(*lines: str, within: str = "") -> None:
    place = ["-n", within] if within else []
    text = "".join(f"{line}\n" for line in lines)
    subprocess.run(["ip", *place, "-batch", "-"], input=text, text=True, check=True)


def sent_bytes() -> int:
    """What the controller has sent; what boards give one another is not in it."""
    (words,) = [line.split() for line in Path("/proc/net/dev").read_text().splitlines() if "sw0:" in line]
    return int(words[9])


def prepare(folder: Path) -> Path:
    """Makes the network of a controller. Returns the folder of what stands for systemd."""
    os.environ["BOARDLLAMA_CACHE"] = str(folder / "cache")
    subprocess.run(["mount", "-t", "tmpfs", "run", "/run"], check=True)
    Path("/run/netns").mkdir()
    ip("link set lo up", "link add sw0 type bridge", f"addr add {CONTROLLER}/24 dev sw0", "link set sw0 up")
    programs = folder / "programs"
    programs.mkdir()
    program(programs / "systemd-run", SYSTEMD_RUN)
    program(programs / "systemctl", SYSTEMCTL)
    return programs


def random_model(folder: Path, name: str) -> tuple[Path, str]:
    """A file, and its hash."""
    (folder / name).write_bytes(os.urandom(SIZE))
    return folder / name, sha256_of(folder / name)


def run_beside(folder: Path) -> dict[str, object]:
    """Has the controller send three models at the same time, two of them by aria2."""
    engine("nginx")  # in the user's cache
    programs = prepare(folder)
    models, boards = [random_model(folder, f"m{number}") for number in range(3)], list[SwarmBoard]()
    (folder / "srv").mkdir()
    began = time.monotonic()
    for number, (model, sha256) in enumerate(models[:2]):
        boards.append(SwarmBoard(number, folder))
        boards[-1].fetch(give_away(model, sha256, 2 * LIMIT), programs)
    put, sha256 = models[2]
    with running_nginx(
        folder / "srv", f"location / {{ root {folder}/srv; dav_methods PUT; client_max_body_size 0; }}"
    ) as nginx:
        fill_cache(f"http://127.0.0.1:{nginx.port}/{sha256}", put, SIZE, 2 * LIMIT)
    for board in boards:
        assert "fetched" in board.process.communicate(timeout=DEADLINE)[0].split("\n")
    return {"share": 3 * SIZE / (time.monotonic() - began) / (2 * LIMIT)}


def run_swarm(folder: Path, count: int, lost: int) -> dict[str, object]:
    """Has the boards fetch. Raises AssertionError where one of those that are left has not got the model."""
    programs, (model, sha256) = prepare(folder), random_model(folder, "model")
    torrent, boards = give_away(model, sha256, LIMIT), [SwarmBoard(number, folder) for number in range(count)]
    began, before = time.monotonic(), sent_bytes()
    for board in boards:
        board.fetch(torrent, programs)
    gone = boards.pop(lost)
    while gone.came < SIZE // 3:
        time.sleep(0.1)
    ip(f"link set {gone.link} down")
    said = {board.name: board.process.communicate(timeout=DEADLINE)[0].split("\n") for board in boards}
    seconds = time.monotonic() - began
    assert all("fetched" in lines for lines in said.values()), said
    assert all(sha256_of(board.part) == sha256 for board in boards)
    return {"seconds": seconds, "came": sorted(said), "copies": (sent_bytes() - before) / SIZE}


def run_with_liar(folder: Path) -> dict[str, object]:
    """Has a board fetch from the controller, and from another board that gives other bytes."""
    programs, (model, sha256) = prepare(folder), random_model(folder, "model")
    torrent, liar, board = give_away(model, sha256, LIMIT // 2), SwarmBoard(0, folder), SwarmBoard(1, folder)
    liar.part.write_bytes(bytes(SIZE))
    lie = [f"--dir={liar.part.parent}", f"--index-out=1={liar.part.name}", str(torrent)]
    tracker = f"--bt-tracker=http://{CONTROLLER}:{tracker_port()}/announce"
    alone = "--no-conf --quiet --enable-dht=false --seed-ratio=0 --bt-seed-unverified=true --listen-port=6881".split()
    with subprocess.Popen(["ip", "netns", "exec", liar.name, "aria2c", *alone, tracker, *lie]) as lying:
        board.fetch(torrent, programs)
        said = board.process.communicate(timeout=DEADLINE)[0].split("\n")
        lying.kill()
    assert sha256_of(board.part) == sha256
    return {"said": said}


SCENES = {"beside": run_beside, "liar": run_with_liar}


if __name__ == "__main__":
    with TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as name:
        words = sys.argv[1:]
        scene = SCENES.get(words[0]) or partial(run_swarm, count=int(words[0]), lost=int(words[1]))
        print(json.dumps(scene(Path(name))))
        sys.stdout.flush()
        os._exit(0)
