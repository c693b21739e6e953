"""Where boardllama keeps things on every target. What belongs to a server on it is in service.py."""

from dataclasses import dataclass
from pathlib import Path

SWITCH_UNIT = "boardllama-switch.service"
PROGRAMS = ("llama-server", "llama-cli", "llama-bench", "llama-quantize")
EXPORTER_UNIT = "prometheus-node-exporter.service"
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
    # Debian packages that a deploy installed, one a line: deploy/hosts/packages.py.
    packages: Path = Path("/var/lib/boardllama/packages")

    root: Path = Path("/usr/lib/boardllama")
    # Binaries by their content: what runs is never overwritten, and releases share them.
    builds: Path = Path("/usr/lib/boardllama/builds")
    releases: Path = Path("/usr/lib/boardllama/releases")
    # The last committed release. Every public name leads through this link: one rename switches all of them.
    current: Path = Path("/usr/lib/boardllama/current")
    # Sets at every start what the operating system would take away from speed; there where tune_system asks for it.
    system_unit: Path = Path("/usr/lib/systemd/system/boardllama-system.service")
    system_enabled: Path = Path("/etc/systemd/system/multi-user.target.wants/boardllama-system.service")
    # What a board that pulls is told of its channel; what it knows of it, with lists and a database of packages for it
    # alone, in a folder that apt may read as nobody; and what has it look.
    channel: Path = Path("/etc/boardllama/channel")
    channel_state: Path = Path("/var/lib/boardllama-channel")
    channel_service: Path = Path("/usr/lib/systemd/system/boardllama-channel.service")
    channel_timer: Path = Path("/usr/lib/systemd/system/boardllama-channel.timer")
    channel_enabled: Path = Path("/etc/systemd/system/timers.target.wants/boardllama-channel.timer")
    # What is added to the unit of the node exporter, and where the exporter reads what it cannot know by itself; there
    # where node_exporter asks for it. The exporter has an account of its own, to which the records' folder is closed.
    exporter: Path = Path(f"/etc/systemd/system/{EXPORTER_UNIT}.d/boardllama-exporter.conf")
    figures: Path = Path("/var/lib/boardllama-figures")
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
    # systemd-networkd takes the first file that fits a card: vendors' begin with 10. Older images have it as 50.
    network: Path = Path("/etc/systemd/network/05-boardllama.network")
    network_before: Path = Path("/etc/systemd/network/50-boardllama.network")
    wifi: Path = Path("/etc/wpa_supplicant/boardllama.conf")
    # The same for NetworkManager and for netplan, and where to look for these two.
    manager_cable: Path = Path("/etc/NetworkManager/system-connections/boardllama-cable.nmconnection")
    manager_wifi: Path = Path("/etc/NetworkManager/system-connections/boardllama-wifi.nmconnection")
    manager_enabled: Path = Path("/etc/systemd/system/multi-user.target.wants/NetworkManager.service")
    manager_state: Path = Path("/var/lib/NetworkManager/NetworkManager.state")
    regulatory: Path = Path("/etc/modprobe.d/boardllama-wifi.conf")
    netplan: Path = Path("/etc/netplan/90-boardllama.yaml")
    netplan_defaults: Path = Path("/usr/lib/netplan")
    netplan_runtime: Path = Path("/run/netplan")
    netplan_program: Path = Path("/usr/sbin/netplan")
    localtime: Path = Path("/etc/localtime")
    timezone: Path = Path("/etc/timezone")
    # Which boardllama.txt was applied last, and what was wrong with it.
    applied: Path = Path("/var/lib/boardllama/identity-applied.json")
    # Where the partition with boardllama.txt is mounted while it is read.
    card: Path = Path("/run/boardllama/card")
    # What an image of our own making declares: the account of technicians. A vendor's system has no such file.
    account: Path = Path("/usr/lib/sysusers.d/boardllama-board.conf")

    # On a vendor's system: where the account of technicians gets its rights, and what its first boot goes by.
    root_folder: Path = Path("/")
    boot: Path = Path("/boot")
    mounts: Path = Path("/proc/self/mounts")
    sudoers: Path = Path("/etc/sudoers.d/boardllama")
    cloud_init: Path = Path("/etc/cloud/cloud.cfg.d")
    userconfig: Path = Path("/etc/systemd/system/multi-user.target.wants/userconfig.service")
    armbian_presets: Path = Path("/root/.not_logged_in_yet")


PLACES = Places()
