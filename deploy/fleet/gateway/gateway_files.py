"""The files of a gateway, and how they are loaded: checked by haproxy beside their place, then put there together.

What haproxy refuses changes nothing, and what it cannot start with is taken back.
"""

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import SecretStr

from deploy.errors import BoardllamaError
from deploy.fleet.gateway.haproxy_files import CONFIG
from deploy.hosts.facts.target import record_path
from deploy.hosts.release import files_digest, pack_tar, sha256_hex
from deploy.hosts.remote import Remote, RemoteCommandFailed
from deploy.onboard.gateway.gateway_places import GATEWAY_PLACES, GatewayPlaces

# The two folders in the tar that travels, and beside them the new keys, the labels of all boards, and haproxy.cfg
# without an operator's changes, by which the next deploy knows them.
CONFIGS, PROGRAMS, KEYS, LABELS, DEPLOYED = "configs", "programs", "keys", "labels", "deployed"
CHANGED = "boards have changed meanwhile"  # in load.sh, too
BACKEND = re.compile(rb"^backend board-(\S+)", re.MULTILINE)
LOADER = Path(__file__).with_name("load.sh")


@dataclass(frozen=True)
class GatewayFiles:
    """What a gateway has. `texts`: haproxy's files by name. `kept`: haproxy.cfg as an operator changed it. `programs`:
    ours by name. `units`: the hash of its units. `keys`: of boards that told theirs, by label. `seen`: the hash of the
    table of boards that the gateway had.
    """

    texts: dict[str, bytes]
    kept: bytes | None
    programs: dict[str, bytes]
    units: str
    keys: dict[str, SecretStr]
    seen: str

    @cached_property
    def loaded_texts(self) -> dict[str, bytes]:
        """haproxy's files as they are loaded."""
        return self.texts | ({CONFIG: self.kept} if self.kept is not None else {})

    @cached_property
    def labels(self) -> list[str]:
        """The boards that haproxy knows from then on. An operator's haproxy.cfg may name others than the table."""
        return [label.decode() for label in BACKEND.findall(self.loaded_texts[CONFIG])]

    @cached_property
    def digest(self) -> str:
        """The hash of it all. The hashes of the boards' keys are in the table of boards."""
        return sha256_hex(f"{files_digest(self.loaded_texts)} {files_digest(self.programs)} {self.units}".encode())

    @property
    def tar_archive(self) -> bytes:
        """The files as they travel."""
        keys = "".join(f"{label} {key.get_secret_value()}\n" for label, key in self.keys.items())
        told = {KEYS: keys.encode(), LABELS: "".join(f"{label}\n" for label in self.labels).encode()}
        told[DEPLOYED] = self.texts[CONFIG]
        named = {CONFIGS: self.loaded_texts, PROGRAMS: self.programs}
        return pack_tar(
            told | {f"{folder}/{name}": text for folder, own in named.items() for name, text in own.items()}
        )


class TableChanged(BoardllamaError):
    """Another run has told the gateway of boards since its table was read."""


def load_files(remote: Remote, files: GatewayFiles, places: GatewayPlaces = GATEWAY_PLACES) -> None:
    """Has the gateway load its files.

    Raises TableChanged, and BoardllamaError with haproxy's words when it does not take them.
    """
    record = record_path(places.config / CONFIG)
    words = (places.config, places.programs, record, files.digest, places.lock, files.seen)
    command = f"sh -c {shlex.quote(LOADER.read_text())} load {' '.join(shlex.quote(str(word)) for word in words)}"
    try:
        remote.feed([files.tar_archive], command)
    except RemoteCommandFailed as error:
        if CHANGED in str(error):
            raise TableChanged(f"{error}") from None
        raise BoardllamaError(f"haproxy does not take it, and serves on as before: {last_lines(str(error))}") from None


def last_lines(said: str) -> str:
    """What haproxy or systemd said last, in one line: before that a journal may tell of the haproxy that was ended."""
    alerts = [line for line in said.splitlines() if "ALERT" in line] or said.splitlines()
    return "; ".join(line.strip() for line in alerts[-3:])
