"""A real shell of this machine as the target that large files are brought to."""

import os
import pwd
from collections.abc import Callable
from pathlib import Path

from pyinfra.api import QuoteString
from pyinfra.api.host import Host
from pyinfra.connectors.local import LocalConnector

from deploy.hosts.remote import Remote, Talk, start_talk
from deploy.image.tree.channel import Channel, Talking
from tests.unit.test_tree_channel import Plain

OWNER = f"{pwd.getpwuid(os.getuid()).pw_name}:{os.getgid()}"


class LocalTarget(Remote):
    """A target on this machine: the same conversation, without pyinfra's connection in between.

    `cut_after`: bytes that get through before the connection is lost. `programs`: a folder of programs that it has in
    place of the machine's own.
    """

    def __init__(self, start: Callable[[str], Talk]) -> None:
        self.start = start
        self.host = Host.__new__(Host)
        self.said: list[str] = []
        self.fed = self.talks = 0
        self.cut_after = 1 << 30
        self.programs = "/nonexistent"

    def talk(self, *bits: str | QuoteString) -> Talk:
        self.talks += 1
        command = f"PATH={self.programs}:$PATH; {' '.join(map(str, bits))}"
        line, send, end = self.start(command)

        def through(data: bytes) -> None:
            passing = data[: self.cut_after - self.fed]
            send(passing)
            self.fed += len(passing)
            if len(passing) < len(data):
                end()
                raise OSError("connection lost")

        return Talk(lambda: line() if self.fed < self.cut_after else "", through, end)

    def say(self, line: str) -> None:
        self.said.append(line)


def local(command: str) -> Talk:
    """As @local starts it."""
    return start_talk(LocalConnector.__new__(LocalConnector), command)


def tree(command: str) -> Talk:
    """As @tree starts it, but for the tree, and for a cut that leaves it the time to end."""
    talking = Talking(Channel(Plain(Path("/"), as_root=True), patience=20), command)
    assert talking.process.stdin
    stdin = talking.process.stdin

    def hang_up() -> None:
        stdin.close()
        talking.process.wait()
        talking.end()

    return Talk(talking.next_line, talking.send, hang_up)
