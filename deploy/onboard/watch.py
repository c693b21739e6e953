"""The watcher: a small process beside llama-server that asks /health, and ends a server that hangs.

systemd starts it again then, as after any crash. No sd_notify watchdog: it would need NotifyAccess=all and AF_UNIX,
which together cost 0.3 of exposure in `systemd-analyze security`. A program of its own with few imports, because it
runs for as long as the server does, and because every start waits for it.

A crowd keeps it from asking: llama-server accepts as many connections as it may open files, and its queue in the kernel
holds 512 more. Whoever waits behind them gets no answer, from a server that works. So silence behind a crowd counts as
a hang only while the server's processor time stands still: one that is full goes on trying to accept, some thousand
times a second.

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
# Its first line is the address that reaches the server; written before the server is started, gone when it is stopped.
STARTED = f"{RUNTIME}/started"
# How many starts in a row were not ready: the first answer begins a new count.
ATTEMPTS = f"{RUNTIME}/attempts"
# There when a start was over because of a crowd, until the first answer.
CROWDED = f"{RUNTIME}/crowded"
# There while the launcher waits for the disk of the model.
AWAITED = f"{RUNTIME}/awaited"
# There when this watcher ended the server, for whoever explains its end.
HUNG = f"{RUNTIME}/hung"
LOADING_SECONDS = 0.1
# Seconds between two questions, after a miss, for an answer, and without any until it is a hang: ended within 50 s.
WATCH_SECONDS = 10.0
RETRY_SECONDS = 1.0
ANSWER_SECONDS = 10.0
HANG_SECONDS = 30.0
# So many connections are a crowd: fewer than LimitNOFILE= of the unit lets in, and than the queue behind holds.
CROWD = 40
NET = "/proc/self/net"
LISTENING, CONNECTED = ("0A",), ("01", "08")  # states of proc_net_tcp(5): open, and closed by the other side alone


def watch_server(server: int) -> None:
    """Returns when the process `server`, our parent, is gone, or has been ended."""
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
    """Asks, and waits until it may be asked again. True also when the silence is no fault of the server."""
    before = processor_time(server)
    alive = is_healthy()
    time.sleep(WATCH_SECONDS if alive else RETRY_SECONDS)
    return alive is not False or (processor_time(server) != before and is_crowded())


def end_server(server: int) -> None:
    """Ends it, and leaves word of that."""
    print(f"/health had no good answer for {HANG_SECONDS:.0f} s: ending the server", file=sys.stderr)
    leave_note(HUNG)
    with suppress(ProcessLookupError):
        os.kill(server, signal.SIGKILL)


def leave_note(note: str) -> None:
    """An empty file; nothing where the disk is full."""
    with suppress(OSError), open(note, "w"):
        pass


def until_ready(server: int) -> bool:
    """Waits for the first answer of the process `server`; False when that is gone."""
    while not is_healthy():
        if not is_alive(server):
            return False
        time.sleep(LOADING_SECONDS)
    return True


def until_started(server: int) -> bool:
    """Waits until the start of the process `server` is over; False when that is gone.

    A disk may come hours later. And a crowd that came first must not make the start fail: the server has let it in.
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
    """Whether there is such a process. By signal 0: /proc hides it from a sandbox in a user namespace of its own."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def processor_time(process: int) -> str:
    """The processor time of a process, in ticks; where /proc hides it the time now, which never stands still."""
    try:
        with open(f"/proc/{process}/stat") as stat:
            return " ".join(stat.read().rpartition(")")[2].split()[11:13])
    except OSError:
        return str(time.monotonic())


def is_crowded() -> bool:
    """Whether so many are connected to the server, or wait for it to accept them, that others must wait."""
    with suppress(OSError, ValueError):
        return len(far_ends(server_address()[1], CONNECTED)) >= CROWD
    return False


def far_ends(port: int, states: tuple[str, ...], net: str = NET) -> list[str]:
    """The far ends, in the words of proc_net_tcp(5), of the TCP sockets at a port of this machine in such a state.

    Raises OSError when the kernel shows none of either family; it has no table for one that is switched off.
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
    """Whether /health says 200; None when this machine cannot ask, as while its address is gone: nobody's fault."""
    status = health_status()
    return None if status is None else status == 200


def health_status() -> int | None:
    """The HTTP status of /health; 0 when nothing answers, None when this machine cannot ask.

    By hand, because http.client would cost the board 4 MB.
    """
    try:
        host, port = server_address()
        with socket.create_connection((host, port), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(f"GET /health HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            return int(connection.recv(64).split(b" ", 2)[1])
    except (TimeoutError, ConnectionError, FileNotFoundError, ValueError, IndexError):
        return 0
    except OSError:
        return None


def server_address() -> tuple[str, int]:
    """Where the server answers. Raises OSError and ValueError before the launcher has said it."""
    with open(STARTED) as started:
        host, port = started.readline().split()
    return host, int(port)


if __name__ == "__main__":
    if sys.argv[1:] == ["ready"]:
        if not until_started(int(os.environ["MAINPID"])):
            sys.exit(1)
    else:
        watch_server(int(sys.argv[2]))
