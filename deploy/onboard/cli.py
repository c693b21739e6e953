"""`boardllama`, on the target."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from .places import PLACES, Places
from .release.follow import begin, follow
from .release.lease import LOCK, await_switch, take
from .release.pruning import keep, strays
from .release.pruning import prune as remove_strays
from .release.releases import as_table, current, everyone, find, own_release, running, services_of, table
from .release.switch import commit as commit_now
from .release.switch import last_rate, tidy
from .release.switch import switch as run_switch
from .server import launch as server
from .server.config import ConfigError, configuration, first_key, url_of
from .server.health import Health, State, Unhealthy, look, look_at, unit_facts
from .service import Service


def arguments() -> argparse.ArgumentParser:
    """The command line. Of several services `--service` names the one that a verb is about."""
    parser = argparse.ArgumentParser(prog="boardllama", description="The LLM server of this board.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(function: Callable[[argparse.Namespace], int | None], text: str | None) -> argparse.ArgumentParser:
        name = function.__name__.replace("_", "-")
        added = verbs.add_parser(name, help=text) if text else verbs.add_parser(name)
        added.set_defaults(function=function)
        return added

    verb(releases, "list the releases").add_argument("--json", action="store_true")
    going_back = verb(rollback, "go back to the release before, or to the one named")
    going_back.add_argument("to", nargs="?", default="", metavar="ID")
    asking = about_service(verb(health, "say whether the server is healthy; status 1 when not"))
    asking.add_argument("--url", help="where to ask, instead of where config.json says")
    asking.add_argument("--json", action="store_true")
    verb(doctor, "look at the whole board; status 1 when something is wrong").add_argument(
        "--json", action="store_true"
    )
    about_service(verb(key, "show the API key"))
    checking = about_service(verb(check_config, "say what is wrong with a config.json"))
    checking.add_argument("file", nargs="?", type=Path)
    about_service(verb(command, "print the command line that the service would run"))
    # For the unit of the first boot, and for the deploy.
    verb(first_boot, None)
    verb(status, None)
    verb(prune, None)
    verb(begin_rollback, None).add_argument("to")
    for function in (switch, perform, commit):
        verb(function, None).add_argument("id")
    return parser


def about_service(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """A verb about one service."""
    parser.add_argument("--service", metavar="UNIT", help="which of them, where this board has several")
    return parser


def service_of(options: argparse.Namespace) -> Service:
    """The service that a verb is about, else the first. Raises LookupError with the names of those that are here."""
    services = services_of(current(options.places))
    wanted = getattr(options, "service", None)
    found = [service for service in services if wanted in (None, service.name, service.unit)]
    if not found:
        there = ", ".join(service.name for service in services)
        raise LookupError(f"{wanted} is no service of this board: there are {there}")
    return found[0]


def releases(options: argparse.Namespace) -> None:
    """A table, or JSON."""
    rows = table(options.places)
    if options.json:
        print(json.dumps(rows))
        return
    print("\n".join(as_table(rows)) if rows else "no release yet")


def rollback(options: argparse.Namespace) -> int:
    """By hand, on the board: as a deploy would, and under the same lock."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("a+") as lock:
        if (holder := take(lock)) is not None:
            raise LookupError(f"{holder} is at work here: wait for it")
        lock.truncate(0)
        print("boardllama rollback, on the board", file=lock, flush=True)
        await_switch()
        begin_rollback(options)
        return 0 if follow(options.places, print) else 1


def begin_rollback(options: argparse.Namespace) -> None:
    """Begins it and returns; the verdict is in places.verdict."""
    now = current(options.places)
    release = find(options.to, options.places) if options.to else now.previous if now else None
    if release is None:
        raise LookupError("there is no release before this one: `boardllama releases` lists what is here")
    begin(release)


def health(options: argparse.Namespace) -> int:
    """One look: at the service that is named, else at all, of which the first that is not well is told."""
    services = [service_of(options)] if options.service or options.url else services_of(current(options.places))
    looks = [look(service, options.url or url_of(configuration(service)["server"])) for service in services]
    seen = next((health for health in looks if health.state is not State.READY), looks[0])
    print(seen.to_json() if options.json else f"{seen.state.value} {seen.detail}".strip())
    return 0 if options.json or seen.state is State.READY else 1


def doctor(options: argparse.Namespace) -> int:
    """One screen."""
    from .doctor.screen import doctor as look_at_all  # nothing else needs it

    return look_at_all(options.json)


def key(options: argparse.Namespace) -> None:
    """Root and the service read the file, nobody else."""
    file = service_of(options).api_key
    found = first_key(file)
    if found is None:
        raise LookupError(f"{file} holds none: the server asks for none")
    print(found)


def check_config(options: argparse.Namespace) -> None:
    """Raises ConfigError."""
    configuration(service_of(options), options.file)


def command(options: argparse.Namespace) -> None:
    """As the service would be started now, to paste into a shell."""
    import shlex  # nothing else needs it

    release, service = own_release(options.places), service_of(options)
    print(shlex.join(server.command(configuration(service), release, service)))


def first_boot(_options: argparse.Namespace) -> int:
    """Makes this board itself, before the network is up."""
    from .identity.first_boot import main  # nothing else needs it

    return main()


def status(options: argparse.Namespace) -> None:
    """Asked of the release that a deploy has prepared, whose programs are the deploy's own."""
    release, now, places = own_release(options.places), current(options.places), options.places
    units = {service: unit_facts(service) for service in release.services}
    facts = {
        "current": now.id if now else None,
        "tried": any(one.is_tried for one in everyone(places)),
        "active": all(unit.get("ActiveState") == "active" for unit in units.values()),
        "health": worst_health(units),
        "fresh": all(running(service) == release.id and server.is_fresh(service) for service in units),
        "waiting": server.is_waiting(release),
        "linked": all(path.is_symlink() and path.readlink() == to for path, to in release.public_names().items()),
        "tokens_per_second": last_rate(now) if now else None,
        "strays": [str(path) for path in strays(places, keep(release), spared=release)],
    }
    print(json.dumps(facts))


def worst_health(units: dict[Service, dict[str, str]]) -> str | None:
    """As JSON, of the first server that is not well, else of the first; None where one of them is not known."""
    found = [health_of(service, unit) for service, unit in units.items()]
    known = [health for health in found if health]
    if len(known) < len(found):
        return None
    return next((health for health in known if health.state is not State.READY), known[0]).to_json()


def health_of(service: Service, unit: dict[str, str]) -> Health | None:
    """One look at a server; None without systemd, and where its config does not say where to ask."""
    try:
        return look_at(service, unit, url_of(configuration(service)["server"])) if unit else None
    except (ConfigError, OSError):
        return None


def prune(options: argparse.Namespace) -> None:
    """What went."""
    for path in remove_strays(options.places, keep(own_release(options.places))):
        print(f"removed {path}")


def switch(options: argparse.Namespace) -> None:
    """Begins it and returns; the verdict is in places.verdict."""
    begin(find(options.id, options.places))


def perform(options: argparse.Namespace) -> int:
    """The switch itself, in a unit of its own."""
    return 0 if run_switch(find(options.id, options.places)).is_good else 1


def commit(options: argparse.Namespace) -> None:
    """For a root tree in which nothing runs."""
    release = find(options.id, options.places)
    commit_now(release)
    tidy(release)


def main(words: list[str] | None = None, places: Places = PLACES) -> int:
    """Runs one verb, that of the command line unless `words` are given. Returns the exit status."""
    options = arguments().parse_args(words, argparse.Namespace(places=places))
    try:
        return options.function(options) or 0
    except ConfigError as error:
        print(f"{service_of(options).name}: {error}", file=sys.stderr)
        return server.EX_CONFIG
    except (OSError, LookupError, Unhealthy) as error:
        print(f"boardllama: {error}", file=sys.stderr)
        return 1
