"""`boardllama`, on the target."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from . import places
from .release.follow import begin, follow
from .release.lease import LOCK, await_switch, take
from .release.releases import as_table, current, find, own, running, strays, table
from .release.releases import prune as remove_strays
from .release.switch import commit as commit_now
from .release.switch import keep, last_rate, tidy
from .release.switch import switch as run_switch
from .server import launch as server
from .server.config import ConfigError, configuration, first_key, url_of
from .server.health import State, Unhealthy, look, look_at, unit_facts


def arguments() -> argparse.ArgumentParser:
    """The command line."""
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
    asking = verb(health, "say whether the server is healthy; status 1 when not")
    asking.add_argument("--url", help="where to ask, instead of where config.json says")
    asking.add_argument("--json", action="store_true")
    verb(doctor, "look at the whole board; status 1 when something is wrong").add_argument(
        "--json", action="store_true"
    )
    verb(key, "show the API key")
    verb(check_config, "say what is wrong with a config.json").add_argument(
        "file", nargs="?", type=Path, default=places.CONFIG
    )
    verb(command, "print the command line that the service would run")
    # For the unit of the first boot, and for the deploy.
    verb(first_boot, None)
    verb(status, None)
    verb(prune, None)
    verb(begin_rollback, None).add_argument("to")
    for function in (switch, perform, commit):
        verb(function, None).add_argument("id")
    return parser


def releases(options: argparse.Namespace) -> None:
    """A table, or JSON."""
    rows = table()
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
        return 0 if follow(print) else 1


def begin_rollback(options: argparse.Namespace) -> None:
    """Begins it and returns; the verdict is in places.VERDICT."""
    now = current()
    release = find(options.to) if options.to else now.previous if now else None
    if release is None:
        raise LookupError("there is no release before this one: `boardllama releases` lists what is here")
    begin(release)


def health(options: argparse.Namespace) -> int:
    """One look."""
    seen = look(options.url or url_of(configuration()["server"]))
    print(seen.to_json() if options.json else f"{seen.state.value} {seen.detail}".strip())
    return 0 if options.json or seen.state is State.READY else 1


def doctor(options: argparse.Namespace) -> int:
    """One screen."""
    from .doctor.screen import doctor as look_at_all  # nothing else needs it

    return look_at_all(options.json)


def key(_options: argparse.Namespace) -> None:
    """Root and the service read the file, nobody else."""
    found = first_key()
    if found is None:
        raise LookupError(f"{places.API_KEY} holds none: the server asks for none")
    print(found)


def check_config(options: argparse.Namespace) -> None:
    """Raises ConfigError."""
    configuration(options.file)


def command(_options: argparse.Namespace) -> None:
    """As the service would be started now, to paste into a shell."""
    import shlex  # nothing else needs it

    print(shlex.join(server.command(configuration(), own())))


def first_boot(_options: argparse.Namespace) -> int:
    """Makes this board itself, before the network is up."""
    from .identity.first_boot import main  # nothing else needs it

    return main()


def status(_options: argparse.Namespace) -> None:
    """Asked of the release that a deploy has prepared, whose programs are the deploy's own."""
    release, now, unit = own(), current(), unit_facts()
    facts = {
        "current": now.id if now else None,
        "tried": places.TRIAL.exists(),
        "active": unit.get("ActiveState") == "active",
        "health": health_of(unit),
        "fresh": running() == release.id and server.is_fresh(),
        "waiting": server.is_waiting(release),
        "linked": all(path.is_symlink() and path.readlink() == to for path, to in release.public_names().items()),
        "tokens_per_second": last_rate(now) if now else None,
        "strays": [str(path) for path in strays(keep(release), spared=release)],
    }
    print(json.dumps(facts))


def health_of(unit: dict[str, str]) -> str | None:
    """One look at the server, as JSON; None without systemd, and where config.json does not say where to ask."""
    try:
        return look_at(unit, url_of(configuration()["server"])).to_json() if unit else None
    except (ConfigError, OSError):
        return None


def prune(_options: argparse.Namespace) -> None:
    """What went."""
    for path in remove_strays(keep(own())):
        print(f"removed {path}")


def switch(options: argparse.Namespace) -> None:
    """Begins it and returns; the verdict is in places.VERDICT."""
    begin(find(options.id))


def perform(options: argparse.Namespace) -> int:
    """The switch itself, in a unit of its own."""
    return 0 if run_switch(find(options.id)).is_good else 1


def commit(options: argparse.Namespace) -> None:
    """For a root tree in which nothing runs."""
    release = find(options.id)
    commit_now(release)
    tidy(release)


def main() -> int:
    """Runs one verb. Returns the exit status."""
    options = arguments().parse_args()
    try:
        return options.function(options) or 0
    except ConfigError as error:
        print(f"ollama-cpp-server: {error}", file=sys.stderr)
        return server.EX_CONFIG
    except (OSError, LookupError, Unhealthy) as error:
        print(f"boardllama: {error}", file=sys.stderr)
        return 1
