"""Scripts by which a board fetches a file itself: run there, heard to their end."""

import shlex
from pathlib import Path

from deploy.hosts.carriage import NotThisWay
from deploy.hosts.facts.target import shell_words
from deploy.hosts.remote import Remote

HERE = Path(__file__).parent
LIAR = "liar "


def run_fetching(remote: Remote, script: str, words: list[str], given: bytes = b"") -> None:
    """Runs the script of that name on the board until it says that the file has come. Names each peer that lied.

    Raises NotThisWay with the script's last line; OSError when the board is gone.
    """
    talk = remote.talk(f"sh -c {shlex.quote((HERE / script).read_text())} fetch {shell_words(words)}")
    said = ""
    try:
        if given:
            talk.send(given)
        while (line := talk.line()) != "fetched":
            if not line:
                raise NotThisWay(said or "the connection ended")
            if line.startswith(LIAR):
                remote.say(f"{line.removeprefix(LIAR)} gave data that is not the model's: it was not taken")
            elif line != "alive":
                said = line
    finally:
        talk.end()
