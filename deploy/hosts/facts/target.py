"""What is true of a target now. One round trip each; process() is pure."""

import base64
import io
import shlex
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from pyinfra.api import FactBase

from deploy.hosts.receipt import IDENTITY, TargetReceipt, receipt_path
from deploy.onboard.json_parts import parse_json
from deploy.onboard.places import PLACES
from deploy.onboard.server.health import Health


def shell_words(values: Iterable[str]) -> str:
    """The values as words of a shell command, quoted."""
    return " ".join(shlex.quote(value) for value in values)


@dataclass(frozen=True)
class Stored:
    """`sha256` is None for a file that was never proven, or has changed since."""

    size: int
    mode: str
    owner: str
    sha256: str | None


class StoredFiles(FactBase[dict[str, Stored]]):
    """The files in the folders of stores, by path, without reading them: {"/usr/…/llama-server": Stored(size=…, …)}."""

    @staticmethod
    def default() -> dict[str, Stored]:
        return {}

    def command(self, stores: tuple[str, ...]) -> str:
        files = " ".join(f"{shlex.quote(store)}/*/*" for store in stores)
        receipts = " ".join(f"{shlex.quote(store)}{receipt_path('/*/*')}" for store in stores)
        return f"stat -c 'stat {IDENTITY}|%a %U:%G|%n' -- {files} 2>/dev/null; cat -- {receipts} 2>/dev/null; true"

    def process(self, output: list[str]) -> dict[str, Stored]:
        receipts = {(proof.identity, proof.path): proof.sha256 for proof in map(TargetReceipt.parse, output) if proof}
        found = {}
        for line in output:
            if line.startswith("stat "):
                identity, rights, path = line.removeprefix("stat ").split("|", 2)
                mode, owner = rights.split(" ")
                size = int(identity.split(" ")[1])
                found[path] = Stored(size, mode, owner, receipts.get((identity, path)))
        return found


def record_path(path: str | Path) -> str:
    """Where the content of a small file's last deploy is kept."""
    return f"{PLACES.records}/{str(path).strip('/').replace('/', '_')}"


@dataclass(frozen=True)
class Text:
    """A small file of the target."""

    content: bytes
    mode: int
    owner: str


class Texts(FactBase[dict[str, Text]]):
    """Small files by path, whatever bytes they hold. A file that is not there is left out."""

    @staticmethod
    def default() -> dict[str, Text]:
        return {}

    def command(self, paths: tuple[str, ...]) -> str:
        names = shell_words(path.lstrip("/") for path in paths)
        return f"tar -C / --dereference --ignore-failed-read -cf - {names} 2>/dev/null | base64 -w 0"

    def process(self, output: list[str]) -> dict[str, Text]:
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode("".join(output)))) as archive:
            found = {}
            for member in archive.getmembers():
                file = archive.extractfile(member) if member.isfile() else None
                if file:
                    found[f"/{member.name}"] = Text(file.read(), member.mode, f"{member.uname}:{member.gname}")
            return found


class Links(FactBase[dict[str, str | None]]):
    """Where symbolic links point; None for something else that stands in the way: {"/usr/bin/llama-cli": "/usr/…"}."""

    @staticmethod
    def default() -> dict[str, str | None]:
        return {}

    def command(self, paths: tuple[str, ...]) -> str:
        return f"find {shell_words(paths)} -maxdepth 0 -printf '%y|%p|%l\\n' 2>/dev/null; true"

    def process(self, output: list[str]) -> dict[str, str | None]:
        rows = [line.split("|", 2) for line in output]
        return {path: (target if kind == "l" else None) for kind, path, target in rows}


@dataclass(frozen=True)
class UnitState:
    """`installed`: it has a file, besides what is added to it. `stale`: its files changed since systemd read them."""

    installed: bool = False
    active: bool = False
    stale: bool = False


class Units(FactBase[dict[str, UnitState]]):
    """What systemd says of units, by their names, of those whose files are there: {"a.timer": UnitState(…)}."""

    @staticmethod
    def default() -> dict[str, UnitState]:
        return {}

    def command(self, units: dict[str, str]) -> str:
        """`units`: names by the file of ours without which nobody asks: most boards have none, and run no systemctl."""
        adding = (f'test ! -e {shlex.quote(file)} || set -- "$@" {unit}' for file, unit in units.items())
        shown = "systemctl show -p Id -p LoadState -p ActiveState -p NeedDaemonReload"
        return f'set --; {"; ".join(adding)}; test $# = 0 || {shown} "$@" 2>/dev/null; true'

    def process(self, output: list[str]) -> dict[str, UnitState]:
        found: dict[str, UnitState] = {}
        for block in "\n".join(output).split("\n\n"):
            said = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            if "Id" in said:
                states = said.get("LoadState") == "loaded", said.get("ActiveState") == "active"
                found[said["Id"]] = UnitState(*states, stale=said.get("NeedDaemonReload") == "yes")
        return found


class ReleaseFiles(FactBase[dict[str, str]]):
    """A release on the target by file name, with hashes and link targets: {"config.json": "1f…", "llama-cli": "-> …"}.

    "created" is the time in its manifest. Notes that the target itself made are left out.
    """

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def command(self, folder: str) -> str:
        return (
            f"cd {shlex.quote(folder)} 2>/dev/null || exit 0;"
            " find . -type f ! -path '*/__pycache__/*' ! -name rejected -exec sha256sum {} +;"
            " find . -type l ! -name previous -printf '-> %l  %p\\n';"
            ' sed -n \'s/^ "created": "\\(.*\\)",*$/\\1  .\\/created/p\' manifest.json'
        )

    def process(self, output: list[str]) -> dict[str, str]:
        rows = [line.rpartition("  ./") for line in output]
        return {name: value for value, _, name in rows}


@dataclass(frozen=True)
class KeyInfo:
    """`sha256`: of the whole key file; `mode` and `owner` as stat prints them: "640", "root:ollama"."""

    sha256: str
    mode: str
    owner: str


class KeyFile(FactBase[KeyInfo | None]):
    """The API key file; None where it is not there, or holds no key, which would switch llama-server's check off."""

    @staticmethod
    def default() -> None:
        return None

    def command(self, path: str) -> str:
        file = shlex.quote(path)
        return (
            f"grep -sv '^#' {file} | grep -q '[^[:space:]]' && stat -L -c '%a %U:%G' {file} && sha256sum {file}; true"
        )

    def process(self, output: list[str]) -> KeyInfo | None:
        if len(output) != 2:
            return None
        mode, owner = output[0].split()
        return KeyInfo(output[1].split()[0], mode, owner)


@dataclass(frozen=True)
class StatusInfo:
    """`current`: id of the committed release. `linked`: every public name leads through it.

    `fresh`: the server was started from what is installed now. `waiting`: the operator brings the model, and has not
    yet. `strays`: what no release needs any more. `tokens_per_second`: what the gate measured when it let the current
    release in, as long as the target remembers. `health`: None where nothing could be asked, and from the programs of
    an older release, which do not say it.
    """

    current: str | None = None
    tried: bool = False
    active: bool = False
    linked: bool = False
    fresh: bool = False
    waiting: bool = False
    strays: tuple[str, ...] = ()
    tokens_per_second: float | None = None
    health: Health | None = None


class Status(FactBase[StatusInfo]):
    """What a release's own program says of the target; nothing where that program is not there yet."""

    @staticmethod
    def default() -> StatusInfo:
        return StatusInfo()

    def command(self, program: str) -> str:
        return f"test ! -x {shlex.quote(program)} || {shlex.quote(program)} status"

    def process(self, output: list[str]) -> StatusInfo:
        told = parse_json("".join(output) or "{}")
        known = {one.name: told[one.name] for one in fields(StatusInfo) if one.name in told}
        health = Health.from_json(known["health"]) if known.get("health") else None
        return StatusInfo(**{**known, "strays": tuple(known.get("strays", ())), "health": health})
