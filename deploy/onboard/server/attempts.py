"""How often a start may fail, one after the other, before the server stays down."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from .config import ConfigError

# Seconds to the next start after a start that failed behind a crowd: the unit's limit is five starts in 60 s.
CROWD_SECONDS = 15.0
# After so many failed starts in a row the server stays down.
ATTEMPTS = 5


def count_attempt(folder: Path, sleep: Callable[[float], None] = time.sleep) -> None:
    """Counts a start in `folder`, the service's runtime folder. Raises ConfigError when the last ATTEMPTS starts
    failed.

    A start that failed behind a crowd does not count: a server that may open no more files cannot open its model, and
    no client may keep the service down for good.

    systemd's own limit is on starts within a time: a model that takes a minute to load until memory is out would be
    loaded for ever. The file of the count goes when the server is ready (watch.py), and with the folder when a person
    restarts the service.
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
