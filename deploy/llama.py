"""llama.cpp on the target: the proven binaries in a folder of their own, and the links that make them current."""

import hashlib

from pyinfra import host
from pyinfra.api import operation

from deploy.build.artifact import MANIFEST, PROGRAMS, Build, require_artifact
from deploy.errors import BoardllamaError
from deploy.facts import Links
from deploy.operations import links
from deploy.remote import Commands, HostStep, Remote, refuse
from deploy.stage import stage
from deploy.store import BigFile, big_files

LIB_DIR = "/usr/lib/boardllama"
CURRENT = f"{LIB_DIR}/current"


def folder_of(build: Build) -> str:
    """Where a build's files lie on the target; named by the build's key, so nothing that runs is overwritten."""
    return f"{LIB_DIR}/builds/{build.name}"


@stage("Install llama.cpp")
def install(build: Build | None, refused: str | None) -> None:
    """Installs the build, or fails this host with the reason why none fits it."""
    check_target(name="Check that this target can take it", refused=refused)
    if build is None:
        return
    store_build(name="Bring llama-server", build=build)
    links(name="Make this build current", targets=link_targets(build))


def link_targets(build: Build) -> dict[str, str]:
    """Path of each link → where it points. /usr/bin keeps pointing at `current`, which alone moves."""
    return {CURRENT: folder_of(build)} | {f"/usr/bin/{name}": f"{CURRENT}/{name}" for name in PROGRAMS}


@operation()
def check_target(refused: str | None) -> Commands:
    """Refuses before anything is copied: a board that cannot run the build, or someone else's llama-server."""
    if refused:
        yield refuse(refused)
    paths = [f"/usr/bin/{name}" for name in PROGRAMS]
    held = host.get_fact(Links, paths=tuple(paths))
    foreign = [path for path in paths if path in held and not (held[path] or "").startswith(LIB_DIR)]
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
        yield refuse(str(error))
        return
    programs = {name: (file.sha256, file.size, "755") for name, file in manifest.files.items()}
    about = (build.artifact / MANIFEST).read_bytes()
    files = programs | {MANIFEST: (hashlib.sha256(about).hexdigest(), len(about), "644")}
    yield from big_files._inner(
        tuple(BigFile(build.artifact / name, f"{folder_of(build)}/{name}", *facts) for name, facts in files.items())
    )
