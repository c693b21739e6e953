"""Pictures of terminals: what a command printed is in them, and nothing of the machine that made them."""

import re
import sys
import xml.dom.minidom
from pathlib import Path

import pytest

from deploy.paths import REPO
from tests.recordings.__main__ import hidden_texts
from tests.recordings.picture import picture_of
from tests.recordings.terminal import LINES, Typed, record

TALK = """
print('\x1b[1;31mred\x1b[0m at \x1b[1m{folder}\x1b[0m')
print('<done>' if input('go on? ') == 'yes' else 'no')
"""


def test_a_picture_has_what_a_command_printed_and_was_told(tmp_path: Path) -> None:
    talk = Typed("make talk", (sys.executable, "-c", TALK.format(folder=str(tmp_path))), (("go on?", "yes"),))
    frames = record([talk], {str(tmp_path): "~/here"})
    last = ["".join(span.text for span in line) for line in frames[-1].lines]
    assert last[:4] == ["$ make talk", "red at ~/here", "go on? yes", "<done>"] and len(last) == LINES
    text = picture_of(frames, "a talk")
    xml.dom.minidom.parseString(text)
    assert "&lt;done&gt;" in text and 'fill="#e06c75" font-weight="bold">red<' in text and str(tmp_path) not in text


def test_a_command_that_fails_makes_no_picture() -> None:
    with pytest.raises(RuntimeError, match="make nothing ended with status 3: why"):
        record([Typed("make nothing", ("sh", "-c", "echo why; exit 3"))], {})


def test_the_pictures_show_no_machine() -> None:
    own = [text for text in hidden_texts() if text != "~"]
    for picture in (REPO / "docs/recordings").glob("*.svg"):
        text = picture.read_text()
        xml.dom.minidom.parseString(text)
        for word in (*own, "/root", "/home", "/work", "/tmp/pytest"):
            assert not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text), (picture.name, word)
