"""Where a release lies on the target: all that the campaign knows about it, in one place."""

import json
import re
from typing import Any

from tests.faults.on_target.observe import Layout

LAYOUT: Layout = {
    "unit": "ollama-cpp-server.service",
    "url": "http://127.0.0.1:11434",
    "key": "/etc/ollama-cpp/api-key",
    # Second word of the second line: the release that the running server was started from.
    "started": "/run/ollama-cpp-server/started",
    "config": "/usr/lib/boardllama/releases/{release}/config.json",
    "launcher": "/usr/lib/boardllama/releases/{release}/onboard/server/launch.py",
    "switch": "boardllama-switch.service",
    # What a deploy may write, for leftovers and for disk use.
    "folders": ["/usr/lib/boardllama", "/var/lib/ollama", "/var/lib/boardllama", "/etc/ollama-cpp"],
    "unfinished": r"\.(part|new)$",
    # World-readable files in which a key must not be.
    "searched": ["/etc", "/usr/lib/boardllama", "/var/lib/boardllama", "/var/log", "/var/tmp", "/run", "/tmp", "/root"],
}
# A release's own name in a path; two releases of equal content may differ in it.
RELEASE = re.compile(r"/usr/lib/boardllama/releases/[^/]+/")


def without_release(text: str) -> str:
    """A path or argument that does not depend on a release's name."""
    return RELEASE.sub("RELEASE/", text)


def other_release(printed: str) -> str:
    """The id to roll back to, from what `boardllama releases --json` printed: the newest that is not the current."""
    releases: list[dict[str, Any]] = json.loads(printed)
    others = [release for release in releases if release["state"] != "current"]
    return str(max(others, key=lambda release: str(release["when"]))["id"])
