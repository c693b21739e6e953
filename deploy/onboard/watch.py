"""The watcher: a small process beside llama-server that asks /health, and ends a server that hangs.

systemd starts it again then, as after any crash. No sd_notify watchdog: it would need NotifyAccess=all and AF_UNIX,
which together cost 0.3 of exposure in `systemd-analyze security`. A program of its own with few imports, because it
runs for as long as the server does, and because every start waits for it.

    watch.py ready    return when the service's main process, $MAINPID, answers (for ExecStartPost)
    watch.py watch    watch over the parent process for as long as that lives
"""

import os
import signal
import socket
import sys
import time
from contextlib import suppress

# Its first line is the address that reaches the server; written before the server is started, gone when it is stopped.
STARTED = "/run/ollama-cpp-server/started"
# How many starts in a row were not ready: one that is begins a new count.
ATTEMPTS = "/run/ollama-cpp-server/attempts"
LOADING_SECONDS = 0.1
# Seconds between two questions, after a miss, for an answer, and without any until it is a hang: ended within 50 s.
WATCH_SECONDS = 10.0
RETRY_SECONDS = 1.0
ANSWER_SECONDS = 10.0
HANG_SECONDS = 30.0


def watch(server: int) -> None:
    """Returns when the process `server`, our parent, is gone, or has been ended."""
    if not until_ready(server):
        return
    heard = time.monotonic()
    while os.getppid() == server:
        alive = answers()
        if alive or alive is None:
            heard = time.monotonic()
        elif time.monotonic() - heard > HANG_SECONDS:
            print(f"/health had no good answer for {HANG_SECONDS:.0f} s: ending the server", file=sys.stderr)
            with suppress(ProcessLookupError):
                os.kill(server, signal.SIGKILL)
            return
        time.sleep(WATCH_SECONDS if alive else RETRY_SECONDS)


def until_ready(server: int) -> bool:
    """Waits for the first answer of the process `server`; False when that is gone."""
    while not answers():
        if not is_alive(server):
            return False
        time.sleep(LOADING_SECONDS)
    return True


def is_alive(process: int) -> bool:
    """Whether there is such a process. By signal 0: /proc hides it from a sandbox in a user namespace of its own."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def answers() -> bool | None:
    """Whether /health says 200; None when this machine cannot ask, as while its address is gone: nobody's fault here.

    By hand, because http.client would cost the board 4 MB.
    """
    try:
        with open(STARTED) as started:
            host, port = started.readline().split()
        with socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(f"GET /health HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            return connection.recv(64).split(b" ", 2)[1:2] == [b"200"]
    except (TimeoutError, ConnectionError, FileNotFoundError, ValueError):
        return False
    except OSError:
        return None


if __name__ == "__main__":
    if sys.argv[1:] == ["ready"]:
        if not until_ready(int(os.environ["MAINPID"])):
            sys.exit(1)
        with suppress(OSError):
            os.unlink(ATTEMPTS)
        sys.exit(0)
    watch(os.getppid())
