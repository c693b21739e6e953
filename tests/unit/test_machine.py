"""The machine as data: QEMU's command line, the files that describe it, and what is believed of them."""

import base64
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.vm.machine import Hardware, Machine, kernel_arguments, machine_folder, with_free_ports
from tests.unit.prepared_machine import PUBLIC_KEY, prepare_machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine "dev", prepared and not started."""
    return prepare_machine(tmp_path, monkeypatch)


def value_of(option: str, command: list[str]) -> str:
    """The word after an option."""
    return command[command.index(option) + 1]


def test_the_command_has_the_hardware_that_was_asked_for(tmp_path: Path) -> None:
    """CPU, cores and memory of the settings, emulated with a thread for each core."""
    hardware = Hardware("cortex-a72", cores=3, memory=512)
    command = Machine(tmp_path, 2201, 2202, Path("/k"), "root", hardware).qemu_command(PUBLIC_KEY)
    assert value_of("-cpu", command) == "cortex-a72"
    assert value_of("-smp", command) == "3"
    assert value_of("-m", command) == "512"
    assert value_of("-accel", command) == "tcg,thread=multi"


def test_the_guest_reaches_nothing_and_is_reached_on_the_loopback_only(tmp_path: Path) -> None:
    """Both ports are forwarded from 127.0.0.1, SSH to 22 and the service's to the front door."""
    network = value_of("-netdev", Machine(tmp_path, 2201, 2202, Path("/k"), "root").qemu_command(PUBLIC_KEY)).split(",")
    assert "restrict=on" in network
    forwards = [word for word in network if word.startswith("hostfwd=")]
    assert forwards == ["hostfwd=tcp:127.0.0.1:2201-:22", "hostfwd=tcp:127.0.0.1:2202-:11435"]


def test_a_reboot_of_the_guest_does_not_end_qemu(tmp_path: Path) -> None:
    """Otherwise "after a reboot all of it again" could not be tested."""
    assert "-no-reboot" not in Machine(tmp_path, 2201, 2202, Path("/k"), "root").qemu_command(PUBLIC_KEY)


def test_the_key_comes_in_on_the_kernels_command_line() -> None:
    """As a line of authorized_keys, within the 2048 bytes that arm64 kernels take."""
    arguments = kernel_arguments(PUBLIC_KEY)
    encoded = arguments.split("ssh.authorized_keys.root:")[1]
    assert base64.b64decode(encoded).decode() == PUBLIC_KEY + "\n"
    assert len(arguments) < 2048


def test_a_saved_machine_is_read_back_whole(machine: Machine) -> None:
    """Ports and hardware are kept from one start to the next, for the owner's eyes only."""
    assert Machine.read(machine.folder) == machine
    assert stat.S_IMODE((machine.folder / "state.json").stat().st_mode) == 0o600


def test_loading_a_machine_that_is_not_up_says_what_to_run(machine: Machine) -> None:
    """Whether it was never up or has ended."""
    for name in ("dev", "other"):
        with pytest.raises(BoardllamaError, match=f"the VM {name} is not up: run make vm"):
            Machine.load(name)


def test_the_pid_file_of_a_killed_qemu_is_not_believed(machine: Machine) -> None:
    """Its number may belong to another process by now: here to this one."""
    for stale in (str(os.getpid()), "999999999", "", "not a number"):
        machine.pid_file.write_text(stale)
        assert machine.process_id() is None


@pytest.mark.parametrize("name", ["../etc", "a b", "Dev", "", "x" * 32, "-f"])
def test_a_name_that_could_leave_the_folder_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name becomes a path and a word of ssh's command line; an empty one means the default."""
    monkeypatch.setenv("BOARDLLAMA_VM", name)
    if name:
        with pytest.raises(BoardllamaError, match="BOARDLLAMA_VM is"):
            machine_folder()
    else:
        assert machine_folder().name == "dev"


def test_taken_ports_are_left_and_free_ones_are_kept(machine: Machine) -> None:
    """A port that somebody else listens on cannot be ours; otherwise the ports stay for good."""
    assert with_free_ports(machine) == machine
    with socket.create_server(("127.0.0.1", machine.api_port)):
        moved = with_free_ports(machine)
    assert moved.api_port != machine.api_port
    assert moved.ssh_port != moved.api_port


def test_ssh_believes_the_generated_configuration(machine: Machine) -> None:
    """OpenSSH itself reads it: address, key, own known_hosts, one shared connection."""
    command = ["ssh", "-G", "-F", str(machine.ssh_config), machine.name]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    for line in (
        "hostname 127.0.0.1",
        "user root",
        f"port {machine.ssh_port}",
        f"identityfile {machine.ssh_key}",
        f"userknownhostsfile {machine.known_hosts}",
        "stricthostkeychecking accept-new",
        "controlmaster auto",
        "passwordauthentication yes" if "batchmode no" in said else "batchmode yes",
    ):
        assert line in said


def test_a_path_too_long_for_a_socket_does_without_a_shared_connection(tmp_path: Path) -> None:
    """ssh would refuse to connect at all."""
    deep = Machine(tmp_path / ("d" * 90), 2201, 2202, Path("/k"), "root")
    assert list(deep.connection_sharing()) == []
