"""The sweep on one host: its programs and builds go there, run once beside what serves, and leave nothing behind."""

import json
import shlex
from collections.abc import Set
from typing import Any

from pyinfra.api.host import Host

from deploy import cpu
from deploy.build.artifact import Build, is_there, require_artifact
from deploy.errors import BoardllamaError
from deploy.hosts.lock import start_beats
from deploy.hosts.release import build_folder, onboard_programs, pack_tar
from deploy.hosts.remote import QUIET_SECONDS, Lost, Remote, why_lost
from deploy.hosts.snapshot import snapshot_of
from deploy.hosts.target import board_of
from deploy.models.memory.estimate import Serving, can_repack, estimate_memory
from deploy.onboard.json_parts import parse_json
from deploy.onboard.spelling import printable_text
from deploy.onboard.tune.sweep import PROGRAM
from deploy.settings import Settings
from deploy.stages.fitting import fitting_part
from deploy.tune.outcome import SweepOutcome

# On a disk: /tmp may be memory, which the sweep is to leave alone. The shell puts back what the program could not: a
# program that is killed cleans up nothing.
THERE = (
    "set -e; rm -rf /var/tmp/boardllama-tune.*; folder=$(mktemp -d /var/tmp/boardllama-tune.XXXXXX); "
    'trap "python3 -IS $folder/boardllama tune-end || true; rm -rf $folder" EXIT; '
    "timeout {seconds:.0f} head -c {size} | tar -x -C $folder || {{ echo {no_room}; exit 1; }}; "
    "python3 -IS $folder/boardllama tune $folder/request.json"
)
NO_ROOM = "/var/tmp has no room for {:.0f} MB: make some (`df -h /var/tmp` there), then run again"
MOST_TOKENS = 1024  # of a run: the deepest


def sweep_host(remote: Remote, settings: Settings, build: Build, stop_serving: bool) -> SweepOutcome:
    """Has the host measure, and repeats what it says. Raises BoardllamaError with what the host says against it."""
    builds = {one.cpu.name: one for one in further_builds(remote.host, settings)}
    request = {
        "minutes": settings.tune_minutes,
        "prompt_weight": settings.tune_prompt_weight,
        "stop_serving": stop_serving,
        "builds": list(builds),
        "needs": memory_needs(settings, build),
    }
    files = {f"builds/{name}/{PROGRAM}": (one.artifact_folder / PROGRAM).read_bytes() for name, one in builds.items()}
    archive = pack_tar(onboard_programs() | files | {"request.json": json.dumps(request).encode()})
    talk = remote.talk(command_there(len(archive)))
    try:
        talk.send(archive)
        start_beats(talk)
        return hear_outcome(remote, talk.line)
    finally:
        talk.end()


def command_there(size: int) -> str:
    """The shell command that takes an archive of so many bytes, and sweeps with what is in it."""
    no_room = json.dumps({"refused": NO_ROOM.format(size / 1e6)})
    return THERE.format(size=size, seconds=QUIET_SECONDS, no_room=shlex.quote(no_room))


def hear_outcome(remote: Remote, line: Any) -> SweepOutcome:
    """What the sweep ends with. Raises BoardllamaError, Lost."""
    while text := line():
        try:
            told = parse_json(text)
            if "result" in told:
                return SweepOutcome.model_validate(told["result"])
            said = printable_text(str(told["refused"] if "refused" in told else told["say"]))
        except (ValueError, LookupError, TypeError):
            raise BoardllamaError(f"the sweep said {text[:200]!r}, which is no answer: run again") from None
        if "refused" in told:
            raise BoardllamaError(said)
        remote.say(said)
    if lost := why_lost(remote.host):
        raise Lost(lost)
    raise BoardllamaError("the sweep ended without an answer, as one that was killed does: run again")


def further_builds(host: Host, settings: Settings) -> list[Build]:
    """The finished builds of the same source that are worth trying on this board beside the one that it has."""
    builds = [Build(settings.source, one) for one in cpus_to_try(board_of(host).features)]
    there = snapshot_of(host).current.files.get(PROGRAM, "")
    return [one for one in builds if is_there(one) and f"{build_folder(one, require_artifact(one))}/" not in there]


def cpus_to_try(features: Set[str]) -> list[cpu.Cpu]:
    """The CPUs whose builds run on a board with these features, and have its most capable kernels.

    Without dot products a build takes twice the time and more.
    """
    able = [one for one in cpu.CPUS.values() if one.features <= features]
    most = max((one.kernels for one in able), key=len, default=frozenset())
    return [one for one in able if one.kernels == most]


def memory_needs(settings: Settings, build: Build) -> dict[str, int] | None:
    """Bytes that a run takes, with repacked weights and without; None where the model is not on the controller."""
    model = settings.chosen
    if model is None or not model.is_here:
        return None
    _, part = fitting_part(settings, model, build.cpu)
    ways = {"repack": can_repack(build.cpu), "plain": False}
    return {
        name: estimate_memory(part.info, Serving(MOST_TOKENS, repack, parallel=1)).total
        for name, repack in ways.items()
    }
