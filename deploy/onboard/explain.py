"""Why the server ended, in a sentence of the journal that `systemctl status` shows. Runs as ExecStopPost=.

A program of its own, with no import that a restart would wait for.
"""

import os
from collections.abc import Mapping

AGAIN = "systemd starts it again, until it fails too often"
REASONS = {
    "oom-kill": "it took more memory than the unit may have, and the kernel ended it: choose a smaller context size, "
    "model or quantization",
    "timeout": "it was not ready in time (TimeoutStartSec), or did not end in time",
    "resources": "systemd could not prepare its sandbox or its folders: is the disk full?",
}


def explain(environment: Mapping[str, str]) -> str | None:
    """The sentence for what systemd says in $SERVICE_RESULT, $EXIT_CODE, $EXIT_STATUS (systemd.exec(5))."""
    result, status = environment.get("SERVICE_RESULT", "success"), environment.get("EXIT_STATUS", "?")
    if result == "success":
        return None
    if status == "78":
        return "the configuration is wrong, as said above: mend it, then `systemctl restart ollama-cpp-server`"
    if result == "exit-code" and status in ("TERM", "0"):
        return f"it was not ready: the lines above say why; {AGAIN}"
    if result == "exit-code":
        return f"llama-server ended by itself with status {status}, its reason is above; {AGAIN}"
    if result == "signal" and status == "KILL":
        return f"llama-server was killed, by its watcher (said above) or by someone; {AGAIN}"
    if result in ("signal", "core-dump"):
        return f"llama-server crashed (SIG{status}); {AGAIN}; `boardllama rollback` goes back to the release before"
    return f"{REASONS.get(result, result)}; {AGAIN}"


if __name__ == "__main__" and (reason := explain(os.environ)):
    print(reason)
