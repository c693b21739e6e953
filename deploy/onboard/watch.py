"""The watcher: a small process beside llama-server that asks /health, and ends a server that hangs.

systemd starts it again then, as after any crash. No sd_notify watchdog: it would need NotifyAccess=all and AF_UNIX,
which together cost 0.3 of exposure in `systemd-analyze security`. A program of its own with few imports, because it
runs for as long as the server does, and because every start waits for it.

A crowd keeps the watcher from asking: llama-server accepts as many connections as it may open files, and its queue in
the kernel holds 512 more. A client behind them gets no answer, although the server works. So silence behind a crowd
counts as a hang only while the server's processor time stands still: a full server goes on trying to accept, some
thousand times a second.

    watch.py ready    return when the service's main process, $MAINPID, serves or waits for a disk (for ExecStartPost)
    watch.py watch 7  watch over the parent process, which has that number, for as long as that lives
"""

import os
import signal
import socket
import sys
import time
from contextlib import suppress

# The service's folder below /run, as systemd names it to each program of the unit.
RUNTIME = os.environ.get("RUNTIME_DIRECTORY", "")
# The first line is the address that reaches the server, and the path to ask for. Written before the server starts, gone
# when it is stopped.
STARTED = f"{RUNTIME}/started"
# How many starts in a row were not ready: the first answer begins a new count.
ATTEMPTS = f"{RUNTIME}/attempts"
# There, until the first good answer, when a start was over because of a crowd.
CROWDED = f"{RUNTIME}/crowded"
# There while the launcher waits for the disk of the model.
AWAITED = f"{RUNTIME}/awaited"
# There when this watcher ended the server: explain.py tells it from another SIGKILL.
HUNG = f"{RUNTIME}/hung"
LOADING_SECONDS = 0.1
# Seconds from a good answer to the next question, and from a miss to the next.
WATCH_SECONDS = 10.0
RETRY_SECONDS = 1.0
# Seconds that an answer may take, and seconds without a good answer that are a hang. A server that hangs is ended 50 s
# after its last good answer at the latest.
ANSWER_SECONDS = 10.0
HANG_SECONDS = 30.0
# So many connections are a crowd. LimitNOFILE= of the unit lets more in, and the kernel's queue holds more.
CROWD = 40
NET = "/proc/self/net"
LISTENING, CONNECTED = ("0A",), ("01", "08")  # states of proc_net_tcp(5): open, and closed by the other side alone


def watch_server(server: int) -> None:
    """Returns when the process `server`, our parent, is gone, or has been ended because it hangs."""
    if not until_ready(server):
        return
    for note in (ATTEMPTS, CROWDED):
        with suppress(OSError):
            os.unlink(note)
    heard = time.monotonic()
    while os.getppid() == server:
        if is_heard(server):
            heard = time.monotonic()
        elif time.monotonic() - heard > HANG_SECONDS:
            end_server(server)
            break


def is_heard(server: int) -> bool:
    """Asks the server, then waits until it is to be asked again. True also when it is not to blame for its silence."""
    before = processor_time(server)
    alive = is_healthy()
    time.sleep(WATCH_SECONDS if alive else RETRY_SECONDS)
    return alive is not False or (processor_time(server) != before and is_crowded())


def end_server(server: int) -> None:
    """Ends a server that hangs, and leaves the note HUNG for whoever explains the end."""
    print(f"/health had no good answer for {HANG_SECONDS:.0f} s: ending the server", file=sys.stderr)
    leave_note(HUNG)
    with suppress(ProcessLookupError):
        os.kill(server, signal.SIGKILL)


def leave_note(note: str) -> None:
    """Makes an empty file; does nothing where the disk is full."""
    with suppress(OSError), open(note, "w"):
        pass


def until_ready(server: int) -> bool:
    """Waits for the first good answer of the process `server`. False when the process is gone."""
    while not is_healthy():
        if not is_alive(server):
            return False
        time.sleep(LOADING_SECONDS)
    return True


def until_started(server: int) -> bool:
    """Waits until the start of the process `server` is over. False when the process is gone.

    A start is over as well when it waits for a disk, which may come hours later, and when a crowd came first: the
    server works, for it has let the crowd in.
    """
    while (status := health_status()) != 200:
        if not is_alive(server):
            return False
        if os.path.exists(AWAITED):
            return True
        if status == 0 and is_crowded():
            leave_note(CROWDED)
            return True
        time.sleep(LOADING_SECONDS)
    return True


def is_alive(process: int) -> bool:
    """Whether the process exists. By signal 0: /proc hides it from a sandbox in a user namespace of its own."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def processor_time(process: int) -> str:
    """The processor time of a process, in ticks. Where /proc hides it, the time now, which differs at each call."""
    try:
        with open(f"/proc/{process}/stat") as stat:
            return " ".join(stat.read().rpartition(")")[2].split()[11:13])
    except OSError:
        return str(time.monotonic())


def is_crowded() -> bool:
    """Whether CROWD clients or more are connected, or wait to be accepted: others get no answer then."""
    with suppress(OSError, ValueError):
        return len(far_ends(asked_place()[1], CONNECTED)) >= CROWD
    return False


def far_ends(port: int, states: tuple[str, ...], net: str = NET) -> list[str]:
    """The far ends of the TCP sockets at a port of this machine that are in one of the states, as proc_net_tcp(5)
    writes them.

    Raises OSError when the kernel has no table for IPv4 and none for IPv6; a family that is switched off has none.
    """
    ends: list[str] = []
    tables, near = 0, f":{port:04X}"
    for name in ("tcp", "tcp6"):
        with suppress(FileNotFoundError), open(f"{net}/{name}") as table:
            tables += 1
            rows = (row.split() for row in table)
            ends += [row[2] for row in rows if row[3:] and row[3] in states and row[1].endswith(near)]
    if not tables:
        raise FileNotFoundError(f"{net} shows no TCP")
    return ends


def is_healthy() -> bool | None:
    """Whether /health answers 200; None when this machine cannot ask, as while its address is gone."""
    status = health_status()
    return None if status is None else status == 200


def health_status() -> int | None:
    """The HTTP status of the answer; 0 when nothing answers, None when this machine cannot ask.

    Written by hand, because http.client would cost the board 4 MB.
    """
    try:
        host, port, path = asked_place()
        with socket.create_connection((host, port), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            return int(connection.recv(64).split(b" ", 2)[1])
    except (TimeoutError, ConnectionError, FileNotFoundError, ValueError, IndexError):
        return 0
    except OSError:
        return None


def asked_place() -> tuple[str, int, str]:
    """Host, port and path at which the server answers. Raises OSError and ValueError before the launcher has written
    them.
    """
    with open(STARTED) as started:
        host, port, path = started.readline().split()
    return host, int(port), path


if __name__ == "__main__":
    if sys.argv[1:] == ["ready"]:
        if not until_started(int(os.environ["MAINPID"])):
            sys.exit(1)
    else:
        watch_server(int(sys.argv[2]))
