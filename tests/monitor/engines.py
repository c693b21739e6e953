"""Debian's Prometheus, Alertmanager and node exporter: unpacked, not installed, so that none starts."""

import subprocess
from functools import cache
from pathlib import Path

from deploy.debian.staging import ensure_folder
from deploy.paths import cache_dir

PACKAGES = ("prometheus", "prometheus-alertmanager", "prometheus-node-exporter")


@cache
def engine(name: str) -> str:
    """The path of one of their programs: prometheus, promtool, amtool, prometheus-node-exporter."""
    folder = ensure_folder(cache_dir() / "monitor-engines", "Prometheus for the tests", unpack_engines)
    return str(folder / "usr/bin" / name)


def unpack_engines(new: Path) -> None:
    """Unpacks into new/tree. 34 MB are fetched."""
    if subprocess.run(["apt-get", "download", *PACKAGES], cwd=new, capture_output=True, check=False).returncode:
        subprocess.run(["apt-get", "update", "-q"], capture_output=True, check=False)  # for root alone
        subprocess.run(["apt-get", "download", *PACKAGES], cwd=new, capture_output=True, check=True)
    for package in new.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, new / "tree"], check=True)
