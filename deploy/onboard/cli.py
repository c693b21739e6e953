"""`boardllama`, on the target."""

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .channel.poll import run_poll
from .places import PLACES, Places
from .release.board_lock import board_lock
from .release.edits import carry_edits
from .release.figures import write_figures
from .release.follow import begin_switch, follow_switch
from .release.pruning import find_strays, prune_releases, releases_kept
from .release.public_names import has_its_names
from .release.release_table import aligned_lines, release_rows
from .release.releases import (
    Release,
    all_releases,
    current_release,
    find_release,
    own_release,
    running_release,
    services_of,
)
from .release.switch import commit_release, perform_switch, tidy_up
from .release.verdict import last_rate
from .server.config import ConfigError, first_key, load_config, url_of
from .server.extra_arguments import require_good_arguments
from .server.health import Health, State, Unhealthy, look_at_server, look_at_unit, unit_facts
from .server.launch import EX_CONFIG, ready_services, start_command
from .server.start_record import SERVER, is_fresh
from .service import Service


def board_arguments() -> argparse.ArgumentParser:
    """The parser of the command line. Of several services `--service` names the one that a verb is about."""
    removal = "`boardllama uninstall` removes all of it from this machine; `boardllama uninstall --help` says more."
    parser = argparse.ArgumentParser(prog="boardllama", description="The LLM server of this board.", epilog=removal)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add_verb(
        name: str, function: Callable[[argparse.Namespace], int | None], text: str | None = None
    ) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text) if text else verbs.add_parser(name)
        added.set_defaults(function=function)
        return added

    add_verb("releases", list_releases, "list the releases").add_argument("--json", action="store_true")
    going_back = add_verb("rollback", roll_back, "go back to the release before, or to the one named")
    going_back.add_argument("to", nargs="?", default="", metavar="ID")
    asking = about_service(add_verb("health", show_health, "say whether the server is healthy; status 1 when not"))
    asking.add_argument("--url", help="where to ask, instead of where config.json says")
    asking.add_argument("--json", action="store_true")
    looking = add_verb("doctor", run_doctor, "look at the whole board; status 1 when something is wrong")
    looking.add_argument("--json", action="store_true")
    about_service(add_verb("key", show_key, "show the API key"))
    checking = about_service(add_verb("check-config", check_config, "say what is wrong with a config.json"))
    checking.add_argument("file", nargs="?", type=Path)
    about_service(add_verb("command", show_command, "print the command line that the service would run"))
    add_verb("channel", lambda options: run_poll(options.places), "look at the channel for a release, now")
    add_verb("prune", remove_unneeded, "remove the releases, builds and models that nothing needs any more")
    # For units of systemd, and for the deploy.
    add_verb("first-boot", first_boot)
    add_verb("status", show_status)
    add_verb("figures", lambda options: write_figures(options.places))
    add_verb("begin-rollback", begin_rollback).add_argument("to")
    switching = add_verb("switch", start_switch)
    switching.add_argument("id")
    switching.add_argument("--keep-edits", action="store_true")
    add_verb("perform", run_switch).add_argument("id")
    add_verb("commit", commit_prepared).add_argument("id")
    return parser


def about_service(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser, which takes `--service` too."""
    parser.add_argument("--service", metavar="UNIT", help="which of them, where this board has several")
    return parser


def service_of(options: argparse.Namespace, release: Release | None = None) -> Service:
    """The service of a release that a verb is about, else the first; without a release that of the current one.

    Raises LookupError with the names of those that are here.
    """
    services = services_of(release or current_release(options.places))
    found = [service for service in services if options.service in (None, service.name, service.unit)]
    if not found:
        there = ", ".join(service.name for service in services)
        raise LookupError(f"{options.service} is no service of this board: there are {there}")
    return found[0]


def list_releases(options: argparse.Namespace) -> None:
    """Prints a line for each release, or JSON."""
    rows = release_rows(options.places)
    if options.json:
        print(json.dumps(rows))
        return
    print("\n".join(aligned_lines(rows)) if rows else "no release yet")


def roll_back(options: argparse.Namespace) -> int:
    """Switches to another release as a deploy would, under the same lock. Returns the exit status.

    Raises LookupError while a deploy is at work, or without that release.
    """
    with board_lock("boardllama rollback"):
        begin_rollback(options)
        return 0 if follow_switch(options.places, print) else 1


def begin_rollback(options: argparse.Namespace) -> None:
    """Begins a switch to the release named, or to the one before, and returns. The verdict is in places.verdict."""
    now = current_release(options.places)
    release = find_release(options.to, options.places) if options.to else now.previous if now else None
    if release is None:
        raise LookupError("there is no release before this one: `boardllama releases` lists what is here")
    begin_switch(release)


def show_health(options: argparse.Namespace) -> int:
    """Prints the health of the service named; else of the first service that is not READY, or of the first."""
    services = [service_of(options)] if options.service or options.url else services_of(current_release(options.places))
    looks = [look_at_server(service, options.url or url_of(load_config(service)["server"])) for service in services]
    seen = worst_of(looks)
    print(seen.to_json() if options.json else f"{seen.state.value} {seen.detail}".strip())
    return 0 if options.json or seen.state is State.READY else 1


def run_doctor(options: argparse.Namespace) -> int:
    from .doctor.screen import print_diagnosis  # nothing else needs it

    return print_diagnosis(options.json)


def show_key(options: argparse.Namespace) -> None:
    """Prints the API key. Root and the service may read its file. Raises LookupError when there is none."""
    file = service_of(options).api_key
    found = first_key(file)
    if found is None:
        raise LookupError(f"{file} holds none: the server asks for none")
    print(found)


def check_config(options: argparse.Namespace) -> None:
    """Raises ConfigError with every problem of the file, or of the service's own config."""
    release = own_release(options.places)
    require_good_arguments(load_config(service_of(options), options.file), str(release.folder / SERVER))


def show_command(options: argparse.Namespace) -> None:
    """Prints the command line of a start of the service now, quoted for a shell."""
    import shlex  # nothing else needs it

    release = own_release(options.places)
    service = service_of(options, release)
    print(shlex.join(start_command(load_config(service), release, service)[1]))


def first_boot(_options: argparse.Namespace) -> int:
    """Makes this board itself, before the network is up."""
    from .identity.first_boot import run_first_boot  # nothing else needs it

    return run_first_boot()


def show_status(options: argparse.Namespace) -> None:
    """Prints what a deploy asks (deploy/hosts/facts/target.py, StatusInfo), as JSON.

    A deploy asks the release that it has prepared, whose programs are of the deploy's own version.
    """
    release, now, places = own_release(options.places), current_release(options.places), options.places
    units = {service: unit_facts(service) for service in ready_services(release)}
    facts = {
        "current": now.id if now else None,
        "tried": any(one.is_tried for one in all_releases(places)),
        "active": all(unit.get("ActiveState") == "active" for unit in units.values()),
        "health": health_told(units),
        "fresh": all(running_release(service) == release.id and is_fresh(service) for service in units),
        "waiting": not units,
        "linked": has_its_names(release),
        "tokens_per_second": last_rate(now) if now else None,
        "strays": [str(path) for path in find_strays(places, releases_kept(release), spared=release)],
    }
    print(json.dumps(facts))


def worst_of(looks: list[Health]) -> Health:
    """The first health that is not READY, else the first."""
    return next((health for health in looks if health.state is not State.READY), looks[0])


def health_told(units: dict[Service, dict[str, str]]) -> str | None:
    """The worst health as JSON; None without a service, and when the health of a service is unknown."""
    looks = [look for service, unit in units.items() if (look := health_of(service, unit))]
    return worst_of(looks).to_json() if units and len(looks) == len(units) else None


def health_of(service: Service, unit: dict[str, str]) -> Health | None:
    """The health of a server; None without systemd, and where the config does not say at which address to ask."""
    try:
        return look_at_unit(service, unit, url_of(load_config(service)["server"])) if unit else None
    except (ConfigError, OSError):
        return None


def remove_unneeded(options: argparse.Namespace) -> None:
    """Prunes releases and stores, and prints what was removed."""
    for path in prune_releases(options.places, releases_kept(own_release(options.places))):
        print(f"removed {path}")


def start_switch(options: argparse.Namespace) -> None:
    """Begins the switch to a release and returns. The verdict is in places.verdict."""
    release = find_release(options.id, options.places)
    if options.keep_edits:
        carry_edits(release)
    begin_switch(release)


def run_switch(options: argparse.Namespace) -> int:
    """Switches to a release; systemd runs this in a unit of its own. Returns the exit status."""
    outcome = perform_switch(find_release(options.id, options.places))
    with suppress(OSError):  # of a full disk, say: the verdict has been given
        write_figures(options.places)
    return 0 if outcome.is_good else 1


def commit_prepared(options: argparse.Namespace) -> None:
    """Commits a release without a trial: in a root tree nothing runs."""
    release = find_release(options.id, options.places)
    commit_release(release)
    tidy_up(release)


def main(words: list[str] | None = None, places: Places = PLACES) -> int:
    """Runs one verb, that of the command line unless `words` are given. Returns the exit status."""
    options = board_arguments().parse_args(words, argparse.Namespace(places=places, service=None))
    try:
        return options.function(options) or 0
    except ConfigError as error:
        print(f"{service_of(options).name}: {error}", file=sys.stderr)
        return EX_CONFIG
    except (OSError, LookupError, Unhealthy) as error:
        print(f"boardllama: {error}", file=sys.stderr)
        return 1
