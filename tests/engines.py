"""Debian's own programs for the tests: unpacked, not installed, so that none of them starts by itself."""

import os
import subprocess
from functools import cache
from pathlib import Path

from deploy.debian.staging import ensure_folder
from deploy.paths import cache_dir

MOSQUITTO = ("mosquitto", "mosquitto-clients", "libmosquitto1", "libwrap0", "libdlt2", "libcjson1")
# By what is asked for: the packages with the program, and with libraries that this machine may lack.
PACKAGES = {
    **dict.fromkeys(("prometheus", "promtool"), ("prometheus",)),
    **dict.fromkeys(("amtool", "prometheus-alertmanager"), ("prometheus-alertmanager",)),
    "prometheus-node-exporter": ("prometheus-node-exporter",),
    "nginx": ("nginx",),
    **dict.fromkeys(("mosquitto", "mosquitto_pub", "mosquitto_sub"), MOSQUITTO),
    **dict.fromkeys(("pebble", "pebble-challtestsrv"), ("pebble",)),
    "sshd": ("openssh-server", "libwrap0"),
}


@cache
def engine(name: str) -> str:
    """The path of one of these programs. Debian 13 has promtool in a package of that name."""
    folders = (engine_folder(packages) for packages in (PACKAGES[name], (name,)))
    return str(next(path for folder in folders for path in folder.glob(f"usr/*bin/{name}")))


def engine_environment(name: str) -> dict[str, str]:
    """The variables with which it finds its libraries."""
    folders = (str(folder) for folder in engine_folder(PACKAGES[name]).glob("usr/lib/*-linux-gnu*"))
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(folders)}


@cache
def engine_folder(packages: tuple[str, ...]) -> Path:
    """The folder with these packages, which are fetched first: 24 MB for Prometheus, 1 MB for most."""

    def unpack(new: Path) -> None:
        if subprocess.run(["apt-get", "download", *packages], cwd=new, capture_output=True, check=False).returncode:
            subprocess.run(["apt-get", "update", "-q"], capture_output=True, check=False)  # for root alone
            subprocess.run(["apt-get", "download", *packages], cwd=new, capture_output=True, check=True)
        for package in new.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, new / "tree"], check=True)

    return ensure_folder(cache_dir() / "engines" / packages[0], f"{packages[0]} for the tests", unpack)
