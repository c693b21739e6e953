"""Where things live on the target."""

from pathlib import Path

UNIT = "ollama-cpp-server.service"
SWITCH_UNIT = "boardllama-switch.service"
PROGRAMS = ("llama-server", "llama-cli", "llama-bench", "llama-quantize")

# What systemd is told of the account and the folders.
SYSUSERS = Path("/usr/lib/sysusers.d/boardllama.conf")
TMPFILES = Path("/usr/lib/tmpfiles.d/boardllama.conf")
# Makes a key before the server's first start, unless there is one. That the unit is there says that a key is wanted.
KEY_UNIT = Path("/usr/lib/systemd/system/boardllama-api-key.service")
KEY_ENABLED = Path("/etc/systemd/system") / f"{UNIT}.requires" / KEY_UNIT.name
# What was last deployed, file by file: tells an operator's edit from an older deploy. A release has its own folder.
RECORDS = Path("/var/lib/boardllama/deployed")
PRISTINE = "pristine"

CONFIG = Path("/etc/ollama-cpp/config.json")
API_KEY = Path("/etc/ollama-cpp/api-key")
MODELS = Path("/var/lib/ollama/models")
# Models by their content, on the file system of the models: two releases may serve two files of one name.
MODEL_STORE = MODELS / ".store"

ROOT = Path("/usr/lib/boardllama")
# Binaries by their content: what runs is never overwritten, and releases share them.
BUILDS = ROOT / "builds"
RELEASES = ROOT / "releases"
# The last committed release. Every public name leads through this link, so that one rename switches all of them.
CURRENT = ROOT / "current"
# The unit of a release under trial, which leads to that release instead of the current one. /run does not survive a
# boot: a board that loses power comes back committed.
TRIAL = Path("/run/systemd/system") / UNIT
# Where the running server notes what it was started from.
STARTED = Path("/run/ollama-cpp-server/started")
# There while the launcher waits for the disk of the model, and says so.
AWAITED = Path("/run/ollama-cpp-server/awaited")
# What the switch that runs, or the last one, has to say.
VERDICT = Path("/run/boardllama/verdict.json")

PUBLIC_BIN = Path("/usr/bin")
DOCTOR = Path("/usr/bin/boardllama-doctor")
PUBLIC_UNIT = Path("/usr/lib/systemd/system") / UNIT
ENABLED = Path("/etc/systemd/system/multi-user.target.wants") / UNIT

# Who this board is. Keys of boardllama.txt lie apart from those that its users put into their own folder.
HOSTNAME = Path("/etc/hostname")
HOSTS = Path("/etc/hosts")
HOST_KEY = Path("/etc/ssh/ssh_host_ed25519_key")
AUTHORIZED_KEYS = Path("/etc/ssh/authorized_keys.d/board")
NETWORK = Path("/etc/systemd/network/50-boardllama.network")
WIFI = Path("/etc/wpa_supplicant/boardllama.conf")
LOCALTIME = Path("/etc/localtime")
TIMEZONE = Path("/etc/timezone")
# Which boardllama.txt was applied last, and what was wrong with it.
APPLIED = Path("/var/lib/boardllama/identity-applied.json")
# Where the partition with boardllama.txt is mounted while it is read.
CARD = Path("/run/boardllama/card")
