"""Each likeness of a vendor's image, made an appliance: its first boot, with a technician's boardllama.txt.

`make bases`: five minutes for each, so that this is no part of `make test`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deploy.controller.progress import Progress
from deploy.errors import BoardllamaError
from deploy.image.boot_test import READY_DEADLINE, wait_for_health
from deploy.vm import power
from deploy.vm.guest import run_in_guest
from deploy.vm.readiness import last_console_lines, wait_for_ssh, wait_for_systemd
from tests.image.base_machine import (
    ADDRESS,
    NAME,
    BaseMachine,
    judge_by_board_suite,
    make_appliance,
    prepare_machine,
    start_board,
)
from tests.image.bases import ARMBIAN, RASPIOS, UBUNTU, Likeness


@dataclass(frozen=True)
class Vendor:
    """`board`: for which the image is made. `questions`: shell commands that succeed on the booted board."""

    likeness: Likeness
    board: str
    questions: tuple[str, ...]


VENDORS = {
    "raspios_like": Vendor(
        RASPIOS,
        "rpi4",
        (
            # NetworkManager has the profile of ours in use, and not its own.
            "nmcli -t -f NAME connection show --active | grep -qx boardllama-cable",
            # The question for an account has its answer, by which nobody can log in.
            "! systemctl is-enabled -q userconfig.service && ! test -e /boot/firmware/userconf.txt",
            "getent passwd 1000 | grep -q ^pi: && grep -q '^pi:[$]6[$]' /etc/shadow",
            # The first boot of the vendor has given the disk another id, which all that names it has followed.
            "! grep -q 5a1b2c3d /etc/fstab /boot/firmware/cmdline.txt",
            "sfdisk --disk-id /dev/nvme0n1 | cut -c 3- | xargs -I {} grep -q PARTUUID={}-02 /etc/fstab",
            "test $(findmnt -bno SIZE /) -gt 2500000000",
        ),
    ),
    "ubuntu_like": Vendor(
        UBUNTU,
        "qemu",
        (
            "networkctl --no-pager --all status | grep -q 10-netplan-00-boardllama.network",
            "test -e /etc/netplan/50-cloud-init.yaml",
            "cloud-init status | grep -qx 'status: done'",
            "getent passwd ubuntu",
        ),
    ),
    "armbian_like": Vendor(
        ARMBIAN,
        "rock_5b",
        (
            "test -s /etc/systemd/network/05-boardllama.network",
            "! systemctl is-enabled -q armbian-firstrun.service",
            "grep -q PRESET_NET_CHANGE_DEFAULTS /root/.not_logged_in_yet",
        ),
    ),
}
OF_ALL = (
    f"test $(hostname) = {NAME}",
    f"ip -4 -o address | grep -q '{ADDRESS}/24'",
    "test $(ip -4 -o address show scope global | wc -l) = 1",
    "ls /etc/ssh/ssh_host_ecdsa_key && ! test -e /etc/ssh/ssh_host_ed25519_key",
    "test -s /etc/machine-id && ! grep -q uninitialized /etc/machine-id",
    "test $(id -u board) -lt 1000",
)


@pytest.fixture(params=list(VENDORS))
def vendor(request: pytest.FixtureRequest) -> Vendor:
    """Each of them in turn."""
    return VENDORS[request.param]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket of SSH."""
    with TemporaryDirectory(prefix="base-", dir="/var/tmp") as made:
        yield Path(made)


def test_an_appliance_of_a_vendors_image_boots_as_boardllama_txt_says(vendor: Vendor, folder: Path) -> None:
    machine = prepare_machine(vendor.likeness, make_appliance(vendor.likeness, vendor.board, folder), folder)
    progress = Progress(vendor.likeness.name)
    try:
        machine = start_board(vendor.likeness, machine, progress)
        wait_for_ssh(machine, progress, READY_DEADLINE)
        wait_for_health(machine)
        wait_for_systemd(machine, progress, READY_DEADLINE)
        assert wrong_answers(machine, (*OF_ALL, *vendor.questions)) == []
        judge_by_board_suite(machine)
    except BoardllamaError as error:
        pytest.fail(f"{error}\n{last_console_lines(machine)}")
    finally:
        power.cut_power(machine)


def wrong_answers(machine: BaseMachine, questions: tuple[str, ...]) -> list[str]:
    """The commands that do not succeed."""
    return [one for one in questions if run_in_guest(machine, f"({one}) >&2 && echo yes || true") != "yes\n"]
