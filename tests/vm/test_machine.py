"""The life of a real VM: its own machine "life", beside the one that other tests deploy to."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest

from deploy import power, vm
from deploy.errors import BoardllamaError
from deploy.machine import Machine
from deploy.paths import REPO
from deploy.ready import boot_id, ssh, wait_ready

NAME = "life"
# The figure for a boot is 40 s on an idle controller of 2 cores; a busy one may take longer without being wrong.
BOOT_SECONDS = 90


@pytest.fixture(scope="module")
def life() -> Iterator[Machine]:
    """The machine, booted from nothing with its own key, and wiped at the end."""
    vm.down(NAME, wipe=True)
    try:
        yield vm.up(NAME)
    finally:
        vm.down(NAME, wipe=True)


def test_up_again_says_so_at_once(life: Machine) -> None:
    """It neither boots a second VM nor changes how the first is reached; and make's pipes are not kept open."""
    before = boot_id(life)
    code = f"from deploy import vm; vm.up({NAME!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stderr == f"vm {NAME}: is up already\n"
    assert Machine.load(NAME) == life
    assert boot_id(life) == before


def test_the_guest_is_a_debian_on_the_cpu_that_was_asked_for(life: Machine) -> None:
    """0xd0b is Arm's part number of the Cortex-A76; the machine's name is its own."""
    assert ssh(life, "uname -nm").split() == ["boardllama-vm", "aarch64"]
    assert "0xd0b" in ssh(life, "grep -m 1 'CPU part' /proc/cpuinfo")
    assert "VERSION_CODENAME=trixie" in ssh(life, "cat /etc/os-release")


def test_all_units_run_and_the_journal_stays(life: Machine) -> None:
    """Tests after a reboot read the journal of the boot before."""
    assert ssh(life, "systemctl is-system-running").strip() == "running"
    assert ssh(life, "ls /var/log/journal").strip() == ssh(life, "cat /etc/machine-id").strip()


def test_root_enters_with_this_vms_key_only(life: Machine) -> None:
    """One authorized key and one host key, and no password is asked for."""
    keys = ssh(life, "cat /root/.ssh/authorized_keys")
    assert keys == life.ssh_key.with_suffix(".pub").read_text()
    assert ssh(life, "ls /etc/ssh/ssh_host_*_key").strip() == "/etc/ssh/ssh_host_ed25519_key"
    keyless = ["-o", "ControlPath=none", "-o", "PubkeyAuthentication=no"]
    without = ["ssh", "-F", str(life.ssh_config), *keyless, life.name, "true"]
    refused = subprocess.run(without, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_the_guest_reaches_neither_the_network_nor_the_controller(life: Machine) -> None:
    """restrict=on: a deploy that downloads on the target would be found out."""
    with pytest.raises(BoardllamaError):
        ssh(life, f"curl --silent --max-time 5 telnet://10.0.2.2:{life.ssh_port} < /dev/null")


def test_the_front_door_leads_to_the_service_on_the_guests_loopback(life: Machine) -> None:
    """Something that listens on 127.0.0.1:11434 in the guest answers at api_url."""
    ssh(life, "mkdir -p /run/page && echo hello > /run/page/health")
    ssh(life, "systemd-run -q --unit=page python3 -m http.server -d /run/page -b 127.0.0.1 11434")
    ssh(life, "until ss -ltn | grep -q 127.0.0.1:11434; do sleep 0.2; done")
    try:
        with urllib.request.urlopen(f"{life.api_url}/health", timeout=20) as answer:
            assert answer.read() == b"hello\n"
    finally:
        ssh(life, "systemctl stop page")


def test_a_reboot_keeps_the_disk_and_the_ports(life: Machine) -> None:
    """A new boot of the same machine; what was written is there."""
    before = boot_id(life)
    ssh(life, "echo kept > /root/note")
    vm.reboot(NAME)
    assert Machine.load(NAME) == life
    assert boot_id(life) != before
    assert ssh(life, "cat /root/note") == "kept\n"


def test_after_a_power_cut_the_same_disk_boots_again(life: Machine) -> None:
    """What was flushed survives, the file system is writable, and the host key is the one known."""
    known = life.known_hosts.read_text()
    ssh(life, "echo flushed > /root/flushed && sync && (dd if=/dev/zero of=/root/cut bs=1M count=200 &) && sleep 1")
    power.cut(life)
    assert life.process_id() is None
    started = time.monotonic()
    again = vm.up(NAME)
    assert time.monotonic() - started < BOOT_SECONDS
    assert again == life
    assert ssh(again, "cat /root/flushed && touch /root/writable") == "flushed\n"
    assert life.known_hosts.read_text() == known


def test_a_failed_unit_is_named_when_the_boot_is_not_clean(life: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    """Degraded is not ready."""
    ssh(life, "systemd-run -q --unit=broken false; sleep 1")
    with pytest.raises(BoardllamaError, match=r"systemd says degraded: broken\.service failed"):
        wait_ready(life)
    assert "the last lines of" in capfd.readouterr().err
    ssh(life, "systemctl reset-failed broken")


def test_down_leaves_nothing_running(life: Machine) -> None:
    """Neither QEMU nor the ssh that shared its connection; and it is asked politely."""
    ssh(life, "true")
    vm.down(NAME)
    assert life.process_id() is None
    left = subprocess.run(["pgrep", "-f", str(life.folder)], capture_output=True, text=True)
    assert left.stdout == ""
    assert "reboot: Power down" in life.console.read_text(errors="replace")
    with pytest.raises(BoardllamaError, match=f"the VM {NAME} is not up"):
        Machine.load(NAME)
