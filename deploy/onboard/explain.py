"""Why the server ended, in a sentence of the journal that `systemctl status` shows. Runs as ExecStopPost=.

A program of its own, with no import that a restart would wait for. It runs as root and outside of the sandbox: on a
kernel without the memory cgroup systemd calls a want of memory a signal, and only the kernel's log tells the two apart.
"""

import os
from collections.abc import Mapping
from contextlib import suppress

AGAIN = "systemd starts it again, until it fails too often"
TOO_LARGE = "choose a smaller context size, model or quantization"
REASONS = {
    "oom-kill": f"it took more memory than the unit may have, and the kernel ended it: {TOO_LARGE}",
    "timeout": "it was not ready in time (TimeoutStartSec), or did not end in time",
    "resources": "systemd could not prepare its sandbox or its folders: is the disk full?",
}
WATCHER, KERNEL, SOMEONE, NOBODY_KNOWS = "watcher", "kernel", "someone", "nobody knows"
KILLERS = {
    WATCHER: "its watcher ended the server, which hung, as said above",
    KERNEL: f"the board was out of memory, and the kernel ended the server: {TOO_LARGE}",
    SOMEONE: "someone killed the server (SIGKILL): it was not its watcher, and not the kernel for want of memory",
    NOBODY_KNOWS: "the server was killed (SIGKILL), not by its watcher; the kernel's log, which tells whether for "
    "want of memory, was not there to read: `journalctl -k | grep -i 'killed process'` may have it",
}
SIGNALS = {"BUS": "the server lost the file that it reads (SIGBUS): the disk of its model is gone, or broken"}


def explain_end(environment: Mapping[str, str]) -> str | None:
    """The sentence for $SERVICE_RESULT, $EXIT_CODE and $EXIT_STATUS (systemd.exec(5)); None after a good end.

    $RUNTIME_DIRECTORY is the service's folder below /run, which has its name.
    """
    result, status = environment.get("SERVICE_RESULT", "success"), environment.get("EXIT_STATUS", "?")
    if result == "success":
        return None
    if status == "78":
        name = environment["RUNTIME_DIRECTORY"].rpartition("/")[2]
        return f"the configuration is wrong, as said above: mend it, then `systemctl restart {name}`"
    if status == "75":
        return "the disk of its model is not there, as said above: systemd tries to mount it, and starts it again"
    if result == "exit-code" and status in ("TERM", "0"):
        return f"it was not ready: the lines above say why; {AGAIN}"
    if result == "exit-code":
        return f"the server ended by itself with status {status}, its reason is above; {AGAIN}"
    if result == "signal" and status == "KILL":
        return f"{KILLERS[find_killer(environment['RUNTIME_DIRECTORY'])]}; {AGAIN}"
    if result in ("signal", "core-dump") and status in SIGNALS:
        return f"{SIGNALS[status]}; {AGAIN}"
    if result in ("signal", "core-dump"):
        return f"the server crashed (SIG{status}); {AGAIN}; `boardllama rollback` goes back to the release before"
    return f"{REASONS.get(result, result)}; {AGAIN}"


def find_killer(folder: str) -> str:
    """Who sent SIGKILL: the watcher, by its note; the kernel, by its log; else someone, if there is a log to read.

    `folder`: where the watcher leaves its note, and the launcher the number of the main process.
    """
    if os.access(f"{folder}/hung", os.F_OK):
        return WATCHER
    with suppress(OSError), os.fdopen(os.open(f"{folder}/process", os.O_RDONLY)) as number:
        if log := kernel_log():
            return KERNEL if is_out_of_memory(number.read(), log) else SOMEONE
    return NOBODY_KNOWS


def is_out_of_memory(process: str, log: str) -> bool:
    """Whether the kernel's log says that it ended the process for want of memory, in its words since Linux 2.6."""
    return f"Killed process {process} (" in log


def kernel_log() -> str:
    """The kernel's log, as far as it still has it. Raises OSError.

    By dmesg --syslog, which uses the system call: the unit's DevicePolicy= closes /dev/kmsg. Without the module
    subprocess: a board that is out of memory takes more than the unit's ten seconds to import it.
    """
    reading, writing = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_CLOSE, reading)]
    with os.fdopen(reading, errors="replace") as log:
        try:
            asked = os.posix_spawnp("dmesg", ["dmesg", "--syslog"], os.environ, file_actions=actions)
        finally:
            os.close(writing)
        text = log.read()
    os.waitpid(asked, 0)
    return text


if __name__ == "__main__" and (reason := explain_end(os.environ)):
    print(reason)
