"""What a look costs a board, and what many boards cost the web server: `python -m tests.channel.load 10000`.

One board looks for real (apt, its own programs), in a namespace; the others ask nginx, on the loopback, what apt asks
when nothing is new. CPU seconds count; times are of this machine.
"""

import http.client
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path

from deploy.fleet.channel.repository import IN_RELEASE
from tests.channel.nginx import running_nginx
from tests.unit.made_offer import offer, publish
from tests.unit.pulling_board import PullingBoard

LOOKS, ASKING_AT_ONCE = 20, 16


def cpu_seconds(pid: int) -> float:
    """What a process has used since it began: proc_pid_stat(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost_of_look(board: PullingBoard) -> float:
    """CPU seconds of a look that finds nothing new, with all that it starts: the shell's own count of its children."""
    look = "/usr/lib/boardllama/current/boardllama channel"
    done = board.run("sh", "-c", f"for one in $(seq {LOOKS}); do {look} || exit; done; times")
    done.check_returncode()
    minutes = [part.rstrip("s").split("m") for part in done.stdout.splitlines()[-1].split()]
    return sum(60 * int(whole) + float(rest) for whole, rest in minutes) / LOOKS


def ask(port: int, since: str) -> tuple[int, int]:
    """Asks as apt does that has the index of that time: the status, and bytes of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", f"/{IN_RELEASE}", headers={"If-Modified-Since": since, "Cache-Control": "max-age=0"})
    answer = connection.getresponse()
    size = len(answer.read()) + len(str(answer.headers)) + 17
    connection.close()
    return answer.status, size


def main(boards: int) -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        os.environ |= {"BOARDLLAMA_KEYS": str(folder / "keys"), "BOARDLLAMA_CACHE": str(folder / "cache")}
        publish(folder / "channel", offer(folder / "made", config='{"a": 2}'))
        with running_nginx(folder / "channel") as nginx:
            port, worker = nginx.port, nginx.worker
            board = PullingBoard(folder / "board", f"http://127.0.0.1:{port}")
            board.deploy(offer(folder / "made", config='{"a": 1}'))
            board.look().check_returncode()
            print(f"a look without change: {cost_of_look(board):.3f} CPU s of a board")
            since = formatdate((folder / "channel" / IN_RELEASE).stat().st_mtime, usegmt=True)
            before, began = cpu_seconds(worker), time.monotonic()
            with ThreadPoolExecutor(ASKING_AT_ONCE) as pool:
                answers = list(pool.map(lambda _: ask(port, since), range(boards)))
            spent, passed = cpu_seconds(worker) - before, time.monotonic() - began
            assert {status for status, _ in answers} == {304}, "nothing was new"
            print(f"{boards} boards: {spent:.2f} CPU s of nginx, {answers[0][1]} bytes each, in {passed:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
