"""The gateways' part of a switch: a board is taken out of haproxy's rotation before, and put back after its gate.

A run holds one conversation with each gateway (onboard/gateway/rotate.py), for all boards. The gateway decides how many
boards of a model are out at once, so that two runs together take out no more than one. It counts time by itself, so
that a run that dies leaves no board out for long. A gateway that cannot be reached gives no requests, or gives them
without our help: the run says so and goes on.
"""

import shlex
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from queue import Empty, SimpleQueue

from paramiko import SSHException
from pyinfra import logger
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from deploy.errors import BoardllamaError
from deploy.fleet.gateway.gateway_stage import GROUP
from deploy.fleet.gateway.offers import Unoffered, offered_entry
from deploy.hosts.board_key import read_board_key
from deploy.hosts.remote import Refused, Remote, Talk, remote_of
from deploy.hosts.rotation import join_run
from deploy.hosts.snapshot import forget_snapshot
from deploy.onboard.gateway.board_table import safe_name, told_json
from deploy.onboard.gateway.gateway_places import GATEWAY_PLACES

BEAT_SECONDS = 5.0
GONE = "gone"
PROGRAM = f"python3 -IS {GATEWAY_PLACES.programs}/boardllama-gateway rotate"
SAID = {
    "wait": "waits until fewer boards are out",
    "draining": "has {} requests to finish",
    "out": "is out of rotation",
}


class NotBack(BoardllamaError):
    """The board passed its own gate, and a gateway does not give it requests."""

    verdict = "not back"


class Conversation:
    """What a run says to one gateway, and hears of each board. `last`: the last line, which may say why it ended."""

    def __init__(self, talk: Talk) -> None:
        self.talk, self.ended, self.last = talk, False, ""
        self.heard: defaultdict[str, SimpleQueue[str]] = defaultdict(SimpleQueue)
        for work in (self.listen, self.beat):
            threading.Thread(target=work, daemon=True).start()

    def say(self, line: str) -> None:
        """Says a line. Nothing where nobody listens any more."""
        with suppress(OSError, ValueError):  # of a pipe that is closed
            self.talk.send(f"{line}\n".encode())

    def hear(self, label: str) -> str:
        """The next line about a board; "" when the gateway says no more."""
        while not self.ended:
            with suppress(Empty):
                return self.heard[label].get(timeout=1.0)
        return ""

    def listen(self) -> None:
        """Gives each line to the board that the line is about."""
        with suppress(OSError, ValueError):  # of a pipe that is closed
            while line := self.talk.line():
                label, _, said = line.partition(" ")
                if said:  # not only a sign of life
                    self.heard[label].put(said)
                    self.last = line
        self.ended = True

    def beat(self) -> None:
        """Gives signs of life."""
        while not self.ended:
            self.say("")
            time.sleep(BEAT_SECONDS)


class GatewayRotation:
    """The gateways of a run's inventory. `missing`: boards that did not come back into rotation."""

    def __init__(self, state: State) -> None:
        self.gateways: list[Host] = list(state.inventory.groups.get(GROUP, []))
        self.talks: dict[str, Conversation | None] = {}
        self.lock = threading.Lock()
        self.missing: list[str] = []

    @contextmanager
    def take_out(self, remote: Remote) -> Iterator[None]:
        """As Rotation.take_out, from one gateway after the other: in one order, two runs cannot wait for each other."""
        self.require_all_back()
        label = safe_name(remote.host.name)
        with ExitStack() as stack:
            for gateway in self.gateways:
                if talk := self.conversation(gateway):
                    stack.enter_context(self.out_of(gateway, talk, label, remote))
            yield

    def require_all_back(self) -> None:
        """Raises Refused when a board did not come back into rotation."""
        if self.missing:
            raise Refused(f"{self.missing[0]} did not come back into rotation: this board keeps its release")

    @contextmanager
    def out_of(self, gateway: Host, talk: Conversation, label: str, remote: Remote) -> Iterator[None]:
        """During the block the gateway gives the board no requests."""
        talk.say(f"out {label}")
        is_out = await_out(gateway, talk, label, remote)
        try:
            self.require_all_back()  # it waited, maybe, until a board was given up
            yield
        except Exception:
            # It may have another key or port although its release is the old one.
            talk.say(words_after(remote, label))
            raise
        if is_out:
            self.put_back(gateway, talk, label, remote)

    def put_back(self, gateway: Host, talk: Conversation, label: str, remote: Remote) -> None:
        """Tells the gateway what the board is now, and waits until it gives requests. Raises NotBack.

        A board that no gateway is to reach any more, or that has left the gateway's table, is not waited for.
        """
        talk.say(said := words_after(remote, label))
        if said.startswith(GONE):
            return
        while (word := talk.hear(label).partition(" "))[0] not in ("back", "missing", "unknown", ""):
            pass
        if word[0] == "missing":
            self.missing.append(remote.host.name)
            raise NotBack(f"{gateway.name} does not get an answer ({word[2]}): can it reach the board's port?")
        if not word[0]:
            raise NotBack(f"{gateway.name} does not say whether it gives requests again ({talk.last}): run again")

    def conversation(self, gateway: Host) -> Conversation | None:
        """The conversation with a gateway, which begins with the first board; None for one that cannot take part."""
        with self.lock:
            if gateway.name not in self.talks:
                self.talks[gateway.name] = begin_conversation(gateway)
            return self.talks[gateway.name]


def begin_conversation(gateway: Host) -> Conversation | None:
    """Connects to a gateway, also to one that the run leaves out, and begins. None after a line that says why not."""
    try:
        gateway.connect(show_errors=False, raise_exceptions=True)
        remote = remote_of(gateway)
        there = shlex.quote(f"{GATEWAY_PLACES.programs}/boardllama-gateway")
        if remote.run(f"test ! -e {there} || echo yes").strip() != "yes":
            return None
        return Conversation(remote.talk(PROGRAM))
    except (PyinfraError, BoardllamaError, OSError, SSHException) as error:
        gateway.log(f"takes no part in taking boards out of rotation: {error}", logger.warning)
        return None


def await_out(gateway: Host, talk: Conversation, label: str, remote: Remote) -> bool:
    """Waits until the board has no requests from the gateway. Returns False for a board that the gateway does not know.

    Raises Refused when the gateway says no more: it may go on to give requests.
    """
    while line := talk.hear(label):
        word, _, rest = line.partition(" ")
        if word == "unknown":
            return False
        remote.say(f"{gateway.name}: {SAID[word].format(rest)}")
        if word == "out":
            return True
    raise Refused(
        f"{gateway.name} cannot take it out of rotation any more ({talk.last}): it keeps its release, run again"
    )


def words_after(remote: Remote, label: str) -> str:
    """What the gateway is told of a board after its switch: its address, port, key and models, which may be others."""
    try:
        forget_snapshot(remote.host)
        entry, key = offered_entry(remote.host), read_board_key(remote)
    except Unoffered:
        return f"{GONE} {label}"
    except (PyinfraError, BoardllamaError, OSError, SSHException):  # it went away: the gateway sees whether it is back
        return f"back {label}"
    return f"back {label} {told_json(entry, key)}"


def drain_for_switches(state: State) -> None:
    """Has the run take boards out of the rotation of the inventory's gateways. A second call changes nothing."""
    join_run(state, GatewayRotation(state))
