"""The gate: a release is good when its servers start, are healthy, and answer what their roles say (questions.py)."""

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from ..server.config import first_key, load_config, url_of
from ..server.health import State, Unhealthy, awaited_disk, look_at_server, unit_facts, why_down
from ..server.launch import ready_services
from ..service import CHAT, SERVICES, Service
from .questions import ask_by_role
from .releases import DamagedManifest, Release, running_release

Say = Callable[[str], None]


class ServiceUnhealthy(Unhealthy):
    """One service of a release with several did not pass; `service` is the one."""

    def __init__(self, service: Service, reason: str) -> None:
        super().__init__(reason)
        self.service = service


def restart_service(service: Service, say: Say) -> None:
    """Returns when systemd has seen the server ready; the unit's TimeoutStartSec is the deadline. Raises Unhealthy."""
    subprocess.run(["systemctl", "reset-failed", service.unit], capture_output=True, check=False)
    began = told = time.monotonic()
    starting = subprocess.Popen(
        ["systemctl", "restart", service.unit], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while starting.poll() is None:
        time.sleep(0.05)
        if time.monotonic() - told > 5:
            told = time.monotonic()
            say(f"starting the server, {told - began:.0f} s so far")
    _, said = starting.communicate()
    if starting.returncode:
        # systemctl says itself why systemd did not even try, as with a masked unit.
        refused = said.strip().splitlines()[0] if said.startswith("Failed to") else ""
        raise Unhealthy(f"the server did not start: {refused or why_down(service, unit_facts(service))}")


def judge_release(release: Release, say: Say) -> float | None:
    """Restarts the servers of a release and judges each by its answer. Returns tokens per second of the slowest chat
    model; without one, of the slowest of the others.

    Raises Unhealthy with the reason of the first that does not pass.
    """
    run_systemctl("daemon-reload")
    services = services_to_judge(release)
    if len(services) == 1:
        return judge_service(release, services[0], say)
    for service in services:  # a port may go from one to the other
        with suppress(Unhealthy):
            run_systemctl("stop", service.unit)
    rates = {service: judge_beside_others(release, service, say) for service in services}
    answered = {service: rate for service, rate in rates.items() if rate is not None}
    return min([rate for service, rate in answered.items() if service.role == CHAT] or answered.values(), default=None)


def services_to_judge(release: Release) -> Sequence[Service]:
    """Those that have a model. Of a release with a damaged manifest what any target serves: it is to run again."""
    try:
        return ready_services(release)
    except DamagedManifest:
        return SERVICES


def judge_beside_others(release: Release, service: Service, say: Say) -> float | None:
    """As `judge_service`, with the service's name before each line and each reason. Raises ServiceUnhealthy."""
    try:
        return judge_service(release, service, lambda line: say(f"{service.name}: {line}"))
    except Unhealthy as error:
        raise ServiceUnhealthy(service, f"{service.name}: {error}") from error


def judge_service(release: Release, service: Service, say: Say) -> float | None:
    """Restarts a server and asks it what its role says. Returns tokens per second; None without a model.

    Raises Unhealthy with the reason, DamagedManifest when the server runs again but nothing says what it must reach.
    """
    restart_service(service, say)
    if reason := awaited_disk(service):
        raise Unhealthy(f"the server is {reason}")
    if (found := running_release(service)) != release.id:
        raise Unhealthy(
            f"systemd started release {found} and not {release.id}: another unit or a drop-in stands in its place, "
            f"`systemctl cat {service.unit}` shows it"
        )
    url = url_of(load_config(service, release.config(service))["server"])
    health = look_at_server(service, url)
    if health.state is not State.READY:
        raise Unhealthy(f"the server is {health.state.value}: {health.detail}")
    floor = float(release.stated("policy", "min_tokens_per_second"))
    rate = ask_by_role(service.role, url, floor, first_key(service.api_key))
    say(f"it answers, {rate:.1f} tokens/s" if rate else "it answers")
    return rate


def run_systemctl(*words: str) -> None:
    """Runs systemctl. Raises Unhealthy with its words when it fails."""
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unhealthy(f"systemctl {' '.join(words)}: {done.stderr.strip()}")
