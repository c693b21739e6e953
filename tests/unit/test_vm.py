"""The machine's life, against a stand-in for QEMU: no guest is started here."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.paths import REPO
from deploy.vm import lifecycle, power, readiness
from deploy.vm.machine import Hardware, Machine
from tests.unit.prepared_machine import prepare_machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine "dev", prepared and not started."""
    return prepare_machine(tmp_path, monkeypatch)


def pretend_qemu(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str, name: str = "qemu-system-aarch64") -> None:
    """Puts a shell script first on the PATH under QEMU's name, or that of another program."""
    folder.mkdir()
    script = folder / name
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.fixture
def running(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """The machine with a process that looks like its QEMU, and in which nothing listens."""
    write_pid = 'while [ "$1" != -pidfile ]; do shift; done; echo $$ > "$2"'
    pretend_qemu(tmp_path / "bin", monkeypatch, f"{write_pid}; while :; do sleep 0.1; done")
    lifecycle.start_qemu(machine)
    yield machine
    if number := machine.process_id():
        os.kill(number, signal.SIGKILL)


def test_missing_programs_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BoardllamaError, match=r"run sudo apt-get install qemu-system-arm qemu-utils openssh-client$"):
        lifecycle.check_vm_programs()


def test_a_qemu_that_refuses_to_start_is_quoted(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own last line is the reason."""
    pretend_qemu(tmp_path / "bin", monkeypatch, "echo 'qemu: unable to find CPU model' >&2; exit 1")
    with pytest.raises(BoardllamaError, match="QEMU did not start: qemu: unable to find CPU model"):
        lifecycle.start_qemu(machine)


def test_nobody_waits_for_the_pipes_of_the_one_who_started_qemu(running: Machine) -> None:
    """`make vm | tee log` ends although QEMU goes on: it holds neither stdout nor stderr."""
    power.cut_power(running)
    machine = f"Machine.read(Path({str(running.folder)!r}))"
    code = (
        f"from deploy.vm import lifecycle; from deploy.vm.machine import Machine, Path; lifecycle.start_qemu({machine})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, timeout=20, check=True)
    assert running.process_id() is not None


def test_a_qemu_that_ends_while_booting_is_the_reason(running: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    """QEMU's last line in the error, the console's end before it."""
    running.console.write_text("Kernel panic\n")
    running.log.write_text("qemu: out of memory\n")
    power.cut_power(running)
    with pytest.raises(BoardllamaError, match="QEMU ended: qemu: out of memory"):
        readiness.wait_until_ready(running)
    assert "Kernel panic" in capfd.readouterr().err


def test_the_consoles_last_lines_are_fifteen(machine: Machine) -> None:
    """Under a line that says where the rest is."""
    machine.console.write_text("".join(f"line {number}\n" for number in range(40)))
    said = readiness.last_console_lines(machine).splitlines()
    assert said[1:] == [f"line {number}" for number in range(25, 40)]


def test_a_guest_that_never_answers_is_given_up_at_the_deadline(running: Machine) -> None:
    """Although its port accepts connections, as QEMU's forwarded ports do from the start."""
    with (
        socket.create_server(("127.0.0.1", running.ssh_port)),
        pytest.raises(BoardllamaError, match="no SSH after 1 s"),
    ):
        readiness.wait_until_ready(running, deadline=1)


def test_a_guest_with_another_host_key_is_not_waited_for(
    running: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs, and so gives signs of life for ever."""
    pretend_qemu(tmp_path / "ssh", monkeypatch, "echo 'Host key verification failed.' >&2; exit 255", "ssh")
    with socket.create_server(("127.0.0.1", running.ssh_port)) as guest:
        threading.Thread(target=lambda: guest.accept()[0].sendall(b"SSH-2.0-x\r\n"), daemon=True).start()
        with pytest.raises(BoardllamaError, match=r"host key is another one .*`BOARDLLAMA_VM=dev .*down --wipe`"):
            readiness.wait_until_ready(running)


def test_down_ends_a_machine_whose_guest_does_not_answer(running: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    """It says why it could not be polite."""
    power.power_off(running)
    assert running.process_id() is None
    assert "cannot be asked to power off" in capfd.readouterr().err


def test_down_when_down_is_fine(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    """Once, twice, and for a machine that never was."""
    for name in ("dev", "dev", "never"):
        lifecycle.stop_machine(name)
        assert capsys.readouterr().out == f"vm {name}: is down\n"
    lifecycle.stop_machine("dev", wipe=True)
    assert not machine.folder.exists()


def test_up_with_other_hardware_than_what_runs_is_refused(running: Machine) -> None:
    """A running machine cannot change; saying nothing would let a test judge the wrong CPU."""
    with pytest.raises(BoardllamaError, match=r"vm dev is up with .*cortex-a76.*: run down first"):
        lifecycle.start_machine("dev", Hardware("cortex-a72"))


def test_one_process_at_a_time_works_on_a_machine(machine: Machine, tmp_path: Path) -> None:
    """The second waits; when the first is killed it goes on."""
    locked = f"with files.folder_lock(Path({str(machine.folder)!r}), 'vm'): print(1, flush=True); time.sleep(60)"
    code = f"import time; from deploy.controller import files; from pathlib import Path\n{locked}"
    first = subprocess.Popen([sys.executable, "-c", code], cwd=REPO, stdout=subprocess.PIPE)
    assert first.stdout is not None
    first.stdout.readline()
    second = subprocess.Popen([sys.executable, "-c", code], cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert second.stderr is not None and second.stdout is not None
    assert b"another process is at work on it, waiting" in second.stderr.readline()
    first.kill()
    assert second.stdout.readline() == b"1\n"
    second.kill()
    for process in (first, second):
        process.communicate()


def test_a_half_made_key_is_made_anew(machine: Machine) -> None:
    """A cut between the two files that ssh-keygen writes leaves no key that does not fit."""
    (machine.folder / "id_ed25519.pub").unlink()
    lifecycle.make_key_pair(machine)
    private = machine.ssh_key.read_text()
    public = (machine.folder / "id_ed25519.pub").read_text()
    assert "OPENSSH PRIVATE KEY" in private and public.startswith("ssh-ed25519 ")
    lifecycle.make_key_pair(machine)
    assert machine.ssh_key.read_text() == private


def test_status_and_log_of_a_machine_that_is_down(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 3, as systemctl's; and a line instead of a traceback."""
    assert lifecycle.print_status("dev") == 3
    assert capsys.readouterr().out == "vm dev: is down\n"
    with pytest.raises(BoardllamaError, match="never up"):
        lifecycle.print_log("dev")
