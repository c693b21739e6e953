"""The boards' keys on a monitor: each board keeps its own, and Prometheus reads it from a file of its own."""

from functools import partial

from gevent.pool import Pool
from paramiko import SSHException
from pyinfra import host, inventory
from pyinfra.api import operation
from pyinfra.api.host import Host

from deploy.errors import BoardllamaError
from deploy.fleet.monitor.monitor_places import KEYS, OWNER
from deploy.fleet.monitor.watched_boards import WatchedBoard
from deploy.hosts.board_key import read_board_key
from deploy.hosts.lock import TargetStep
from deploy.hosts.remote import Commands, remote_of
from deploy.hosts.secret_files import SecretFile, SecretStamps, remove_files, write_secrets
from deploy.hosts.snapshot import memory_of
from deploy.onboard.service import OLLAMA

ASKED_AT_ONCE = 20
# In the place of a key that nobody could read yet: the board's server answers it with 401, and the board shows as down.
UNKNOWN = "unknown"


@operation()
def bring_board_keys(boards: tuple[WatchedBoard, ...]) -> Commands:
    """Brings the keys of the boards that this run reaches, and removes those that nothing asks for.

    The file of a board out of reach stays as it is.
    """
    there = host.get_fact(SecretStamps, folder=KEYS)
    keyed = {board.name: f"{KEYS}/{board.file_name}" for board in boards if board.is_keyed}
    if gone := sorted(there.keys() - set(keyed.values())):
        yield TargetStep(partial(remove_files, paths=gone))
    reached = {one.name: one for one in inventory.get_active_hosts()}
    unsure = {
        name: path for name, path in keyed.items() if name in reached and not is_known(reached[name], path, there)
    }
    keys = read_keys([reached[name] for name in unsure]) if host.state.is_executing else dict.fromkeys(unsure, UNKNOWN)
    keys |= {name: UNKNOWN for name, path in keyed.items() if path not in there and not keys.get(name)}
    files = [SecretFile(keyed[name], f"{key}\n", "640", OWNER) for name, key in keys.items() if key]
    if missing := [file for file in files if there.get(file.path) != file.stamp]:
        yield TargetStep(partial(write_secrets, files=missing))


def is_known(board: Host, path: str, there: dict[str, str]) -> bool:
    """Whether the file holds the board's key, as far as this run knows the board; no command is run for it."""
    last = memory_of(board).last
    key = last.keys.get(OLLAMA.name) if last else None
    return key is not None and there.get(path, "").partition(" ")[0] == key.sha256


def read_keys(boards: list[Host]) -> dict[str, str]:
    """The keys of the boards by their names; "" for a key that cannot be read."""
    return dict(zip((board.name for board in boards), Pool(ASKED_AT_ONCE).map(key_or_nothing, boards), strict=True))


def key_or_nothing(board: Host) -> str:
    """The board's key; "" without one. What is wrong with a board is told by the board's own part of the run."""
    try:
        return read_board_key(remote_of(board))
    except (BoardllamaError, OSError, EOFError, SSHException):
        return ""
