"""A board in QEMU, which starts from a card as the board's own firmware starts it."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.debian.tools import Tools
from deploy.errors import BoardllamaError
from deploy.image.boards import Emulator
from deploy.image.content import fat_file
from deploy.image.disk import DiskLayout
from deploy.vm import lifecycle
from deploy.vm.machine import Machine

FIRMWARE = Path("/usr/share/AAVMF/AAVMF_CODE.fd")
VARIABLES = Path("/usr/share/AAVMF/AAVMF_VARS.fd")
# How a disk hangs on a machine with EFI: QEMU's devices, the last of which is the disk.
ATTACHMENTS = {
    "nvme": ("nvme,serial=card",),
    "virtio-blk": ("virtio-blk-pci",),
    "virtio-scsi": ("virtio-scsi-pci", "scsi-hd"),
    "usb-storage": ("qemu-xhci", "usb-storage"),
}


@dataclass(frozen=True)
class BoardMachine(Machine):
    """A card in QEMU's model of the board. Its folder holds what the firmware would read of the card."""

    emulator: Emulator = Emulator.EFI
    arguments: str = ""
    attachment: str = "nvme"

    @property
    def user(self) -> str:
        return "board"

    @property
    def card(self) -> Path:
        """The copy of the image, grown."""
        return self.folder / "card.img"

    def qemu_command(self, public_key: str) -> list[str]:
        """QEMU's command line. The key is not in it: it comes in boardllama.txt, as a technician's does."""
        network = f"user,id=net,restrict=on,{self.forward_rule(self.ssh_port, 22)}"
        return [
            *("qemu-system-aarch64", "-name", f"boardllama-{self.name}", "-nodefaults", "-display", "none"),
            *("-accel", "tcg,thread=multi", "-pidfile", str(self.pid_file), "-netdev", network),
            *(self.efi_arguments() if self.emulator is Emulator.EFI else self.raspi3_arguments()),
        ]

    def efi_arguments(self) -> list[str]:
        """A machine whose EFI firmware starts what it finds on the disk, which hangs on it by `attachment`."""
        *buses, disk = ATTACHMENTS[self.attachment]
        return [
            *("-machine", "virt", "-cpu", self.hardware.cpu, "-smp", str(self.hardware.cores)),
            *("-m", str(self.hardware.memory)),
            *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={FIRMWARE}"),
            *("-drive", "if=pflash,format=raw,unit=1,file=efi-variables.fd"),
            *("-drive", "if=none,id=card,file=card.img,format=raw,discard=unmap"),
            *(word for device in (*buses, f"{disk},drive=card,bootindex=0") for word in ("-device", device)),
            *("-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"),
            *("-serial", "file:console.log"),
        ]

    def raspi3_arguments(self) -> list[str]:
        """QEMU has no GPU to run the firmware, so kernel, initrd, device tree and arguments are taken off the card."""
        return [
            *("-machine", "raspi3b", "-kernel", "kernel", "-initrd", "initrd", "-dtb", "board.dtb"),
            *("-append", self.arguments, "-drive", "file=card.img,format=raw,if=sd,discard=unmap"),
            *("-device", "usb-net,netdev=net", "-serial", "null", "-serial", "file:console.log"),
        ]


def check_boot_programs() -> None:
    """Raises BoardllamaError with the one command that installs what is missing."""
    lifecycle.check_vm_programs()
    if not FIRMWARE.exists():
        raise BoardllamaError("the boot test needs EFI firmware: run sudo apt-get install qemu-efi-aarch64")


def with_firmware(tools: Tools, machine: BoardMachine, layout: DiskLayout) -> BoardMachine:
    """The machine with, in its folder, what firmware would bring or read from the card. Raises BoardllamaError."""
    if machine.emulator is Emulator.EFI:
        shutil.copyfile(VARIABLES, machine.folder / "efi-variables.fd")
        return machine

    def take(name: str) -> bytes:
        return fat_file(tools, machine.card, layout.board.first, name)

    config = dict(
        line.replace(" ", "=", 1).split("=", 1)
        for line in take("config.txt").decode().splitlines()
        if line.startswith(("kernel=", "initramfs "))
    )
    files = {"kernel": config["kernel"], "initrd": config["initramfs"], "board.dtb": "bcm2837-rpi-3-b.dtb"}
    for name, source in files.items():
        (machine.folder / name).write_bytes(take(source))
    return replace(machine, arguments=take("cmdline.txt").decode().strip())
