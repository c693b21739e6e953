"""How often a start may fail, one after the other, before the server stays down."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from .config import ConfigError

# Between two starts of which a crowd made the first one fail: the unit's limit is five in sixty.
CROWD_SECONDS = 15.0
# Starts in a row that may fail before it stays down.
ATTEMPTS = 5


def count_attempt(folder: Path, sleep: Callable[[float], None] = time.sleep) -> None:
    """Counts a start in the service's runtime folder, which has its name.

    Raises ConfigError when the last ATTEMPTS starts, one after the other, never got ready.

    One that failed behind a crowd does not count: a server that may open no more files cannot open its model, and no
    client may keep it down for good.

    systemd's own limit counts starts in a time, and a model that takes a minute to load until memory is out would be
    loaded for ever. The file goes when the server is ready (watch.py), and with the folder when a person restarts it.
    """
    attempts, crowded = folder / "attempts", folder / "crowded"
    if crowded.exists():
        print(f"{folder.name}: a crowd of clients was there at the last start: waiting a little", file=sys.stderr)
        crowded.unlink()
        sleep(CROWD_SECONDS)
        return
    before = int(attempts.read_text()) if attempts.exists() else 0
    if before >= ATTEMPTS:
        raise ConfigError(
            f"{before} starts in a row did not get ready, their reasons are above: `systemctl restart "
            f"{folder.name}` tries again, `boardllama rollback` goes back to the release before"
        )
    attempts.write_text(str(before + 1))
