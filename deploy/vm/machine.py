"""One QEMU arm64 machine as data: where its files lie, which ports lead to it, and QEMU's command line."""

import json
import os
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from deploy.errors import BoardllamaError
from deploy.onboard.files import write_file
from deploy.onboard.json_parts import parse_json
from deploy.paths import machines_dir
from deploy.vm.ports import free_ports, is_free

GUEST_SSH_PORT = 22
# Where the guest's front door listens (root/files); it leads to the service on the guest's loopback.
GUEST_API_PORT = 11435
# The path of a Unix socket may have 107 bytes; ssh adds 17 to that of its control socket while it makes it.
CONTROL_PATH_BYTES = 107 - 17


@dataclass(frozen=True)
class Hardware:
    """What the guest finds. `cpu`: QEMU's name of the CPU. `memory`: MiB. `disk`: GiB, of which its root fills four.

    `write_log`: the disk notes each write and flush, in order, so that a power cut can be replayed to the last flush.
    `device_tree`: the path of a device tree to be used in place of QEMU's own.
    """

    cpu: str = "cortex-a76"
    cores: int = 2
    memory: int = 2048
    disk: int = 4
    write_log: bool = False
    device_tree: str = ""


@dataclass(frozen=True)
class Machine:
    """A virtual machine. Ports: on the controller's 127.0.0.1. `root`: the identity of the root under its disk."""

    folder: Path
    ssh_port: int
    api_port: int
    kernel: Path
    root: str
    hardware: Hardware = field(default_factory=Hardware)

    @staticmethod
    def load(name: str | None = None) -> "Machine":
        """The running machine of that name, or of $BOARDLLAMA_VM. Raises BoardllamaError when it is not up."""
        folder = machine_folder(name)
        machine = Machine.read(folder)
        if machine is None or machine.process_id() is None:
            raise BoardllamaError(f"the VM {folder.name} is not up: run make vm")
        return machine

    @staticmethod
    def read(folder: Path) -> "Machine | None":
        """The machine that was last started in the folder, running or not."""
        try:
            state = parse_json((folder / "state.json").read_text())
        except FileNotFoundError:
            return None
        return Machine(folder, **{**state, "kernel": Path(state["kernel"]), "hardware": Hardware(**state["hardware"])})

    def save(self) -> None:
        """Writes state.json, whole or not at all."""
        state = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        del state["folder"]
        write_file(self.folder / "state.json", f"{json.dumps(state, indent=1)}\n".encode(), 0o600)

    @property
    def name(self) -> str:
        """The name that $BOARDLLAMA_VM and ssh_config use."""
        return self.folder.name

    @property
    def user(self) -> str:
        """The account by which SSH enters: root, or a user who may use sudo without a password."""
        return "root"

    @property
    def api_url(self) -> str:
        """The service in the VM, as the controller reaches it."""
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def ssh_key(self) -> Path:
        """The private key that root of this VM accepts, and no other."""
        return self.folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The VM's host key, as it was at the first connection to this disk."""
        return self.folder / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        """For `ssh -F`, and for testinfra's ssh_config=."""
        return self.folder / "ssh_config"

    @property
    def host_data(self) -> dict[str, str | int]:
        """What an inventory says of how the machine is reached, in the words of pyinfra's SSH connector."""
        return {
            "ssh_hostname": "127.0.0.1",
            "ssh_port": self.ssh_port,
            "ssh_user": self.user,
            "ssh_key": str(self.ssh_key),
            "ssh_known_hosts_file": str(self.known_hosts),
        }

    @property
    def disk(self) -> Path:
        """The layer over the cached root that holds what the VM has written."""
        return self.folder / "disk.qcow2"

    @property
    def write_log(self) -> Path:
        """Every write and flush of the disk since the start, when the hardware has a write log."""
        return self.folder / "writes.log"

    @property
    def console(self) -> Path:
        """All output of the guest's serial console since the start."""
        return self.folder / "console.log"

    @property
    def log(self) -> Path:
        """All output of QEMU itself since the start."""
        return self.folder / "qemu.log"

    @property
    def pid_file(self) -> Path:
        return self.folder / "qemu.pid"

    def qemu_command(self, public_key: str) -> list[str]:
        """QEMU's command line, to be run in `folder`: a comma in the folder's path would end a value.

        The key is a credential on the kernel's command line, so that the cached root holds none.
        """
        return [
            *("qemu-system-aarch64", "-name", f"boardllama-{self.name},debug-threads=on"),
            *("-nodefaults", "-display", "none"),
            *("-machine", "virt", "-cpu", self.hardware.cpu, "-accel", "tcg,thread=multi"),
            *("-smp", str(self.hardware.cores), "-m", str(self.hardware.memory)),
            *("-kernel", str(self.kernel), "-append", kernel_arguments(public_key)),
            *(("-dtb", self.hardware.device_tree) if self.hardware.device_tree else ()),
            *self.disk_arguments(),
            *(
                "-netdev",
                f"user,id=net,restrict=on,{self.forward_rule(self.ssh_port, GUEST_SSH_PORT)}"
                f",{self.forward_rule(self.api_port, GUEST_API_PORT)}",
            ),
            *("-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"),
            *("-serial", "file:console.log"),
            *("-pidfile", str(self.pid_file)),
        ]

    def disk_arguments(self) -> list[str]:
        """The disk: its image alone, or QEMU's write log (format of Linux's dm-log-writes) in front of it.

        QEMU's NVMe drops FUA, with which ext4 makes a commit durable, and keeps in memory where a new cluster of the
        image lies: a killed QEMU loses commits that the guest had waited for. So the disk has no cache of its own, and
        each write is with the controller's kernel before it ends. Flushes end at the file below the image: where they
        end at the image, QEMU 10 ends FUA as well. A write log needs the guest's flushes, thus a cache.
        """
        if not self.hardware.write_log:
            image = "if=none,id=root,driver=qcow2,file.filename=disk.qcow2,file.cache.no-flush=on,discard=unmap"
            return ["-drive", image, "-device", "nvme,drive=root,serial=root,write-cache=off"]
        return [
            *("-device", "nvme,drive=root,serial=root"),
            *("-blockdev", "driver=qcow2,node-name=disk,file.driver=file,file.filename=disk.qcow2,discard=unmap"),
            *("-blockdev", "driver=file,node-name=log,filename=writes.log"),
            *("-blockdev", "driver=blklogwrites,node-name=root,file=disk,log=log"),
        ]

    @staticmethod
    def forward_rule(port: int, guest_port: int) -> str:
        """QEMU's rule that leads a port of the controller's loopback to the guest."""
        return f"hostfwd=tcp:127.0.0.1:{port}-:{guest_port}"

    def process_id(self) -> int | None:
        try:
            number = int(self.pid_file.read_text())
            words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        # A killed QEMU leaves its pid file, and another process may have its number by now.
        return number if os.fsencode(self.pid_file) in words else None

    def last_words(self) -> str:
        """The last line that QEMU itself wrote."""
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()
        except FileNotFoundError:
            lines = []
        return lines[-1] if lines else "it said nothing"

    def write_ssh_config(self) -> None:
        """Writes the file for OpenSSH, testinfra and people: `ssh -F .vm/dev/ssh_config dev`."""
        lines = [
            f"Host {self.name}",
            "    HostName 127.0.0.1",
            f"    Port {self.ssh_port}",
            f"    User {self.user}",
            f'    IdentityFile "{self.ssh_key}"',
            "    IdentitiesOnly yes",
            f'    UserKnownHostsFile "{self.known_hosts}"',
            "    GlobalKnownHostsFile /dev/null",
            "    StrictHostKeyChecking accept-new",
            "    BatchMode yes",
            "    LogLevel ERROR",
            "    ConnectTimeout 20",
            "    ServerAliveInterval 10",
            "    ServerAliveCountMax 12",
            *self.connection_sharing(),
        ]
        write_file(self.ssh_config, "".join(f"{line}\n" for line in lines).encode(), 0o600)

    def connection_sharing(self) -> Iterator[str]:
        """Lines by which commands share a connection, as a new one costs a second; none where the path is too long."""
        path = self.folder / "ssh"
        if len(os.fsencode(path)) <= CONTROL_PATH_BYTES:
            yield "    ControlMaster auto"
            yield f'    ControlPath "{path}"'
            yield "    ControlPersist 120"


def kernel_arguments(public_key: str) -> str:
    """The kernel mounts the disk itself; systemd gives the key to root (systemd 254 or later).

    Without kernel page-table isolation, which KASLR brings with it, a system call is 10 times as fast under TCG:
    400,000 of them took 17.8 s with it and 1.8 s without. Where every program lies at the same address as the last time
    (norandmaps), QEMU finds the translated code of its last run: deploys take 0.78x of the CPU time.
    """
    credential = b64encode(f"{public_key.strip()}\n".encode()).decode()
    return (
        "root=/dev/nvme0n1 rootfstype=ext4 rw rootwait console=ttyAMA0 nokaslr norandmaps mitigations=off audit=0 "
        f"systemd.set_credential_binary=ssh.authorized_keys.root:{credential}"
    )


def machine_folder(name: str | None = None) -> Path:
    """The folder of a VM; None: of $BOARDLLAMA_VM, else dev. Raises BoardllamaError on a name that leads elsewhere."""
    chosen = name or os.environ.get("BOARDLLAMA_VM") or "dev"
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", chosen):
        raise BoardllamaError(f"BOARDLLAMA_VM is {chosen!r}: use up to 31 small letters, digits and hyphens")
    return machines_dir() / chosen


def with_free_ports(machine: Machine) -> Machine:
    """The machine itself, or with other ports when one of its own is taken."""
    if is_free(machine.ssh_port) and is_free(machine.api_port):
        return machine
    ssh_port, api_port = free_ports(2)
    return replace(machine, ssh_port=ssh_port, api_port=api_port)
