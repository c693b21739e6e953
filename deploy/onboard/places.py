"""Where things live on the target."""

from pathlib import Path

UNIT = "ollama-cpp-server.service"
SWITCH_UNIT = "boardllama-switch.service"
PROGRAMS = ("llama-server", "llama-cli", "llama-bench", "llama-quantize")

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
# What the switch that runs, or the last one, has to say.
VERDICT = Path("/run/boardllama/verdict.json")

PUBLIC_BIN = Path("/usr/bin")
PUBLIC_UNIT = Path("/usr/lib/systemd/system") / UNIT
ENABLED = Path("/etc/systemd/system/multi-user.target.wants") / UNIT
