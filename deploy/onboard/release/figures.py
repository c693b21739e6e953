"""What Prometheus is told of the release that serves: a file that the node exporter reads, written at each switch.

No process of ours runs for it. Heat, voltage, memory, disk and clock the exporter reads by itself.
"""

import json

from ..files import write_file
from ..places import Places
from .releases import DamagedManifest, Release, current_release
from .verdict import last_rate

FILE = "boardllama.prom"


def write_figures(places: Places) -> None:
    """Writes the file. Nothing where no exporter is wanted, whose folder is missing then. Raises OSError."""
    release = current_release(places)
    if places.figures.is_dir() and release:
        write_file(places.figures / FILE, "".join(figure_lines(release)).encode())


def figure_lines(release: Release) -> list[str]:
    """The lines of the file; none for a release whose manifest is damaged."""
    try:
        named = {"release": release.id, "model": release.models, "commit": release.pin}
        floor = release.manifest.get("policy", {}).get("min_tokens_per_second", 0)
    except DamagedManifest:
        return []
    labels = ",".join(f"{name}={json.dumps(text, ensure_ascii=False)}" for name, text in named.items())
    # The link is made anew by each switch, a way back too.
    switched, rate = release.places.current.lstat().st_mtime, last_rate(release)
    return [
        f"boardllama_release_info{{{labels}}} 1\n",
        f"boardllama_release_committed_timestamp_seconds {switched:.0f}\n",
        f"boardllama_tokens_per_second_floor {floor:g}\n",
        *([f"boardllama_tokens_per_second_gate {rate:g}\n"] if rate else []),
    ]
