"""`pyinfra -y INVENTORY deploy.tune.story.tune_boards inventory=INVENTORY [stop_serving=True]`"""

from functools import partial
from pathlib import Path

from pyinfra import host
from pyinfra import inventory as hosts
from pyinfra.api import operation
from pyinfra.api.host import Host

from deploy.build.artifact import Build
from deploy.errors import BoardllamaError
from deploy.hosts.lock import TargetStep
from deploy.hosts.remote import Commands, HostStep, Remote, refuse
from deploy.hosts.run_record import record_of
from deploy.hosts.target import build_for, settings_of, why_refused
from deploy.paths import typed
from deploy.settings import Settings
from deploy.tune.group_data import literal, write_group_data
from deploy.tune.outcome import SweepOutcome, common_settings, require_figures
from deploy.tune.remote_sweep import sweep_host
from deploy.tune.table import outcome_lines

TUNED = "boardllama_tuned"
# Groups that say what a host is there for, not what it is.
PURPOSES = ("targets", "builders", "all")


def tune_boards(inventory: str, stop_serving: bool = False) -> None:
    """Measures every target, then writes what is fastest into the group data of each kind of board."""
    if "targets" not in host.groups:
        return
    settings = settings_of(host)
    build = build_for(host, settings)
    tune_target(name="Find what is fastest", settings=settings, build=build, stop_serving=stop_serving)
    keep_outcome(name="Write the group data", folder=str(Path(inventory).absolute().parent / "group_data"))
    record_of(host).prepared = True


@operation()
def tune_target(settings: Settings, build: Build | None, stop_serving: bool) -> Commands:
    """Measures on the target. It is locked as for a deploy."""
    if build is None:
        yield refuse(why_refused(host, settings) or "no build fits this board")
        return
    yield TargetStep(partial(tune_one, settings=settings, build=build, stop_serving=stop_serving))


def tune_one(remote: Remote, settings: Settings, build: Build, stop_serving: bool) -> None:
    """Keeps the outcome, and prints its table. Raises BoardllamaError."""
    outcome = sweep_host(remote, settings, build, stop_serving)
    print("\n".join([*outcome_lines(remote.host.name, outcome), ""]), flush=True)
    require_figures(outcome)
    remote.host.connector_data[TUNED] = outcome


@operation()
def keep_outcome(folder: str) -> Commands:
    """Writes the file of the host's kind: the first host of the kind that was tuned does it for all of them."""
    yield HostStep(partial(write_kind, folder=Path(folder)))


def write_kind(remote: Remote, folder: Path) -> None:
    """Writes the settings on which all tuned boards of the kind agree, or prints them to be pasted."""
    kind = kind_of(remote.host, folder)
    alike = [one for one in hosts.get_active_hosts() if TUNED in one.connector_data and kind_of(one, folder) == kind]
    if kind and alike[0] != remote.host:
        return
    outcomes: list[SweepOutcome] = [one.connector_data[TUNED] for one in (alike if kind else [remote.host])]
    values, differing = common_settings(outcomes)
    if differing:
        remote.say(
            f"the boards of {kind} differ in {', '.join(differing)}: not written; the tables say what suits which"
        )
    lines = "\n".join(f"{name} = {literal(value)}" for name, value in values.items())
    if not kind:
        print(f"{remote.host.name} is in no group of its kind; its data, or a group's, may have:\n{lines}", flush=True)
        return
    path = folder / f"{kind}.py"
    try:
        changed = write_group_data(path, values, f"{outcomes[0].board}: what {typed('tune')} found.")
    except BoardllamaError as error:
        print(f"{path}: {error}:\n{lines}", flush=True)
        return
    print(
        f"{path} {'now has' if changed else 'has already'}:\n{lines}\n{typed('deploy')} makes it a release.", flush=True
    )


def kind_of(one: Host, folder: Path) -> str:
    """The group that says what kind of board the host is, of several the one with a file; "" where none can be told."""
    kinds = [group for group in one.groups if group not in PURPOSES]
    with_file = [group for group in kinds if (folder / f"{group}.py").exists()]
    return next((found[0] for found in (kinds, with_file) if len(found) == 1), "")
