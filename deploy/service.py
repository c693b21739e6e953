"""The service: its account, folders, launcher, config and unit; then started from exactly these files."""

import hashlib
import shlex
from functools import partial

from pydantic import SecretStr
from pyinfra import host
from pyinfra.api import operation
from pyinfra.facts.files import Sha256File
from pyinfra.operations import apt

from deploy import launch
from deploy.facts import UNIT, Service
from deploy.operations import TextFile, text_files
from deploy.paths import REPO
from deploy.remote import Commands, HostStep, Remote
from deploy.settings import GENERATE, Settings
from deploy.stage import stage
from deploy.target import board_of
from deploy.templates import render

ACCOUNT = "ollama"
LAUNCHER = "/usr/lib/boardllama/launch"
STATE_DIR = "/var/lib/ollama"
SYSUSERS = "/usr/lib/sysusers.d/boardllama.conf"
TMPFILES = "/usr/lib/tmpfiles.d/boardllama.conf"


@stage("Configure")
def configure(settings: Settings) -> None:
    """Account, folders, launcher, config and unit."""
    need_packages(name="Have the packages that the service needs", lacking=board_of(host).lacks)
    text_files(name="Make the account and folders", files=system_files(settings), conflict=settings.config_conflict)
    if settings.api_key:
        api_key(name="Write the API key", key=settings.api_key)
    text_files(
        name="Write the launcher, config and unit", files=service_files(settings), conflict=settings.config_conflict
    )


def system_files(settings: Settings) -> tuple[TextFile, ...]:
    """The account and the folders, declared to systemd, which makes them now and whenever they are missing."""
    account = render("sysusers.conf", account=ACCOUNT, state_dir=STATE_DIR)
    config_dir = launch.CONFIG.parent
    folders = render("tmpfiles.conf", config_dir=config_dir, state_dir=STATE_DIR, models_dir=settings.models_dir)
    return (
        TextFile(SYSUSERS, account, before="systemd-sysusers"),
        TextFile(TMPFILES, folders, before="systemd-tmpfiles --create"),
    )


def service_files(settings: Settings) -> tuple[TextFile, ...]:
    """What the service is made of, beside the binaries and the model."""
    unit = render(UNIT, launcher=LAUNCHER, llama_commit=settings.llama_commit)
    return (
        TextFile(LAUNCHER, (REPO / "deploy" / "launch.py").read_text(), mode="755"),
        TextFile(str(launch.CONFIG), settings.config_json, before=f"{LAUNCHER} --check"),
        TextFile(f"/usr/lib/systemd/system/{UNIT}", unit),
    )


@operation()
def need_packages(lacking: tuple[str, ...]) -> Commands:
    """The launcher needs python3, the health gate curl: a Debian package of the same name each."""
    if lacking:
        yield from apt.packages._inner(packages=list(lacking), update=True, cache_time=3600)


@operation()
def api_key(key: SecretStr) -> Commands:
    """Puts the key where the service account alone reads it. It travels as standard input, never in a command line."""
    secret = key.get_secret_value()
    digest = hashlib.sha256(f"{secret}\n".encode()).hexdigest()
    there = host.get_fact(Sha256File, path=str(launch.API_KEY))
    if not there or (secret != GENERATE and there != digest):
        yield HostStep(partial(write_key, secret=secret))


def write_key(remote: Remote, secret: str) -> None:
    """Writes the given key, or makes one on the device when the word is `generate`."""
    path = shlex.quote(str(launch.API_KEY))
    finish = f"chown root:{ACCOUNT} {path}.new; chmod 640 {path}.new; sync {path}.new; mv -T {path}.new {path}"
    if secret == GENERATE:
        remote.run(f"set -e; umask 077; head -c 24 /dev/urandom | base64 > {path}.new; {finish}")
    else:
        remote.feed([f"{secret}\n".encode()], f"set -e; umask 077; cat > {path}.new; {finish}")


@stage("Activate")
def activate(settings: Settings) -> None:
    """Starts the server from exactly the files that are installed, and has it start at every boot."""
    if board_of(host).systemd:
        start(name="Run the server from what is installed", settings=settings)


@operation()
def start(settings: Settings) -> Commands:
    """Restarts when what runs is not what is installed; so a deploy that was cut before its restart is completed."""
    service = host.get_fact(Service, models_dir=settings.models_dir)
    if not service.enabled:
        yield f"systemctl enable {UNIT}"
    if settings.model is None and not service.has_model:
        host.noop(f"no model in {settings.models_dir} yet")
    elif not (service.active and service.fresh):
        # The old server goes on when the new configuration, which may hold an operator's edit, cannot be used.
        yield f"{LAUNCHER} --check {launch.CONFIG}"
        yield f"systemctl daemon-reload; systemctl reset-failed {UNIT} 2>/dev/null; systemctl restart {UNIT}"
