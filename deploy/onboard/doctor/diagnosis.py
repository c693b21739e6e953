"""What is good and what is not about a board, from facts alone; each bad line with the next thing to do. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..server.health import State
from .facts import Facts, ServiceFacts
from .hardware_checks import check_boot_source, check_eeprom, check_fan, check_nvme, check_usb_power
from .lights import Finding, Line, bad, good, in_megabytes, unknown
from .surroundings import (
    check_address,
    check_clock,
    check_disks,
    check_heat,
    check_link,
    check_name_servers,
    check_power,
    check_router,
)

Check = Callable[[Facts], Finding | None]


@dataclass(frozen=True)
class ServiceCheck:
    """A check of each service by itself. `judge` is given the service's facts and, for what it shares, the board's."""

    judge: Callable[[Facts, ServiceFacts], Finding]


NO_LIMIT = {"", "infinity"}
# For a kernel on which MemoryMax= does nothing. Raspberry Pi OS comes so: that is no fault.
UNLIMITED = "no limit holds: this kernel runs without the memory cgroup (cgroup_enable=memory in cmdline.txt)"


def diagnose(facts: Facts) -> tuple[Line, ...]:
    """A line for each check of the board and of each service, in the order in which a technician looks.

    A check that returns None is about a part that this board does not have.
    """
    return tuple(line for name, check in CHECKS.items() for line in check_lines(name, check, facts))


def check_lines(name: str, check: "Check | ServiceCheck", facts: Facts) -> Iterator[Line]:
    """The line of a check of the board, or a line for each of its services; of several, the line names the service."""
    if not isinstance(check, ServiceCheck):
        if finding := check(facts):
            yield Line(name, *finding)
        return
    for service in facts.services:
        called = name if len(facts.services) == 1 else f"{name} of {service.name}"
        yield Line(called, *check.judge(facts, service))


def check_memory(facts: Facts, service: ServiceFacts) -> Finding:
    """Whether the board and the unit's MemoryMax have room for the model, which takes at least its file's size."""
    if facts.memory_total is None or facts.memory_available is None:
        return unknown()
    unit = service.unit or {}
    free = f"{in_megabytes(facts.memory_available)} free of {in_megabytes(facts.memory_total)}"
    limit, has = facts.memory_total, f"{free}; {UNLIMITED}"
    if facts.memory_limits is not False:
        limit = facts.memory_total if unit.get("MemoryMax", "") in NO_LIMIT else int(unit["MemoryMax"])
        has = f"{free}, the service may have {in_megabytes(limit)}"
    smaller = "choose a smaller model or quantization, and deploy again"
    if service.out_of_memory or unit.get("Result") == "oom-kill":
        return bad(f"the service was ended for want of memory; {has}", f"{smaller}; or a smaller context_size")
    if service.model_size and service.model_size > limit:
        return bad(f"{service.model} alone has {in_megabytes(service.model_size)}; {has}", smaller)
    idle = unit.get("ActiveState") != "active"
    if idle and service.model_size and service.model_size > facts.memory_available:
        return bad(
            f"{service.model} has {in_megabytes(service.model_size)}; {has}",
            "something else takes the memory: `ps aux --sort=-rss | head`",
        )
    if service.out_of_memory is None and unit.get("Result") == "signal" and unit.get("ExecMainStatus") == "9":
        return unknown(
            f"{has}; the service was killed: `sudo journalctl -k | grep -i 'killed process'` says whether for it"
        )
    text = f"{has}; the model has {in_megabytes(service.model_size)}" if service.model_size else has
    return good(text) if facts.memory_limits is not False else unknown(text)


def check_serving(facts: Facts, service: ServiceFacts) -> Finding:
    """Whether the service answers; if not, what ended it and what to do."""
    if service.unit is None:
        silent = bad("systemd does not answer", "start the board again; if it stays so, flash a new card")
        return silent if facts.systemd else unknown()
    if service.unit.get("LoadState") == "not-found":
        return bad("is not installed", "deploy to this board, or flash an image")
    if service.config_error:
        return bad(
            service.config_error,
            f"mend it (`boardllama check-config` says when it is right), then `systemctl restart {service.name}`",
        )
    if service.health is None:
        return unknown(f"{service.unit.get('ActiveState')}; more is known as root")
    if service.health.state is State.READY:
        return good("; ".join(["answers", f"serves {service.model or 'a model'}", *what_is_served(service)]))
    if service.health.state is State.WAITING:
        return bad(service.health.detail, "plug the disk in and mount it: the service starts by itself then")
    if service.health.state is State.CROWDED:
        return bad(
            f"{service.health.detail}; it serves those",
            "end those clients, or let fewer in: server_clients of the inventory, an API key does not help",
        )
    if service.health.state in (State.LOADING, State.STARTING):
        return unknown(f"{service.health.state.value}: look again in a minute")
    if service.health.state is State.WRONG:
        restart = f"`systemctl restart {service.name}`"
        return bad(service.health.detail, f"{restart}; when that does not help `boardllama rollback`")
    if service.unit.get("ActiveState") == "inactive" and service.unit.get("Result") == "success":
        return stopped_service(service)
    if service.out_of_memory:
        return bad(f"{unit_end(service.unit)}: the kernel ended it for want of memory", "see the line about memory")
    return bad(
        f"{unit_end(service.unit)}: {' / '.join(service.words)}" if service.words else unit_end(service.unit),
        f"`journalctl -u {service.name} -n 50`; then `systemctl restart {service.name}`, or `boardllama rollback`",
    )


def what_is_served(service: ServiceFacts) -> Iterator[str]:
    """What the model can, and what its server was told beside the settings."""
    if service.abilities:
        yield f"can: {', '.join(service.abilities)}"
    if service.extra_arguments:
        yield f"extra arguments: {' '.join(service.extra_arguments)}"


def unit_end(unit: dict[str, str]) -> str:
    """How the unit ended, in systemd's words for its state, result and status."""
    return f"is {unit.get('ActiveState')} ({unit.get('Result')}, status {unit.get('ExecMainStatus')})"


def stopped_service(service: ServiceFacts) -> Finding:
    """For a unit that ended well: someone stopped it, or it had no model to start with."""
    start = f"`systemctl start {service.name}`"
    if service.model is None:
        return bad("is stopped, and has no model", f"put a .gguf file into {service.models}, then {start}")
    return bad("is stopped", start)


def check_releases(facts: Facts) -> Finding:
    """Which release serves; red when none is committed, or when another was rejected or stays on trial."""
    if not facts.releases:
        return bad("there is none", "deploy to this board, or flash an image")
    (name, state), *others = facts.releases
    if facts.switching:
        return unknown(f"{name}; another one is being judged: look again in a minute")
    if state != "current":
        return bad("none is committed", "deploy again: the last one was not good, or was interrupted")
    for other, what in others:
        if what.startswith("rejected"):
            return bad(f"{name} serves; {other} was {what}", "deploy again when that is mended")
        if what == "trial":
            return bad(f"{other} is on trial, and nobody judges it", f"restart the board: it comes back as {name}")
    return good(f"{name}, and {len(others)} to go back to")


def check_ssh(facts: Facts) -> Finding:
    """Whether the SSH server listens."""
    if facts.ssh is None:
        return unknown()
    return (
        good("listens")
        if facts.ssh
        else bad("nothing listens on its port", "`systemctl status ssh`; a missing host key is made at the next start")
    )


def check_identity(facts: Facts) -> Finding:
    """What was wrong with boardllama.txt when it was applied last."""
    if facts.identity is None:
        return unknown("no boardllama.txt was applied here")
    if not facts.identity:
        return good("boardllama.txt is applied")
    more = f" (and {len(facts.identity) - 1} more)" if len(facts.identity) > 1 else ""
    return bad(
        f"boardllama.txt, {facts.identity[0]}{more}", "mend it on the card in any computer, then start the board again"
    )


def check_units(facts: Facts) -> Finding:
    """Whether systemd has a unit that failed, other than the services: those have a line of their own."""
    if facts.failed_units is None:
        return unknown()
    others = [unit for unit in facts.failed_units if unit not in {service.name for service in facts.services}]
    if others:
        return bad(f"failed: {', '.join(others)}", f"`systemctl status {others[0]}`")
    return good("no other has failed" if facts.failed_units else "none has failed")


CHECKS: dict[str, Check | ServiceCheck] = {
    "link": check_link,
    "address": check_address,
    "router": check_router,
    "names": check_name_servers,
    "clock": check_clock,
    "power": check_power,
    "usb power": check_usb_power,
    "heat": check_heat,
    "fan": check_fan,
    "eeprom": check_eeprom,
    "boot": check_boot_source,
    "nvme": check_nvme,
    "space": check_disks,
    "memory": ServiceCheck(check_memory),
    "service": ServiceCheck(check_serving),
    "release": check_releases,
    "ssh": check_ssh,
    "card": check_identity,
    "units": check_units,
}
