"""Debian's sshd on the loopback, and a client that is told of it as ~/.ssh/config would tell."""

import getpass
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.vm.ports import free_ports
from tests.engines import engine, engine_environment
from tests.unit.front_process import await_true
from tests.unit.known_host import program

HOST = "updates.example"
SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
StrictModes no
UsePAM no
PidFile none
"""
CLIENT = """
Host {host}
    HostName 127.0.0.1
    Port {port}
    IdentityFile {folder}/user
    UserKnownHostsFile {folder}/known_hosts
    StrictHostKeyChecking accept-new
"""


@contextmanager
def ssh_server(folder: Path) -> Iterator[str]:
    """A server that lets this user in, and "user@host" by which `ssh` reaches it. `folder` is not there before."""
    folder.mkdir()
    (port,) = free_ports(1)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "server").write_text(SERVER.format(port=port, folder=folder))
    (folder / "client").write_text(CLIENT.format(port=port, folder=folder, host=HOST))
    (folder / "bin").mkdir()
    program(folder / "bin/ssh", f'exec /usr/bin/ssh -F {folder}/client "$@"')
    with pytest.MonkeyPatch.context() as patch, (folder / "log").open("wb") as log:
        patch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
        words = [*apart(folder), engine("sshd"), "-D", "-e", "-f", str(folder / "server")]
        with subprocess.Popen(words, env=engine_environment("sshd"), stderr=log) as process:
            try:
                await_true(lambda: b"listening" in (folder / "log").read_bytes() or ended(process, folder))
                yield f"{getpass.getuser()}@{HOST}"
            finally:
                process.terminate()


def ended(process: subprocess.Popen[bytes], folder: Path) -> bool:
    """Fails where the server has ended."""
    time.sleep(0.02)
    assert process.poll() is None, (folder / "log").read_text()
    return False


def apart(folder: Path) -> list[str]:
    """Of root's sshd a folder and an account are asked for, which its package would have made."""
    if os.geteuid():
        return []
    (folder / "passwd").write_text(
        Path("/etc/passwd").read_text() + "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
    )
    own = ["--tmpfs", "/run", "--dir", "/run/sshd", "--ro-bind", str(folder / "passwd"), "/etc/passwd"]
    return ["bwrap", "--die-with-parent", "--dev-bind", "/", "/", *own, "--"]
