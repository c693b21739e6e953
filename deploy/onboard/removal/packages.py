"""Debian packages that a deploy installed here: removed where no other needs them."""

import re
from pathlib import Path

from ..commands import end_of, run_command

# Any program may use them by now; python3 runs this one.
COMMON = {"python3", "curl"}
APT = ("env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=120")
DEADLINE = 900.0
PURGED = re.compile(r"^Purg (\S+)", re.M)


def noted_packages(note: Path) -> list[str]:
    """The packages that deploys have installed and that are there still."""
    names = sorted(set(note.read_text().split())) if note.is_file() else []
    done = end_of("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\\n", *names) if names else None
    rows = [line.split() for line in done.stdout.splitlines()] if done else []
    return [row[1] for row in rows if row[:1] == ["installed"]]


def purge_packages(names: list[str]) -> list[str]:
    """Removes packages with their settings, if no other package would go with them.

    Returns a sentence for those that stay. Raises ProgramFailed when apt does.
    """
    common, own = sorted(COMMON & {*names}), sorted({*names} - COMMON)
    said = [f"{', '.join(common)}: a deploy installed it, and others may use it by now"] if common else []
    if not own:
        return said
    others = sorted({*PURGED.findall(run_command(*APT, "--simulate", "purge", *own, deadline=DEADLINE))} - {*own})
    if others:
        return [*said, f"{', '.join(own)}: {', '.join(others)} needs some of them; `apt-get purge` takes them all"]
    run_command(*APT, "purge", *own, deadline=DEADLINE)
    return said
