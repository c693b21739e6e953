"""Files of any size travel through the controller in blocks."""

import os
import subprocess
from pathlib import Path

from deploy.image.tree.channel import Channel, arriving_file, get_command
from deploy.paths import REPO
from tests.image.runs import DEPLOY, PYINFRA, environment

BIG = 300 << 20


def put(tree: Path, source: Path) -> int:
    """Memory of pyinfra at its highest, in bytes, while it puts a file."""
    command = [PYINFRA, "-y", "--limit", "targets", DEPLOY[0], "files.put", f"src={source}", "dest=/srv/big"]
    with subprocess.Popen(command, cwd=REPO, env=environment(tree), stderr=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_maxrss * 1024


def test_a_big_file_takes_no_more_memory_than_a_small_one(shared: Path, channel: Channel, tmp_path: Path) -> None:
    small, big, back = tmp_path / "small", tmp_path / "big", tmp_path / "back"
    small.write_bytes(b"small")
    with big.open("wb") as file:
        file.truncate(BIG)
        file.write(b"begin")
    assert put(shared, big) - put(shared, small) < 32 << 20
    assert (shared / "srv/big").read_bytes() == b"small", "the second one replaced it"
    assert put(shared, big) > 0
    assert (shared / "srv/big").stat().st_size == BIG
    with arriving_file(str(back)) as file:
        assert channel.carry(get_command("/srv/big"), sink=file.write) == (0, "")
    assert subprocess.run(["cmp", str(big), str(back)], check=False).returncode == 0
