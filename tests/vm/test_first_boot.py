"""First boots of a real machine of its own: the image's files and a FAT card on a Debian that boots with systemd."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.debian.tar_files import files_below, write_tar
from deploy.hosts.release import onboard_programs, pack_tar
from deploy.onboard.identity.boardllama_txt import ERRORS, FILE, LABEL
from deploy.onboard.places import PLACES
from deploy.paths import REPO
from deploy.vm import lifecycle, power
from deploy.vm.guest import run_in_guest
from deploy.vm.machine import Machine

NAME = "first-boot"
RELEASE = PLACES.releases / "r0"
UNIT = "boardllama-first-boot.service"
# The VM's disk has no partitions, so the card is a file there, made a disk before anything looks for it.
CARD = """[Unit]
DefaultDependencies=no
After=local-fs.target systemd-udevd.service
Before=boardllama-first-boot.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'modprobe loop; losetup -f /root/card.img; udevadm settle'
[Install]
WantedBy=multi-user.target
"""
TEXT = """hostname = kitchen
ssh_key = {key}
timezone = Europe/Berlin
dns = 10.0.2.3
wifi_ssid = Home
wifi_password = correct horse
"""


class Board:
    """The machine with its card; `key` is a technician's."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine, self.key, self.image = machine, folder / "key", folder / "card.img"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tech", "-f", self.key], check=True)
        self.image.write_bytes(b"\0" * (2 << 20))
        subprocess.run(["/usr/sbin/mkfs.vfat", "-n", LABEL, self.image], check=True, capture_output=True)

    def run(self, command: str) -> str:
        """As root, over the VM's own key."""
        return run_in_guest(self.machine, command).strip()

    def push(self, content: bytes, command: str) -> None:
        """Feeds a command there."""
        words = ["ssh", "-F", str(self.machine.ssh_config), self.machine.name, command]
        subprocess.run(words, input=content, check=True, timeout=120)

    def insert(self, text: str) -> None:
        """The file on the card, as a technician's computer writes it, with the board switched off meanwhile."""
        file = self.image.with_name(FILE)
        file.write_text(text)
        subprocess.run(["mcopy", "-o", "-i", self.image, file, f"::{FILE}"], check=True)
        self.push(self.image.read_bytes(), "losetup -D; cat > /root/card.img; sync")

    def card(self) -> dict[str, str]:
        """What is on the card now."""
        where = f"/dev/disk/by-label/{LABEL}"
        self.run(f"mount -o ro {where} /mnt")
        try:
            names = self.run("ls /mnt").split()
            return {name: self.run(f"cat /mnt/{name}") for name in names}
        finally:
            self.run("umount /mnt")

    def boot(self) -> None:
        """Off and on, and ready again."""
        lifecycle.reboot_machine(NAME)

    def technician(self, user: str, command: str) -> subprocess.CompletedProcess[str]:
        """With the technician's key and no other."""
        options = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
        words = [f"-o{option}" for option in options] + ["-i", str(self.key), "-p", str(self.machine.ssh_port)]
        line = ["ssh", "-n", *words, f"{user}@127.0.0.1", command]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """As an image would be, before its first boot: our files, the programs of a release, no host key."""
    if not shutil.which("mcopy") or not Path("/usr/sbin/mkfs.vfat").exists():
        pytest.fail("mtools and dosfstools make the card: apt-get install mtools dosfstools")
    folder = tmp_path_factory.mktemp("first-boot")
    lifecycle.stop_machine(NAME, wipe=True)
    try:
        made = Board(lifecycle.start_machine(NAME), folder)
        made.run("cp /etc/ssh/sshd_config.d/50-boardllama.conf /etc/ssh/sshd_config.d/49-vm.conf")
        layers = [REPO / "deploy" / "image" / name for name in ("identity_files", "files")]
        write_tar(folder / "files.tar", [member for layer in layers for member in files_below(layer)])
        made.push((folder / "files.tar").read_bytes(), "tar -x -C /")
        made.push(
            pack_tar(onboard_programs()), f"mkdir -p {RELEASE} && tar -x -C {RELEASE} && chmod 755 {RELEASE}/boardllama"
        )
        made.run(f"ln -s {RELEASE.relative_to(PLACES.root)} {PLACES.current}")
        made.push(CARD.encode(), "cat > /etc/systemd/system/test-card.service; systemctl enable -q test-card.service")
        made.insert(TEXT.format(key=made.key.with_suffix(".pub").read_text().strip()))
        made.boot()
        yield made
    finally:
        lifecycle.stop_machine(NAME, wipe=True)


def test_the_board_is_who_its_card_says(board: Board) -> None:
    assert board.run("hostname; cat /etc/hostname; readlink /etc/localtime").split() == [
        "kitchen",
        "kitchen",
        "/usr/share/zoneinfo/Europe/Berlin",
    ]
    assert board.run(f"systemctl is-active {UNIT}") == "active"
    assert "DNS=10.0.2.3" in board.run(f"cat {PLACES.network}")
    assert board.run(f"stat -c %a {PLACES.wifi}") == "600"


def test_the_technician_gets_in_and_is_administrator_and_root_does_not(board: Board) -> None:
    done = board.technician("board", "sudo -n id -u")
    assert done.stdout.strip() == "0", done.stderr
    assert "Permission denied" in board.technician("root", "true").stderr
    assert board.run("passwd -S board").split()[1] == "L", "no password opens it"


def test_it_was_done_before_whatever_needs_it_and_no_unit_was_left_out(board: Board) -> None:
    assert "cycle" not in board.run("journalctl -b -o cat -p warning")
    order = f"systemctl show -P {{}} {UNIT} systemd-networkd.service ssh.service"
    done = int(board.run(order.format("ActiveEnterTimestampMonotonic")).split()[0])
    began = board.run(order.format("InactiveExitTimestampMonotonic")).split()[1:]
    assert len(began) == 2 and all(done <= int(one) for one in began)
    assert "this board is kitchen" in board.machine.console.read_text(errors="replace")


def test_the_secret_left_the_card(board: Board) -> None:
    card = board.card()
    assert set(card) == {FILE}
    assert "correct horse" not in card[FILE] and "hostname = kitchen" in card[FILE]
    assert board.run("grep -c 'correct horse' /root/card.img || true") == "0"
    assert "correct horse" in board.run(f"cat {PLACES.wifi}")


def test_a_changed_card_is_obeyed_at_the_next_start_and_its_mistakes_are_said(board: Board) -> None:
    text = TEXT.format(key="ssh-ed25519 AAAA") + "hostnme = x\n"
    board.insert(text.replace("hostname = kitchen", "hostname = hall"))
    board.boot()
    assert board.run("hostname") == "hall"
    errors = board.card()[ERRORS]
    assert "line 2: ssh_key is" in errors and "did you mean hostname?" in errors
    assert errors.splitlines()[0] in board.machine.console.read_text(errors="replace")
    assert board.technician("board", "true").returncode == 0, "a mistake locks nobody out"


def test_the_power_goes_while_the_card_is_obeyed(board: Board) -> None:
    key = board.key.with_suffix(".pub").read_text().strip()
    board.insert(TEXT.format(key=key).replace("kitchen", "cellar"))
    machine = board.machine
    run_in_guest(machine, f"losetup -f /root/card.img; udevadm settle; systemctl --no-block restart {UNIT}; sleep 2")
    power.cut_power(machine)
    lifecycle.start_machine(NAME)
    assert board.run("hostname") == "cellar"
    assert set(board.card()) == {FILE}
    assert board.technician("board", "sudo -n id -u").stdout.strip() == "0"
