"""llama.cpp on the target: the proven binaries, in a folder that is named by their content."""

from pyinfra import host
from pyinfra.api import operation
from pyinfra.operations import apt

from deploy.build.artifact import Build, require_artifact
from deploy.errors import BoardllamaError
from deploy.hosts.facts.board import board_shortcomings
from deploy.hosts.facts.target import shell_words
from deploy.hosts.release import build_files
from deploy.hosts.remote import Commands, HostStep, Remote, refuse
from deploy.hosts.snapshot import snapshot_of
from deploy.hosts.stage_decorator import stage
from deploy.hosts.store import big_files
from deploy.hosts.target import board_of
from deploy.onboard.places import PLACES, PROGRAMS


@stage("Install llama.cpp")
def install_llama(build: Build | None, refused: str | None) -> None:
    """Installs the build, or fails this host with the reason why none fits it. Says what the board falls short of."""
    for line in board_shortcomings(board_of(host)):
        host.log(line)
    check_target(name="Check that this target can take it", refused=refused)
    if build is None:
        return
    need_packages(name="Have the packages that boardllama needs", lacking=board_of(host).lacks)
    store_build(name="Bring llama-server", build=build)


@operation()
def need_packages(lacking: tuple[str, ...]) -> Commands:
    """Installs the Debian packages of missing commands: python3 for our programs, curl for the board suite."""
    if lacking:
        yield from apt.packages._inner(packages=list(lacking), update=True, cache_time=3600)
        yield f"mkdir -p {PLACES.packages.parent} && printf '%s\\n' {shell_words(lacking)} >>{PLACES.packages}"


@operation()
def check_target(refused: str | None) -> Commands:
    """Refuses before anything is copied: a board that cannot run the build, or someone else's llama-server."""
    if refused:
        yield refuse(refused)
    paths = [f"{PLACES.public_bin}/{name}" for name in PROGRAMS]
    held = snapshot_of(host).links
    foreign = [path for path in paths if path in held and not (held[path] or "").startswith(f"{PLACES.root}/")]
    if foreign:
        yield HostStep(lambda remote: refuse_foreign(remote, foreign[0]))


def refuse_foreign(remote: Remote, path: str) -> None:
    """Raises with the name of the package that owns `path`: replacing it would break that package's upgrades."""
    owner = remote.run(f"dpkg-query --search {path} 2>/dev/null | cut -d: -f1 || true").strip()
    whose = f"the package {owner}" if owner else "someone else"
    advice = f"apt-get remove {owner}" if owner else f"mv {path} {path}.old"
    raise BoardllamaError(f"{path} belongs to {whose}, so boardllama leaves it alone: `{advice}` there, run again")


@operation()
def store_build(build: Build) -> Commands:
    """Brings the build's files. A build that failed on the builder stops just the targets that need it."""
    try:
        manifest = require_artifact(build)
    except BoardllamaError as error:
        yield refuse(error)
        return
    yield from big_files._inner(build_files(build, manifest))
