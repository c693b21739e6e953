"""Where a deploy leaves something, on boards, gateways and monitors: by absolute paths, for whoever asks a machine."""

import re
from typing import NamedTuple

from ..places import EXPORTER_UNIT, PLACES

# Units that a deploy writes. Those of an image (first boot, Wi-Fi) are the board's own.
UNIT = re.compile(
    r"(ollama-cpp-(server(-[\w.-]+)?|front|ollama)|boardllama-(api-key|system|channel|keeper|fleet-page))"
    r"\.(service|timer)"
)
GATEWAY, MONITOR = "/etc/boardllama-gateway", "/etc/prometheus/boardllama"
# Folders that hold nothing but what a deploy brought; .new and .old are of a deploy that was cut.
FOLDERS = (
    *(f"{folder}{state}" for folder in (GATEWAY, "/usr/lib/boardllama-gateway") for state in ("", ".new", ".old")),
    MONITOR,
    "/usr/lib/boardllama-monitor",
    "/run/boardllama-gateway",
    "/etc/boardllama-acme",
    str(PLACES.figures),
    "/run/boardllama-fleet-page",
    "/var/cache/boardllama-debs",
)
# Patterns for a shell: all that certbot has of a gateway's certificate, also under the names that it makes up where it
# cannot read what is there (NAME-0001).
CERTBOT_FILES = tuple(
    f"/etc/letsencrypt/{place}/boardllama-gateway{again}{end}"
    for place, end in (("renewal", ".conf"), ("live", ""), ("archive", ""))
    for again in ("", "-[0-9][0-9][0-9][0-9]")
)
SYSTEM_UNITS = "/etc/systemd/system"
KEEPALIVED = "/etc/keepalived/keepalived.conf"


class Companion(NamedTuple):
    """A unit of a Debian package that a deploy told something. `told`: the files of ours that tell it."""

    unit: str
    package: str
    told: tuple[str, ...]


def drop_in(unit: str, name: str) -> str:
    """A file that is added to a unit."""
    return f"{SYSTEM_UNITS}/{unit}.d/{name}"


COMPANIONS = (
    Companion(EXPORTER_UNIT, "prometheus-node-exporter", (str(PLACES.exporter),)),
    Companion("haproxy.service", "haproxy", (drop_in("haproxy.service", "50-boardllama.conf"),)),
    Companion("keepalived.service", "keepalived", ("/etc/keepalived/boardllama-loaded", KEEPALIVED)),
    Companion("prometheus.service", "prometheus", (drop_in("prometheus.service", "prometheus-boardllama.conf"),)),
    Companion(
        "prometheus-alertmanager.service",
        "prometheus-alertmanager",
        (drop_in("prometheus-alertmanager.service", "prometheus-alertmanager-boardllama.conf"),),
    ),
)
# What programs of a package make while they run, and apt leaves when the package goes.
REMAINS = {
    "haproxy": "/var/lib/haproxy",
    "certbot": "/var/lib/letsencrypt",
    "keepalived": "/etc/iproute2/rt_addrprotos.d/keepalived.conf",
}
# certbot listens to nobody between two requests, so it goes on, for certificates of others.
CERTBOT = drop_in("certbot.service", "50-boardllama.conf")
# A machine that has none of these has nothing of ours, but maybe models.
MARKS = (
    *map(str, (PLACES.root, PLACES.records.parent, PLACES.sysusers, PLACES.tmpfiles, PLACES.channel_state)),
    *(str(PLACES.public_bin / "boardllama"), GATEWAY, MONITOR),
)
