"""One deploy at a time on a target: held from a run's first change until the controller goes, however it goes."""

import errno
import getpass
import os
import shlex
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from deploy.errors import BoardllamaError
from deploy.hosts.remote import HostStep, Remote, Talk
from deploy.hosts.snapshot import forget_snapshot
from deploy.onboard.release import lease

PROGRAM = Path(lease.__file__).read_text()
HELD = "boardllama_lease"
PERMISSION = os.strerror(errno.EACCES)


class Busy(BoardllamaError):
    """Another deploy is at work on the target."""


class TargetStep(HostStep):
    """A step that changes a target. The first such step of a run takes the target's lock.

    After the step the run asks anew what the target has.
    """

    def __init__(self, function: Callable[[Remote], None]) -> None:
        def alone(remote: Remote) -> None:
            hold_lock(remote)
            try:
                function(remote)
            finally:
                forget_snapshot(remote.host)

        super().__init__(alone)


def hold_lock(remote: Remote) -> None:
    """Takes the lock unless this run has it. Raises Busy with the name of the run that has it, or BoardllamaError."""
    if beats := remote.host.connector_data.get(HELD):
        if not beats.is_alive():
            raise Busy("the connection that held this target's lock is gone: run again")
        return
    who = f"{getpass.getuser()}@{socket.gethostname()}, process {os.getpid()}"
    talk = remote.talk(f"python3 -IS -c {shlex.quote(PROGRAM)} {shlex.quote(who)}")
    while (line := talk.line()).startswith("wait "):
        remote.say(line.removeprefix("wait "))
    answer, _, rest = line.partition(" ")
    if answer == "busy":
        raise Busy(f"{rest} works on this target: wait for it, then run again")
    if answer != "held":
        advice = (
            ": a deploy needs root there; `_sudo`: True among the host's data gives it" if PERMISSION in rest else ""
        )
        raise BoardllamaError(f"the lock of this target cannot be taken ({rest or 'python3 gave no answer'}){advice}")
    remote.host.connector_data[HELD] = start_beats(talk)


def start_beats(talk: Talk) -> threading.Thread:
    """Gives a command signs of life until it ends, or its connection."""
    beats = threading.Thread(target=send_beats, args=(talk.send,), daemon=True)
    beats.start()
    return beats


def send_beats(send: Callable[[bytes], object]) -> None:
    """Gives signs of life until nobody takes them."""
    while True:
        time.sleep(lease.BEAT)
        try:
            send(b"\n")
        except (OSError, ValueError):  # ValueError: the pipe of a local command that was ended
            return
