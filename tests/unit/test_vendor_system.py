"""boardllama.txt on a vendor's system: where it is found, what it changes there, and what stays the vendor's."""

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.onboard.identity import first_boot, partition, vendor
from deploy.onboard.identity.boardllama_txt import ERRORS, FILE
from tests.unit.first_board import Board, PowerCut, board
from tests.unit.known_host import program, programs_here
from tests.unit.test_boardllama_txt import KEY

__all__ = ["board", "programs_here"]

TEXT = f"hostname = kitchen\nssh_key = {KEY}\naddress = 192.168.1.20/24\napi_key = sk-0123456789\n"
PROGRAMS = ("systemd-sysusers", "install", "systemctl", "mount", "netplan", "rfkill", "udevadm")


class Vendor:
    """A vendor's system in a folder, with our release on it. Programs that need root note how they are called."""

    def __init__(self, board: Board, programs: Path) -> None:
        self.board, self.places, self.log = board, board.places, programs / "asked"
        self.places.account.unlink()
        for name in PROGRAMS:
            program(programs / name, f'echo {name} "$@" >>{self.log}')

    def link(self, place: Path) -> None:
        """A unit is enabled."""
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to("/usr/lib/systemd/system/unit.service")

    def mount(self, *names: str, kind: str = "vfat") -> Path:
        """File systems of the kind are mounted below /boot. Returns the last one's folder."""
        for name in names:
            folder = self.places.boot / name
            folder.mkdir(parents=True, exist_ok=True)
            self.places.mounts.parent.mkdir(parents=True, exist_ok=True)
            with self.places.mounts.open("a") as file:
                file.write(f"/dev/x {folder} {kind} rw 0 0\n")
        return folder

    def boot(self) -> int:
        """As the unit starts it."""
        return first_boot.run_first_boot(self.places)

    @property
    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def system(board: Board, programs_here: Path, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """Without a partition of our own, and without an account `board`."""
    monkeypatch.setattr(partition, "find_partition", lambda: None)
    monkeypatch.setattr(vendor, "ACCOUNT", "no-such-account")
    monkeypatch.setattr(vendor, "first_user", lambda: "pi")
    made = Vendor(board, programs_here)
    made.link(made.places.enabled / "multi-user.target.wants/ssh.service")
    return made


def test_the_file_is_obeyed_on_the_vendors_fat_and_its_secrets_leave_it(system: Vendor) -> None:
    fat = system.mount("efi", "firmware")
    (fat / FILE).write_text(TEXT)
    assert system.boot() == 0
    assert system.places.hostname.read_text() == "kitchen\n"
    assert system.board.service.api_key.read_text() == "sk-0123456789\n"
    assert "sk-0123456789" not in (fat / FILE).read_text()
    assert f"mount -o remount,rw {fat}" in system.asked


def test_the_file_is_obeyed_in_the_root_where_there_is_no_fat(system: Vendor) -> None:
    system.mount("", kind="ext4")
    file = system.places.root_folder / FILE
    file.write_text(TEXT)
    assert system.boot() == 0
    assert system.places.hostname.read_text() == "kitchen\n" and "sk-0123456789" not in file.read_text()


def test_what_is_wrong_stands_beside_the_file_wherever_it_lies(system: Vendor) -> None:
    fat = system.mount("firmware")
    (fat / FILE).write_text("hostnam = x\n")
    system.boot()
    assert "did you mean hostname?" in (fat / ERRORS).read_text()


def test_users_host_keys_and_first_boot_of_a_vendor_stay_its_own_without_a_key(system: Vendor) -> None:
    fat = system.mount("firmware")
    system.link(system.places.userconfig)
    (fat / FILE).write_text("hostname = kitchen\n")
    assert system.boot() == 0
    assert not system.places.host_key.exists() and not system.places.sudoers.exists()
    assert sorted(path.name for path in fat.iterdir()) == [FILE]
    assert not any(line.startswith(("systemd-sysusers", "install", "systemctl")) for line in system.asked)


def test_a_key_makes_the_account_which_may_use_sudo(system: Vendor) -> None:
    (system.mount("firmware") / FILE).write_text(f"ssh_key = {KEY}\n")
    assert system.boot() == 0
    assert system.places.authorized_keys.read_text() == f"{KEY}\n"
    assert system.places.sudoers.stat().st_mode & 0o777 == 0o440
    assert system.asked[0].startswith("systemd-sysusers --inline u board - ")
    assert not any("ssh.service" in line for line in system.asked), "it is on"


def test_a_key_switches_ssh_on_where_a_vendor_starts_without(system: Vendor) -> None:
    (system.places.enabled / "multi-user.target.wants/ssh.service").unlink()
    (system.mount("firmware") / FILE).write_text(f"ssh_key = {KEY}\n")
    system.boot()
    assert "systemctl enable --now --no-block ssh.service" in system.asked


def test_raspberry_pi_os_is_answered_with_its_own_user_and_a_password_that_nobody_has(system: Vendor) -> None:
    fat = system.mount("firmware")
    system.link(system.places.userconfig)
    (fat / FILE).write_text(TEXT)
    assert system.boot() == 0
    name, password = (fat / "userconf.txt").read_text().rstrip("\n").split(":")
    assert name == "pi" and password.startswith("$6$") and len(password.split("$")[3]) == 86
    assert vendor.unknown_password() != vendor.unknown_password()


def test_an_answer_that_is_there_is_not_given_again(system: Vendor) -> None:
    fat = system.mount("firmware")
    system.link(system.places.userconfig)
    (fat / "userconf").write_text("me:$6$hash")
    (fat / FILE).write_text(TEXT)
    assert system.boot() == 0
    assert not (fat / "userconf.txt").exists()


def test_cloud_init_leaves_the_chosen_name_alone(system: Vendor) -> None:
    system.places.cloud_init.mkdir(parents=True)
    (system.mount("efi") / FILE).write_text("hostname = kitchen\n")
    system.boot()
    assert (system.places.cloud_init / "99-boardllama.cfg").read_text() == "preserve_hostname: true\n"


def test_armbian_asks_no_more_what_the_file_has_said_and_keeps_what_somebody_else_has_preset(system: Vendor) -> None:
    presets = system.places.armbian_presets
    presets.parent.mkdir(parents=True)
    presets.write_text('PRESET_CONNECT_WIRELESS="y"')
    file = system.places.root_folder / FILE
    file.write_text("timezone = UTC\n")
    assert system.boot() == 0
    said = presets.read_text().splitlines()
    assert said[0] == 'PRESET_CONNECT_WIRELESS="y"' and 'PRESET_TIMEZONE="UTC"' in said
    assert 'PRESET_NET_CHANGE_DEFAULTS="0"' in said and 'PRESET_CONNECT_WIRELESS="n"' not in said
    file.write_text("timezone = UTC\n# changed\n")
    system.boot()
    assert presets.read_text().splitlines() == said


def with_manager(system: Vendor) -> Path:
    system.link(system.places.manager_enabled)
    return system.places.manager_cable


def with_netplan(system: Vendor) -> Path:
    system.places.netplan_program.parent.mkdir(parents=True, exist_ok=True)
    system.places.netplan_program.touch()
    system.places.netplan.parent.mkdir(parents=True)
    system.places.netplan.with_name("50-cloud-init.yaml").write_text("network: {version: 2}\n")
    return system.places.netplan


@pytest.mark.parametrize("prepare", [with_manager, with_netplan, lambda system: system.places.network])
def test_an_address_is_told_to_what_runs_the_network_and_to_nothing_else(
    system: Vendor, prepare: Callable[[Vendor], Path]
) -> None:
    wanted = prepare(system)
    (system.mount("firmware") / FILE).write_text(TEXT)
    assert system.boot() == 0
    places = (system.places.manager_cable, system.places.netplan, system.places.network)
    assert [place for place in places if place.exists()] == [wanted]
    assert "192.168.1.20/24" in wanted.read_text()
    assert ("netplan generate" in system.asked) == (wanted == system.places.netplan)


def test_systemd_networkd_takes_the_file_before_those_of_vendors_and_of_older_images(system: Vendor) -> None:
    before = system.places.network_before
    before.parent.mkdir(parents=True)
    before.write_text("[Match]\n")
    (system.mount("firmware") / FILE).write_text(TEXT)
    assert system.boot() == 0
    assert system.places.network.name < "10-dhcp-all-interfaces.network" and not before.exists()


def test_netplan_without_a_file_of_the_vendor_rules_nothing(system: Vendor) -> None:
    with_netplan(system).with_name("50-cloud-init.yaml").unlink()
    cable = with_manager(system)
    (system.mount("firmware") / FILE).write_text(TEXT)
    system.boot()
    assert cable.exists() and not system.places.netplan.exists()


def test_a_wifi_that_raspberry_pi_os_keeps_off_is_switched_on(system: Vendor) -> None:
    with_manager(system)
    system.places.manager_state.parent.mkdir(parents=True)
    system.places.manager_state.write_text("[main]\nNetworkingEnabled=true\nWirelessEnabled=false\n")
    told = "wifi_ssid = Home\nwifi_password = correct horse\nwifi_country = DE\n"
    (system.mount("firmware") / FILE).write_text(told)
    assert system.boot() == 0
    assert "WirelessEnabled=true" in system.places.manager_state.read_text()
    assert "regdom=DE" in system.places.regulatory.read_text()
    assert "rfkill unblock wlan" in system.asked
    assert system.places.manager_wifi.stat().st_mode & 0o777 == 0o600


def test_power_cuts_at_every_write_leave_a_board_that_comes_to_the_same_end(
    system: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vendor, "unknown_password", lambda: "$6$salt$hash")
    monkeypatch.setattr(vendor, "run_command", lambda *words: "")
    fat = system.mount("firmware")
    system.link(system.places.userconfig)
    with_manager(system)
    board = system.board
    board.card = partition.IdentityFolder(fat)
    before = board.state()
    (fat / FILE).write_text(TEXT)
    assert board.boot() == 0
    writes, wanted = board.writes, board.state()
    assert writes > 15
    for cut in range(1, writes + 1):
        restore(board, before)
        (fat / FILE).write_text(TEXT)
        with pytest.raises(PowerCut):
            board.boot(cut)
        assert board.boot() == 0
        assert board.state() == wanted, cut


def restore(board: Board, files: dict[str, str]) -> None:
    """The folder with these files and links alone."""
    for path in sorted(board.root.rglob("*"), reverse=True):
        if str(path.relative_to(board.root)) not in files and not path.is_dir():
            path.unlink()
    for name, content in files.items():
        if not (board.root / name).is_symlink():
            (board.root / name).write_text(content)


def test_the_first_user_is_the_one_that_raspberry_pi_os_would_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    me = pwd.getpwuid(os.getuid())
    monkeypatch.setattr(pwd, "getpwuid", lambda number: {1000: me}[number])
    assert vendor.first_user() == me.pw_name
