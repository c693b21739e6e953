"""What is different on a vendor's system: its users, host keys and first boot stay its own.

The account `board` is made when boardllama.txt names a key for it. A first boot that waits for a person at the console
is told to go on, as the vendor documents it, when that key lets somebody in: else the console may be the only way in.
"""

import pwd
import secrets
import string

from ..commands import run_command
from ..files import sync, write_file
from ..places import Places
from .boardllama_txt import Identity
from .partition import mounted_fats
from .steps import Step

ACCOUNT = "board"
# As sysusers.d(5) of our own images has it.
ACCOUNT_LINE = f'u {ACCOUNT} - "Technician" /home/{ACCOUNT} /bin/bash'
SUDOERS = f"# Who holds a key of this account is the board's administrator.\n{ACCOUNT} ALL=(ALL:ALL) NOPASSWD: ALL\n"
SSH_WANTED_BY = ("multi-user.target.wants/ssh.service", "sockets.target.wants/ssh.socket")
CRYPT_SIGNS = f"./{string.digits}{string.ascii_letters}"


def is_vendor_system(places: Places) -> bool:
    return not places.account.exists()


def set_account(identity: Identity, _whole: bool, places: Places) -> None:
    """Makes the account, where there is a key for it. Nobody knows a password of it, and sudo asks for none."""
    if not identity.ssh_keys:
        return
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        run_command("systemd-sysusers", "--inline", ACCOUNT_LINE)
        run_command("install", "-d", "-m", "0750", "-o", ACCOUNT, "-g", ACCOUNT, f"/home/{ACCOUNT}")
    write_file(places.sudoers, SUDOERS.encode(), 0o440)


def open_ssh(identity: Identity, _whole: bool, places: Places) -> None:
    """Switches SSH on, which Raspberry Pi OS starts without, where there is a key to enter by."""
    if identity.ssh_keys and not any((places.enabled / name).is_symlink() for name in SSH_WANTED_BY):
        run_command("systemctl", "enable", "--now", "--no-block", "ssh.service")


def keep_host_name(identity: Identity, _whole: bool, places: Places) -> None:
    """Has cloud-init leave the name alone that boardllama.txt chose."""
    if places.cloud_init.is_dir() and identity.hostname:
        write_file(places.cloud_init / "99-boardllama.cfg", b"preserve_hostname: true\n")


def answer_userconfig(identity: Identity, _whole: bool, places: Places) -> None:
    """Answers Raspberry Pi OS's question for an account: its first user, with a password that nobody has.

    https://www.raspberrypi.com/documentation/computers/configuration.html has `name:encrypted password` in a file
    userconf.txt on the FAT.
    """
    fats = mounted_fats(places)
    if not identity.ssh_keys or not places.userconfig.is_symlink() or not fats:
        return
    answers = [fats[0] / name for name in ("userconf.txt", "userconf")]
    if not any(file.exists() and file.stat().st_size for file in answers):
        answers[0].write_text(f"{first_user()}:{unknown_password()}\n")
        sync(answers[0])
        sync(fats[0])


def first_user() -> str:
    """The name of the user whom Raspberry Pi OS would give another name. Raises KeyError without this user."""
    return pwd.getpwuid(1000).pw_name


def unknown_password() -> str:
    """The hash of a password, as crypt(5) has SHA-512's. Whoever wants in by password must set another one."""
    salt, digest = ("".join(secrets.choice(CRYPT_SIGNS) for _ in range(size)) for size in (16, 86))
    return f"$6${salt}${digest}"


def preset_first_login(identity: Identity, _whole: bool, places: Places) -> None:
    """Answers what Armbian asks root at the first login about network and time zone: boardllama.txt has said so.

    https://docs.armbian.com/User-Guide_Autoconfig. The passwords are for the person to say.
    """
    file = places.armbian_presets
    if not identity.entries or not file.exists():
        return
    there = file.read_text()
    told = {"PRESET_NET_CHANGE_DEFAULTS": "0", "PRESET_CONNECT_WIRELESS": "n"}
    told |= {"SET_LANG_BASED_ON_LOCATION": "n", "PRESET_TIMEZONE": identity.timezone} if identity.timezone else {}
    lines = [f'{name}="{value}"\n' for name, value in told.items() if f"{name}=" not in there]
    if lines:
        begin = f"{there}\n" if there and not there.endswith("\n") else there
        write_file(file, f"{begin}{''.join(lines)}".encode(), 0o600)


VENDOR_STEPS: tuple[tuple[str, Step], ...] = (
    ("the account", set_account),
    ("SSH", open_ssh),
    ("the host name of cloud-init", keep_host_name),
    ("the vendor's question for an account", answer_userconfig),
    ("the vendor's questions at the first login", preset_first_login),
)
