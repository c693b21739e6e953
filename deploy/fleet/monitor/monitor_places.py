"""Where a monitor has what a deploy brings."""

# Configuration. Debian's own, in the folder above it, stays as it is.
FOLDER = "/etc/prometheus/boardllama"
KEYS, SECRETS = f"{FOLDER}/keys", f"{FOLDER}/secrets"
# What the deploys leave of the boards.
FLEET = f"{FOLDER}/fleet.json"
# What the page's program makes, which Prometheus shows at /user/: in memory, since it is made twice a minute.
PAGE = "/run/boardllama-fleet-page"
PROGRAMS = "/usr/lib/boardllama-monitor"
# What Prometheus and Alertmanager run with.
APPLIED = "/var/lib/boardllama/monitor-applied"
UNITS = "/etc/systemd/system"
OWNER = "root:prometheus"
