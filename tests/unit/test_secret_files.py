"""Secrets on their way to a host: written by pyinfra itself on this machine, and read from a board's file."""

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.paths import REPO

PYINFRA = Path(sys.executable).with_name("pyinfra")
WHO = f"{pwd.getpwuid(os.getuid()).pw_name}:{subprocess.check_output(['id', '-gn'], text=True).strip()}"
SECRET = "swordfish it's"

DEPLOY = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {repo!r})
from pyinfra import host
from deploy.hosts import lock, secret_files as operations
from deploy.hosts.board_key import read_board_key
from deploy.hosts.remote import remote_of
from deploy.onboard.service import OLLAMA
lock.PROGRAM = lock.PROGRAM.replace("/run/boardllama", {records!r})
key = read_board_key(remote_of(host), replace(OLLAMA, api_key=Path({key!r})))
file = operations.SecretFile({dest!r}, key + "\\n", "640", {who!r})
operations.secret_files(name="Write", folder=str(Path({dest!r}).parent), wanted=(file,))
"""


class Place:
    """A deploy that carries a board's key to a file of another host; both are this machine."""

    def __init__(self, folder: Path) -> None:
        self.key, self.file, self.deploy = folder / "api-key", folder / "keys" / "kitchen's", folder / "deploy_it.py"
        values = {"repo": str(REPO), "records": str(folder / "records"), "key": str(self.key), "dest": str(self.file)}
        self.deploy.write_text(DEPLOY.format(who=WHO, **values))
        self.key.write_text(f"# of the kitchen\n\n{SECRET}\nanother\n")

    def run(self) -> tuple[int, str]:
        """How many operations changed something, and all that was said."""
        done = subprocess.run(
            [PYINFRA, "--json", "-y", "-vvv", "@local", self.deploy.name],
            cwd=self.deploy.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return int(json.loads(done.stdout)["results"]["totals"]["success"]), done.stdout + done.stderr


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A fresh place."""
    return Place(tmp_path)


def test_a_secret_is_carried_once_and_shown_nowhere(place: Place) -> None:
    changed, said = place.run()
    assert (changed, place.file.read_text()) == (1, f"{SECRET}\n")
    assert place.file.stat().st_mode & 0o777 == 0o640 and place.file.parent.stat().st_mode & 0o777 == 0o750
    assert "swordfish" not in said
    assert place.run()[0] == 0


def test_a_secret_whose_file_others_may_read_is_closed_again(place: Place) -> None:
    place.run()
    place.file.chmod(0o644)
    assert place.run()[0] == 1
    assert place.file.stat().st_mode & 0o777 == 0o640
