"""A disk that is mounted late: what this machine is told to mount, and what is mounted, as its files say."""

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.onboard.server import launch, mounts
from deploy.onboard.server.config import ConfigError
from deploy.onboard.server.mounts import await_disk, missing_mount, mount_unit, out_of_reach, unescape_octal
from deploy.onboard.service import OLLAMA, Service
from tests.services import paths_below
from tests.unit.onboard import Target, target

__all__ = ["target"]

MOUNTINFO = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"


class Machine:
    """What a machine in a folder is told to mount, and has mounted."""

    def __init__(self, folder: Path) -> None:
        self.fstab, self.mountinfo, self.units = folder / "fstab", folder / "mountinfo", folder / "units"
        self.usb = folder / "mnt/usb disk"
        for made in (self.units, self.usb / "models"):
            made.mkdir(parents=True)
        self.fstab.write_text("UUID=1 / ext4 defaults 0 1\n# a comment\n\nUUID=2 none swap sw 0 0\n")
        self.mountinfo.write_text(MOUNTINFO)

    def tell(self, options: str = "defaults,nofail") -> None:
        """Has fstab mount the disk."""
        with self.fstab.open("a") as fstab:
            fstab.write(f"UUID=3 {self.escaped} ext4 {options} 0 2\n")

    def mount(self, kind: str = "ext4") -> None:
        """As the kernel says it."""
        with self.mountinfo.open("a") as mountinfo:
            mountinfo.write(f"40 22 8:17 / {self.escaped} rw - {kind} /dev/sdb1 rw\n")

    @property
    def escaped(self) -> str:
        """The folder with a blank in its name, in fstab and in mountinfo."""
        return str(self.usb).replace(" ", "\\040")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """One that has mounted its root alone."""
    made = Machine(tmp_path)
    monkeypatch.setattr(mounts, "FSTAB", made.fstab)
    monkeypatch.setattr(mounts, "MOUNTED", made.mountinfo)
    monkeypatch.setattr(mounts, "UNITS", (made.units,))
    return made


def test_a_folder_whose_disk_is_in_fstab_lacks_it_until_it_is_mounted(machine: Machine) -> None:
    models = machine.usb / "models"
    assert missing_mount(models) is None, "nobody says that a disk belongs there"
    machine.tell()
    assert missing_mount(models) == missing_mount(machine.usb) == machine.usb
    machine.mount()
    assert missing_mount(models) is None


@pytest.mark.parametrize(
    ("options", "awaited"),
    [("nofail", True), ("_netdev,soft", True), ("noauto", False), ("noauto,x-systemd.automount", True)],
)
def test_what_a_person_mounts_by_hand_is_not_waited_for(machine: Machine, options: str, awaited: bool) -> None:
    machine.tell(options)
    assert (missing_mount(machine.usb) is not None) is awaited


def test_a_unit_of_systemd_tells_it_too(machine: Machine) -> None:
    (machine.units / mount_unit(machine.usb)).write_text("[Mount]\n")
    assert missing_mount(machine.usb / "models") == machine.usb


def test_a_disk_that_systemd_may_not_mount_is_not_waited_for(machine: Machine) -> None:
    """A masked unit is an empty one, and goes before fstab."""
    machine.tell()
    (machine.units / mount_unit(machine.usb)).symlink_to("/dev/null")
    assert missing_mount(machine.usb / "models") is None


def test_a_disk_above_one_that_is_mounted_does_not_matter(machine: Machine) -> None:
    (machine.units / mount_unit(machine.usb.parent)).write_text("[Mount]\n")
    machine.mount()
    assert missing_mount(machine.usb / "models") is None


def test_an_automount_is_no_disk_until_something_lies_on_it(machine: Machine) -> None:
    machine.mount("autofs")
    assert missing_mount(machine.usb / "models") == machine.usb
    machine.mount("nfs4")
    assert missing_mount(machine.usb / "models") is None


def test_the_way_is_followed_through_links(machine: Machine, tmp_path: Path) -> None:
    machine.tell()
    link = tmp_path / "models"
    link.symlink_to(machine.usb / "models/not there yet")
    assert missing_mount(link) == machine.usb


def test_fstab_may_name_the_place_by_a_link(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "ollama").symlink_to(machine.usb.parent)
    models = tmp_path / "ollama" / machine.usb.name
    machine.fstab.write_text(f"UUID=3 {models} ext4 nofail 0 2\n".replace(" disk", "\\040disk"))
    assert missing_mount(models / "models") == machine.usb
    machine.mount()
    assert missing_mount(models / "models") is None


def test_the_store_of_the_models_may_lead_to_the_disk(machine: Machine, target: Target) -> None:
    release = target.add("r1")
    models = {"path": str(target.service.models), "default_model": "m.gguf"}
    target.service.model_store.rename(machine.usb / "store")
    target.service.model_store.symlink_to(machine.usb / "store")
    assert next(filter(None, map(missing_mount, launch.model_paths(models, release, target.service))), None) is None
    machine.tell()
    assert (
        next(filter(None, map(missing_mount, launch.model_paths(models, release, target.service))), None) == machine.usb
    )
    assert (
        missing_mount(launch.model_paths({**models, "default_model": "theirs.gguf"}, release, target.service)[0])
        is None
    ), "it is not needed"


@pytest.mark.parametrize(
    "name", ["/", "/mnt/usb disk", "/.hidden/.a", "/var/lib/ollama/models", "/mnt/ä-b", "/a\\b", "/100%"]
)
def test_systemd_s_names_of_mounts(name: str) -> None:
    said = subprocess.run(
        ["systemd-escape", "--path", "--suffix=mount", name], capture_output=True, text=True, check=True
    )
    assert mount_unit(Path(name)) == said.stdout.strip()


def test_octal_digits_are_characters() -> None:
    assert unescape_octal(r"/a\040b\134c\9\04") == "/a b\\c\\9\\04"


def fails(number: int) -> Callable[[], object]:
    """A read that ends so."""

    def read() -> object:
        raise OSError(number, os.strerror(number), "/mnt/x.gguf")

    return read


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENOTCONN])
def test_a_disk_that_is_gone_under_its_mount_is_waited_for(machine: Machine, number: int) -> None:
    assert out_of_reach(lambda: [machine.usb], fails(number)).startswith(
        "waiting for the disk of the model: /mnt/x.gguf: "
    )


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT])
def test_other_faults_are_said_by_who_reads(machine: Machine, number: int) -> None:
    assert out_of_reach(lambda: [machine.usb], fails(number)) == ""


def test_a_folder_that_holds_no_model_is_not_waited_for(machine: Machine) -> None:
    def read() -> object:
        raise ConfigError("holds no *.gguf")

    assert await_disk(OLLAMA, lambda: [machine.usb], read)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """One whose runtime folder systemd has made."""
    made = paths_below(tmp_path, OLLAMA)
    made.runtime.mkdir(parents=True)
    return made


def test_it_goes_on_when_the_disk_comes_and_says_once_what_it_waits_for(
    machine: Machine, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.tell()
    seconds: list[str] = []

    def sleep(_: float) -> None:
        seconds.append(service.awaited.read_text())
        if len(seconds) == 3:
            machine.mount()

    assert await_disk(service, lambda: [machine.usb], dict, sleep)
    reason = f"waiting for the disk of {machine.usb}: nothing is mounted on {machine.usb}"
    assert seconds == [reason] * 3
    assert capsys.readouterr().err == f"ollama-cpp-server: {reason}\n"
    assert not service.awaited.exists()


def test_a_start_ends_after_a_while_so_that_the_next_one_has_systemd_mount_it(
    machine: Machine, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "WAIT_SECONDS", -1.0)
    machine.tell()
    assert not await_disk(service, lambda: [machine.usb], dict)
