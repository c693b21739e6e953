"""An image of a vendor's in QEMU's `virt`, with the kernel, the initrd and the arguments that lie in the image itself.

The vendor's boot chain does not run: firmware and loaders are the board's, and QEMU has none of these boards.
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from deploy import cpu
from deploy.controller.progress import Progress
from deploy.debian.tools import Tools, ensure_tools
from deploy.image.board_machine import BoardMachine
from deploy.image.boot_test import READY_DEADLINE
from deploy.image.content import fat_file, image_tool_output
from deploy.paths import REPO
from deploy.vm import lifecycle, power
from deploy.vm.machine import Hardware
from deploy.vm.ports import free_ports
from tests.image.bases import ARMBIAN, RASPIOS, UBUNTU, Likeness, ensure_base

# QEMU's DHCP server gives this address to nobody: who has it was told so.
ADDRESS, ROUTER = "10.0.2.77", "10.0.2.2"
NAME = "kitchen"
CARD_BYTES = 3 * 2**30
DEADLINE = 1800  # seconds
# As the vendor's loader takes them from its own files; Armbian's and Ubuntu's are scripts of U-Boot and GRUB.
ROOTS = {UBUNTU.name: "root=LABEL=cloudimg-rootfs ro", ARMBIAN.name: f"root=UUID={ARMBIAN.root_uuid} ro"}
# Vendors wait 90 seconds for a unit, which a busy controller takes to start one.
FASTER = "console=ttyAMA0 nokaslr mitigations=off audit=0 systemd.default_timeout_start_sec=600"


class BaseMachine(BoardMachine):
    """`arguments`: the kernel's. The folder holds `kernel`, `initrd` and the card that was flashed."""

    def qemu_command(self, public_key: str) -> list[str]:
        """QEMU's command line. SSH is forwarded to the fixed address alone."""
        forward = f"hostfwd=tcp:127.0.0.1:{self.ssh_port}-{ADDRESS}:22"
        return [
            *("qemu-system-aarch64", "-name", f"boardllama-{self.name}", "-nodefaults", "-display", "none"),
            *("-machine", "virt", "-cpu", self.hardware.cpu, "-accel", "tcg,thread=multi"),
            *("-smp", str(self.hardware.cores), "-m", str(self.hardware.memory)),
            *("-kernel", "kernel", "-initrd", "initrd", "-append", self.arguments),
            *("-drive", "if=none,id=card,file=card.img,format=raw,discard=unmap"),
            *("-device", "nvme,drive=card,serial=card"),
            *("-netdev", f"user,id=net,restrict=on,{forward}", "-device", "virtio-net-pci,netdev=net,romfile="),
            *("-device", "virtio-rng-pci", "-serial", "file:console.log", "-pidfile", str(self.pid_file)),
            # A restart would begin with the old arguments: firmware reads them again.
            "-no-reboot",
        ]


def make_appliance(likeness: Likeness, board: str, dist: Path) -> Path:
    """What `make image BASE=` makes of the likeness, in dist. Returns the image."""
    words = [board, "--base", str(ensure_base(likeness)), "--model", "smoke", "--dist", str(dist)]
    run_module("deploy.image", *words)
    return next(dist.glob("*.img.zst"))


def run_module(module: str, *words: str) -> None:
    """`python -m module words`, which must succeed; what it says is shown when the test fails."""
    command = [sys.executable, "-m", module, *words]
    subprocess.run(command, cwd=REPO, env=os.environ, stdin=subprocess.DEVNULL, check=True, timeout=DEADLINE)


def prepare_machine(likeness: Likeness, image: Path, folder: Path) -> BaseMachine:
    """A card that `make flash` has written for a technician, as large as a card is, and what QEMU needs beside it."""
    tools, (ssh_port, api_port) = ensure_tools(), free_ports(2)
    hardware = Hardware(cpu.find_cpu("cortex-a76").qemu, 2, 2000)
    bare = BaseMachine(folder, ssh_port, api_port, Path(), "", hardware)
    lifecycle.make_key_pair(bare)
    bare.write_ssh_config()
    told = {"hostname": NAME, "ssh-key": f"{bare.ssh_key}.pub", "address": f"{ADDRESS}/24", "gateway": ROUTER}
    options = [word for name, value in told.items() for word in (f"--{name}", value)]
    results = ["--results", str(folder / "results.jsonl")]
    run_module("deploy.flash", str(image), "--to-file", str(bare.card), "--yes", *results, *options)
    os.truncate(bare.card, CARD_BYTES)
    take_kernel(tools, likeness, bare)
    return with_arguments(likeness, bare)


def with_arguments(likeness: Likeness, machine: BaseMachine) -> BaseMachine:
    """The machine with the kernel's arguments as they stand on the card now."""
    read = ROOTS.get(likeness.name)
    read = read or fat_file(ensure_tools(), machine.card, likeness.fat_at, "cmdline.txt").decode().strip()
    return replace(machine, arguments=f"{read} {FASTER}")


def start_board(likeness: Likeness, machine: BaseMachine, progress: Progress) -> BaseMachine:
    """Starts it; and once more after the vendor's own first start, where that ends with a restart."""
    lifecycle.start_qemu(machine)
    if likeness is not RASPIOS:
        return machine
    with power.qemu_process(machine) as qemu:
        assert power.wait_for_end(qemu, progress, READY_DEADLINE), "the vendor's first start did not end"
    again = with_arguments(likeness, machine)
    lifecycle.start_qemu(again)
    return again


def take_kernel(tools: Tools, likeness: Likeness, machine: BaseMachine) -> None:
    """Copies kernel and initrd off the card, from where the vendor's firmware or loader reads them."""
    if likeness is RASPIOS:
        for name, source in (("kernel", "kernel8.img"), ("initrd", "initramfs8")):
            (machine.folder / name).write_bytes(fat_file(tools, machine.card, likeness.fat_at, source))
        return
    root = f"{machine.card}?offset={likeness.root_at}"
    names = image_tool_output(tools, "usr/sbin/debugfs", "-R", "ls -p /boot", root).decode().split("/")
    for name, beginning in (("kernel", "vmlinuz-"), ("initrd", "initrd.img-")):
        source = next(one for one in names if one.startswith(beginning))
        content = image_tool_output(tools, "usr/sbin/debugfs", "-R", f"cat /boot/{source}", root)
        (machine.folder / name).write_bytes(content)


def judge_by_board_suite(machine: BaseMachine) -> None:
    """Has tests/board judge the machine, with the group data of this repository's inventories."""
    data = {**machine.host_data, "_sudo": True}
    inventory = machine.folder / "inventory.py"
    inventory.write_text(f"targets = [({NAME!r}, {data!r})]\n")
    (machine.folder / "group_data").symlink_to(REPO / "inventory" / "group_data")
    run_module("pytest", "-q", "-p", "no:cacheprovider", "tests/board/test_board.py", f"--inventory={inventory}")
