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

# Its first line is the address that reaches the server; written before the server is started, gone when it is stopped.
STARTED = "/run/ollama-cpp-server/started"
LOADING_SECONDS = 0.1
# Seconds between two questions, seconds for an answer, and answers missed in a row: a hang is ended within 40 s.
WATCH_SECONDS = 10.0
ANSWER_SECONDS = 10.0
MISSES = 3


def watch(server: int) -> None:
    """Returns when the process `server`, our parent, is gone, or has been ended."""
    if not until_ready(server):
        return
    misses = 0
    while os.getppid() == server:
        misses = 0 if answers() else misses + 1
        if misses == MISSES:
            print(f"/health had no answer for {MISSES * ANSWER_SECONDS:.0f} s: ending the server", file=sys.stderr)
            os.kill(server, signal.SIGKILL)
            return
        time.sleep(0 if misses else WATCH_SECONDS)


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


def answers() -> bool:
    """Whether /health says 200. By hand, because http.client would cost the board 4 MB."""
    try:
        with open(STARTED) as started:
            host, port = started.readline().split()
        with socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(f"GET /health HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            return connection.recv(64).split(b" ", 2)[1:2] == [b"200"]
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    if sys.argv[1:] == ["ready"]:
        sys.exit(0 if until_ready(int(os.environ["MAINPID"])) else 1)
    watch(os.getppid())
