"""The life of a real VM: its own machine "life", beside the one that other tests deploy to."""

import contextlib
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.paths import REPO
from deploy.vm import lifecycle, power
from deploy.vm.guest import boot_id, run_in_guest
from deploy.vm.machine import Machine
from deploy.vm.readiness import wait_until_ready

NAME = "life"


@pytest.fixture(scope="module")
def running() -> Iterator[Machine]:
    """The machine, booted from nothing with its own key, and wiped at the end."""
    lifecycle.stop_machine(NAME, wipe=True)
    try:
        yield lifecycle.start_machine(NAME)
    finally:
        lifecycle.stop_machine(NAME, wipe=True)


def test_up_again_says_so_at_once(running: Machine) -> None:
    """It neither boots a second VM nor changes how the first is reached; and make's pipes are not kept open."""
    before = boot_id(running)
    code = f"from deploy.vm import lifecycle; lifecycle.start_machine({NAME!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stderr == f"vm {NAME}: is up already\n"
    assert Machine.load(NAME) == running
    assert boot_id(running) == before


def test_the_guest_is_a_debian_on_the_cpu_that_was_asked_for(running: Machine) -> None:
    """0xd0b is Arm's part number of the Cortex-A76; the machine's name is its own."""
    assert run_in_guest(running, "uname -nm").split() == ["boardllama-vm", "aarch64"]
    assert "0xd0b" in run_in_guest(running, "grep -m 1 'CPU part' /proc/cpuinfo")
    assert "VERSION_CODENAME=trixie" in run_in_guest(running, "cat /etc/os-release")


def test_all_units_run_and_the_journal_stays(running: Machine) -> None:
    """Tests after a reboot read the journal of the boot before."""
    assert run_in_guest(running, "systemctl is-system-running").strip() == "running"
    assert run_in_guest(running, "ls /var/log/journal").strip() == run_in_guest(running, "cat /etc/machine-id").strip()


def test_root_enters_with_this_vms_key_only(running: Machine) -> None:
    """One authorized key and one host key, and no password is asked for."""
    keys = run_in_guest(running, "cat /root/.ssh/authorized_keys")
    assert keys == running.ssh_key.with_suffix(".pub").read_text()
    assert run_in_guest(running, "ls /etc/ssh/ssh_host_*_key").strip() == "/etc/ssh/ssh_host_ed25519_key"
    keyless = ["-o", "ControlPath=none", "-o", "PubkeyAuthentication=no"]
    without = ["ssh", "-F", str(running.ssh_config), *keyless, running.name, "true"]
    refused = subprocess.run(without, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_the_guest_reaches_neither_the_network_nor_the_controller(running: Machine) -> None:
    """restrict=on: a deploy that downloads on the target would be found out."""
    with pytest.raises(BoardllamaError):
        run_in_guest(running, f"curl --silent --max-time 5 telnet://10.0.2.2:{running.ssh_port} < /dev/null")


def test_the_front_door_leads_to_the_service_on_the_guests_loopback(running: Machine) -> None:
    """Something that listens on 127.0.0.1:11434 in the guest answers at api_url."""
    run_in_guest(running, "mkdir -p /run/page && echo hello > /run/page/health")
    run_in_guest(running, "systemd-run -q --unit=page python3 -m http.server -d /run/page -b 127.0.0.1 11434")
    run_in_guest(running, "until ss -ltn | grep -q 127.0.0.1:11434; do sleep 0.2; done")
    try:
        with urllib.request.urlopen(f"{running.api_url}/health", timeout=20) as answer:
            assert answer.read() == b"hello\n"
    finally:
        run_in_guest(running, "systemctl stop page")


def test_a_reboot_keeps_the_disk_and_the_ports(running: Machine) -> None:
    """A new boot of the same machine; what was written is there."""
    before = boot_id(running)
    run_in_guest(running, "echo kept > /root/note")
    lifecycle.reboot_machine(NAME)
    assert Machine.load(NAME) == running
    assert boot_id(running) != before
    assert run_in_guest(running, "cat /root/note") == "kept\n"


def test_after_a_power_cut_the_same_disk_boots_again(running: Machine) -> None:
    """What was flushed survives, the file system is writable, and the host key is the one known."""
    known = running.known_hosts.read_text()
    run_in_guest(
        running, "echo flushed > /root/flushed && sync && (dd if=/dev/zero of=/root/cut bs=1M count=200 &) && sleep 1"
    )
    power.cut_power(running)
    assert running.process_id() is None
    again = lifecycle.start_machine(NAME)
    assert again == running
    assert run_in_guest(again, "cat /root/flushed && touch /root/writable") == "flushed\n"
    assert running.known_hosts.read_text() == known


def test_a_power_cut_loses_nothing_that_a_program_has_waited_for(running: Machine) -> None:
    """Neither what was written past the cache of the guest, into a block that the disk's image did not hold so far,
    nor the host key that a controller has seen.
    """
    lifecycle.stop_machine(NAME)
    running.disk.unlink()
    fresh = lifecycle.start_machine(NAME)
    file = "/usr/share/common-licenses/GPL-3"
    run_in_guest(fresh, f"echo written | dd of={file} bs=4096 conv=sync,notrunc oflag=direct 2>&1")
    power.cut_power(fresh)
    again = lifecycle.start_machine(NAME)
    assert run_in_guest(again, f"head -n 1 {file}") == "written\n"


def test_a_failed_unit_is_named_when_the_boot_is_not_clean(running: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    """Degraded is not ready."""
    run_in_guest(running, "systemd-run -q --unit=broken false; sleep 1")
    with pytest.raises(BoardllamaError, match=r"systemd says degraded: broken\.service failed"):
        wait_until_ready(running)
    assert "the last lines of" in capfd.readouterr().err
    run_in_guest(running, "systemctl reset-failed broken")


def test_down_leaves_nothing_running(running: Machine) -> None:
    """Neither QEMU nor the ssh that shared its connection; and it is asked politely."""
    run_in_guest(running, "true")
    lifecycle.stop_machine(NAME)
    assert running.process_id() is None
    assert processes_with(str(running.folder)) == []
    assert "reboot: Power down" in running.console.read_text(errors="replace")
    with pytest.raises(BoardllamaError, match=f"the VM {NAME} is not up"):
        Machine.load(NAME)


def processes_with(text: str) -> list[str]:
    """The command lines of all processes that hold the text."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in lines if text in line]
