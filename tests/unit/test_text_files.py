"""Small files that an operator may edit: written by pyinfra itself, on this machine, in a folder of its own."""

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.hosts.facts import Text, target
from deploy.hosts.remote import Remote
from deploy.hosts.text_files import TextFile, diff_lines, is_edited, write_texts
from deploy.onboard.places import PLACES
from deploy.paths import REPO

PYINFRA = Path(sys.executable).with_name("pyinfra")
WHO = f"{pwd.getpwuid(os.getuid()).pw_name}:{subprocess.check_output(['id', '-gn'], text=True).strip()}"

DEPLOY = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {repo!r})
from pyinfra import host
from deploy.hosts import facts, lock, text_files as operations
lock.PROGRAM = lock.PROGRAM.replace("/run/boardllama", {records!r})
facts.target.PLACES = replace(facts.target.PLACES, records=Path({records!r}))
file = operations.TextFile({dest!r}, host.data.content + "\\n", owner={who!r})
operations.text_files(name="Write", files=(file,), conflict=host.data.conflict)
"""


class Place:
    """A deploy of one file."""

    def __init__(self, folder: Path) -> None:
        self.file, self.deploy = folder / "etc" / "it's.conf", folder / "deploy_it.py"
        values = {"repo": str(REPO), "records": str(folder / "records"), "dest": str(self.file)}
        self.deploy.write_text(DEPLOY.format(who=WHO, **values))

    def run(self, content: str, conflict: str = "keep") -> tuple[int, str]:
        """Deploys `content`; how many operations changed something, and what was said."""
        data = [f"--data=content={content}", f"--data=conflict={conflict}"]
        done = subprocess.run(
            [PYINFRA, "--json", "-y", *data, "@local", self.deploy.name],
            cwd=self.deploy.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return int(json.loads(done.stdout)["results"]["totals"]["success"]), done.stderr


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A fresh place."""
    return Place(tmp_path)


def test_deploys_converge_and_an_edit_on_the_target_survives(place: Place) -> None:
    assert place.run("first")[0] == 1
    assert place.file.read_text() == "first\n"
    assert place.run("first")[0] == 0, "the second run changes nothing"
    assert place.run("second")[0] == 1
    assert place.file.read_text() == "second\n"

    place.file.write_text("mine\n")
    changed, said = place.run("third")
    assert changed == 0
    assert place.file.read_text() == "mine\n"
    assert "was edited on the target and is kept" in said
    assert "-mine" in said
    assert "+third" in said

    assert place.run("third", "overwrite")[0] == 1
    assert place.file.read_text() == "third\n"
    assert sorted(path.name for path in place.file.parent.iterdir()) == ["it's.conf"]


FILE = TextFile("/etc/x", "new\n")


def at(content: bytes) -> Text:
    """A file of the target."""
    return Text(content, 0o644, "root:root")


def test_an_edit_is_what_neither_this_deploy_nor_the_last_one_wrote() -> None:
    assert not is_edited(FILE, None, None)
    assert not is_edited(FILE, at(b"new\n"), None)
    assert not is_edited(FILE, at(b"old\n"), at(b"old\n"))
    assert is_edited(FILE, at(b"mine\n"), at(b"old\n"))
    assert is_edited(FILE, at(b"someone's\n"), None), "a file from before boardllama is not ours to overwrite"


def test_bytes_that_are_no_text_can_be_shown() -> None:
    assert any(line.startswith("-") for line in diff_lines(FILE, at(b"\xff\xfe\n")))


def test_a_mode_or_owner_that_differs_is_put_right() -> None:
    assert FILE.is_at(at(b"new\n"))
    assert not FILE.is_at(Text(b"new\n", 0o600, "root:root"))
    assert not FILE.is_at(Text(b"new\n", 0o644, "ollama:ollama"))


class ThisMachine(Remote):
    """A host that is this machine, as a step of an operation sees it."""

    def __init__(self) -> None:
        pass

    def feed(self, source: Iterable[bytes], *bits: object) -> None:
        subprocess.run(["sh", "-c", *map(str, bits)], input=b"".join(source), check=True)


def test_files_of_which_one_is_refused_are_all_left_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "PLACES", replace(PLACES, records=tmp_path / "records"))
    places = [tmp_path / "one.conf", tmp_path / "other.conf"]

    def write(content: str) -> None:
        files = [TextFile(str(place), f"{content}\n", owner=WHO, before="grep -q good") for place in places]
        files[0] = replace(files[0], before="true")
        write_texts(ThisMachine(), files)

    write("good")
    with pytest.raises(subprocess.CalledProcessError):
        write("bad")
    assert [place.read_text() for place in places] == ["good\n", "good\n"]
    write("good again")
    assert [place.read_text() for place in places] == ["good again\n", "good again\n"]
    assert sorted(path.name for path in (tmp_path / "records").iterdir()) == [
        str(place).strip("/").replace("/", "_") for place in places
    ]
