"""Remove: a host gives up all that a deploy has brought it, by programs that come with the command.

Those of the release that runs may be damaged, or older than `boardllama uninstall`.
"""

from functools import partial

from pyinfra import host
from pyinfra.api import FactBase, operation

from deploy.hosts.facts.target import shell_words
from deploy.hosts.release import onboard_programs, pack_tar
from deploy.hosts.remote import Commands, HostStep, Lost, Refused, Remote, why_lost
from deploy.hosts.run_record import record_of
from deploy.hosts.snapshot import forget_snapshot, snapshot_of
from deploy.onboard.removal.traces import MARKS
from deploy.onboard.service import OLLAMA
from deploy.stages.activate import note_status

ROLES = {"targets", "gateways", "monitors"}
# In memory: the host's disk may be full, and a boot forgets it.
FOLDER = "/run/boardllama-uninstall"
ENDED = "ended:"


class PathsThere(FactBase[list[str]]):
    """Which of these paths are there: ["/usr/lib/boardllama", …]."""

    @staticmethod
    def default() -> list[str]:
        return []

    def command(self, paths: tuple[str, ...]) -> str:
        return f"ls -d {shell_words(paths)} 2>/dev/null; true"

    def process(self, output: list[str]) -> list[str]:
        return output


def uninstall(models: bool = False) -> None:
    """`pyinfra INVENTORY deploy.stages.remove.uninstall [models=True]`: from boards, gateways and monitors alike."""
    if ROLES & {*host.groups}:
        remove_boardllama(name=f"Remove boardllama{' and its models' if models else ''}", models=models)
        record_of(host).prepared = True


@operation()
def remove_boardllama(models: bool) -> Commands:
    """No change where nothing of it is left."""
    note_status(record_of(host), snapshot_of(host).status)
    if host.get_fact(PathsThere, paths=(*MARKS, *([str(OLLAMA.model_store)] if models else []))):
        yield HostStep(partial(remove_from, models=models))
    else:
        host.noop("boardllama is not there")


def remove_from(remote: Remote, models: bool) -> None:
    """Brings the programs, and repeats what they say. The host's lock is theirs to take.

    Raises Refused with the reason of a host that removes nothing, Lost, and RemoteCommandFailed.
    """
    programs = pack_tar(onboard_programs())
    remote.feed([programs], f"rm -rf {FOLDER} && mkdir -m 700 {FOLDER} && tar -x --no-same-owner -C {FOLDER}")
    words = "uninstall --yes " + ("--models" if models else "--keep-models")
    # By python3: where programs lie in /run, the kernel may execute none.
    follow_removal(remote, f"python3 -ISB {FOLDER}/boardllama {words} 2>&1; echo {ENDED} $?; rm -rf {FOLDER}")
    forget_snapshot(remote.host)
    record = record_of(remote.host)
    record.verdict, record.after = "removed", "none"


def follow_removal(remote: Remote, command: str) -> None:
    """Repeats each line until the command ends. Raises Refused with its last line when it ends badly, Lost."""
    talk, last = remote.talk(command), ""
    try:
        while (line := talk.line()) and not line.startswith(f"{ENDED} "):
            remote.say(line)
            last = line
    finally:
        talk.end()
    if not line:
        raise Lost(why_lost(remote.host) or "its answer broke off: run again, which goes on")
    if line != f"{ENDED} 0":
        raise Refused(last.removeprefix("boardllama: "))
