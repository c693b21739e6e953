"""What the doctor looks at: collected once, each part for itself, with a deadline. What cannot be known is None."""

import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from . import places
from .commands import run
from .config import ConfigError, configuration, url_of
from .health import Health, State, look_at, unit_facts
from .launch import find_model
from .reach import answers_arp, answers_dns, gateway, interfaces
from .releases import current, table
from .switch import SYSTEMD

Found = TypeVar("Found")
DEADLINE = 10.0
UNIT_PROPERTIES = "LoadState,ActiveState,SubState,Result,ExecMainStatus,MemoryMax,MemoryCurrent,NRestarts"
GET_THROTTLED = "devices/platform/soc*/soc*firmware/get_throttled"


@dataclass(frozen=True)
class Interface:
    """A real network card. `addresses` without their prefixes, link-local ones of IPv6 left out."""

    name: str
    wifi: bool
    carrier: bool
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Disk:
    """A file system, by a folder on it; sizes in bytes."""

    folder: str
    size: int
    free: int
    inodes: int
    inodes_free: int
    read_only: bool = False


@dataclass(frozen=True)
class Facts:
    """A board at one moment; None: not known here. Memory and sizes in bytes, temperature in degrees Celsius.

    `throttled`: the word of `vcgencmd get_throttled`. `identity`: what was wrong with boardllama.txt.
    """

    host: str
    board: str
    root: bool  # whether it was asked as root
    interfaces: tuple[Interface, ...] | None = None
    gateway: str | None = None
    gateway_answers: bool | None = None
    dns: tuple[str, ...] = ()
    dns_answers: bool | None = None
    systemd: bool = False  # whether it runs this machine
    unit: dict[str, str] | None = None
    health: Health | None = None
    config_error: str = ""
    words: tuple[str, ...] = ()
    memory_total: int | None = None
    memory_available: int | None = None
    model: str | None = None
    model_size: int | None = None
    temperature: float | None = None
    throttled: int | None = None
    disks: tuple[Disk, ...] = ()
    now: float = 0.0
    created: float | None = None
    synchronized: bool | None = None
    releases: tuple[tuple[str, str], ...] = ()  # id, state; the current one first
    switching: bool = False
    ssh: bool | None = None
    failed_units: tuple[str, ...] | None = None
    identity: tuple[str, ...] | None = None


def collect() -> Facts:
    """Half a minute at most, where everything hangs."""
    way, servers = known(gateway), known(name_servers) or ()
    total, available = known(memory) or (None, None)
    unit = known(lambda: unit_facts(UNIT_PROPERTIES, DEADLINE)) or None
    seen, wrong = service(unit or {})
    model = known(lambda: model_file(configuration()))
    release = current()
    return Facts(
        host=os.uname().nodename,
        board=known(board) or os.uname().machine,
        root=os.geteuid() == 0,
        interfaces=known(lambda: tuple(Interface(*card) for card in interfaces())),
        gateway=way,
        gateway_answers=known(lambda: answers_arp(way)) if way else None,
        dns=servers,
        dns_answers=any(answers_dns(server) for server in servers[:3]) if servers else None,
        systemd=SYSTEMD.is_dir(),
        unit=unit,
        health=seen,
        config_error=wrong,
        words=() if seen and seen.state is State.READY else known(last_words) or (),
        memory_total=total,
        memory_available=available,
        model=model.name if model else None,
        model_size=model.stat().st_size if model else None,
        temperature=known(temperature),
        throttled=known(throttled),
        disks=tuple(known(disks) or ()),
        now=time.time(),
        created=known(lambda: datetime.fromisoformat(release.manifest["created"]).timestamp()) if release else None,
        synchronized=known(synchronized),
        releases=tuple((row["id"], row["state"]) for row in known(table) or ()),
        switching=known(lambda: is_active(places.SWITCH_UNIT)) or False,
        ssh=known(ssh_listens),
        failed_units=known(failed_units),
        identity=known(lambda: tuple(json.loads(places.APPLIED.read_text())["problems"])),
    )


def known(look: Callable[[], Found]) -> Found | None:
    """What it finds; None where this board does not tell."""
    with suppress(OSError, ValueError, LookupError, ConfigError):
        return look()
    return None


def board(root: Path = Path("/")) -> str:
    """As its maker calls it."""
    for name in ("proc/device-tree/model", "sys/class/dmi/id/product_name"):
        with suppress(OSError):
            return (root / name).read_text(errors="replace").strip("\0\n ")
    raise LookupError(name)


def last_words() -> tuple[str, ...]:
    """The last two lines of the service since the board started, without what systemd says about it."""
    ours = ("--boot", "--unit", places.UNIT, "--identifier", places.UNIT.removesuffix(".service"))
    said = run("journalctl", *ours, "--lines", "2", "--output", "cat", "--no-pager", deadline=DEADLINE)
    return tuple(line.strip() for line in said.splitlines() if line.strip())


def service(unit: dict[str, str]) -> tuple[Health | None, str]:
    """Its health, or what is wrong with its config.json."""
    try:
        return look_at(unit, url_of(configuration()["server"])), ""
    except ConfigError as error:
        return None, str(error)
    except (OSError, ValueError):
        return None, ""


def model_file(config: dict[str, dict[str, Any]]) -> Path:
    """What the service would serve. Raises ConfigError, LookupError."""
    release = current()
    if release is None:
        raise LookupError("no release")
    return find_model(config["models"], release)


def memory(meminfo: Path = Path("/proc/meminfo")) -> tuple[int, int]:
    """MemTotal, MemAvailable."""
    rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    total, available = (int(rows[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    return total, available


def temperature(sys: Path = Path("/sys")) -> float:
    """Of the hottest zone."""
    return max(int(zone.read_text()) for zone in sys.glob("class/thermal/thermal_zone*/temp")) / 1000


def throttled(sys: Path = Path("/sys")) -> int:
    """From the Raspberry Pi's firmware, or from the alarm of the driver that asks it."""
    for file in sys.glob(GET_THROTTLED):
        return int(file.read_text(), 16)
    for name in sys.glob("class/hwmon/hwmon*/name"):
        if name.read_text().strip() == "rpi_volt":
            return int(name.with_name("in0_lcrit_alarm").read_text())
    return int(run("vcgencmd", "get_throttled", deadline=DEADLINE).split("=")[1], 16)


def disks() -> list[Disk]:
    """Of everything that boardllama writes to; two folders on one file system are one."""
    found: dict[int, Disk] = {}
    for folder in (Path("/"), places.MODELS, places.ROOT, Path("/run")):
        if folder.exists():
            said = os.statvfs(folder)
            sizes = (said.f_blocks * said.f_frsize, said.f_bavail * said.f_frsize, said.f_files, said.f_favail)
            found.setdefault(folder.stat().st_dev, Disk(str(folder), *sizes, bool(said.f_flag & os.ST_RDONLY)))
    return list(found.values())


def name_servers(etc: Path = Path("/etc/resolv.conf"), run: Path = Path("/run/systemd/resolve")) -> tuple[str, ...]:
    """The real ones, behind systemd-resolved's own address."""
    for file in (etc, run / "resolv.conf"):
        with suppress(OSError):
            found = re.findall(r"^nameserver\s+(\S+)", file.read_text(), re.MULTILINE)
            if found and not found[0].startswith("127.0.0."):
                return tuple(found)
    return ()


def synchronized() -> bool:
    """Whether a time server has set the clock. Raises LookupError where none is asked."""
    shown = run("timedatectl", "show", "--property=NTP,NTPSynchronized", deadline=DEADLINE).split()
    if "NTP=no" in shown and "NTPSynchronized=no" in shown:
        raise LookupError("no time server")
    return "NTPSynchronized=yes" in shown


def is_active(unit: str) -> bool:
    """For systemd."""
    return run("systemctl", "show", "--property=ActiveState", unit, deadline=DEADLINE).strip() in (
        "ActiveState=active",
        "ActiveState=activating",
    )


def listens(port: int, net: Path = Path("/proc/net")) -> bool:
    """Whether something does on that TCP port: state 0A of proc_net_tcp(5)."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in (net / name).read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def ssh_listens() -> bool:
    """Whether a port of the SSH server's own settings is open; of 22 where it cannot say them (OpenSSH before 9.3)."""
    settings = ""
    with suppress(OSError):
        settings = run("/usr/sbin/sshd", "-G", deadline=DEADLINE)
    ports = [int(line.split()[1]) for line in settings.splitlines() if line.startswith("port ")]
    return any(listens(port) for port in ports or [22])


def failed_units() -> tuple[str, ...]:
    """Their names."""
    shown = run("systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager", deadline=DEADLINE)
    return tuple(line.split()[0] for line in shown.splitlines() if line.strip())
