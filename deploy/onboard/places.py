"""Where boardllama keeps things on every target. What belongs to a server on it is in service.py."""

from dataclasses import dataclass
from pathlib import Path

SWITCH_UNIT = "boardllama-switch.service"
PROGRAMS = ("llama-server", "llama-cli", "llama-bench", "llama-quantize")
# A folder of a release: its editable files as they were deployed.
PRISTINE = "pristine"
# In a service's folder of a release: prompts that the server reads at its start.
WARM = "warm"


@dataclass(frozen=True)
class Places:
    """Absolute paths. Whoever changes a target is given them, so that a test's target may lie in a folder."""

    # What systemd is told of the account and the folders.
    sysusers: Path = Path("/usr/lib/sysusers.d/boardllama.conf")
    tmpfiles: Path = Path("/usr/lib/tmpfiles.d/boardllama.conf")
    # What was last deployed, file by file: tells an operator's edit from an older deploy. A release has its own folder.
    records: Path = Path("/var/lib/boardllama/deployed")

    root: Path = Path("/usr/lib/boardllama")
    # Binaries by their content: what runs is never overwritten, and releases share them.
    builds: Path = Path("/usr/lib/boardllama/builds")
    releases: Path = Path("/usr/lib/boardllama/releases")
    # The last committed release. Every public name leads through this link: one rename switches all of them.
    current: Path = Path("/usr/lib/boardllama/current")
    # The words of the switch that runs, or of the last switch.
    verdict: Path = Path("/run/boardllama/verdict.json")

    public_bin: Path = Path("/usr/bin")
    doctor: Path = Path("/usr/bin/boardllama-doctor")
    units: Path = Path("/usr/lib/systemd/system")
    # The units of a release under trial, which lead to that release instead of the current one. /run does not survive a
    # boot: a board that loses power comes back committed. The folder is there when systemd runs: sd_booted(3).
    runtime_units: Path = Path("/run/systemd/system")
    enabled: Path = Path("/etc/systemd/system")

    # Who this board is. Keys of boardllama.txt lie apart from those that its users put into their own folder.
    hostname: Path = Path("/etc/hostname")
    hosts: Path = Path("/etc/hosts")
    host_key: Path = Path("/etc/ssh/ssh_host_ed25519_key")
    authorized_keys: Path = Path("/etc/ssh/authorized_keys.d/board")
    network: Path = Path("/etc/systemd/network/50-boardllama.network")
    wifi: Path = Path("/etc/wpa_supplicant/boardllama.conf")
    localtime: Path = Path("/etc/localtime")
    timezone: Path = Path("/etc/timezone")
    # Which boardllama.txt was applied last, and what was wrong with it.
    applied: Path = Path("/var/lib/boardllama/identity-applied.json")
    # Where the partition with boardllama.txt is mounted while it is read.
    card: Path = Path("/run/boardllama/card")


PLACES = Places()
