"""The service: its account, folders and API key, and its next release, beside the release that runs."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pyinfra import host
from pyinfra.api import operation
from pyinfra.api.host import Host

from deploy.build.artifact import Build, require_artifact
from deploy.controller.templates import render_template
from deploy.cpu import Cpu
from deploy.errors import BoardllamaError
from deploy.hosts.lock import TargetStep
from deploy.hosts.release import Served, WantedRelease, release_time
from deploy.hosts.release_manifest import Policy
from deploy.hosts.remote import Commands, Remote, refuse
from deploy.hosts.run_record import record_of
from deploy.hosts.snapshot import editable_of, release_seen, snapshot_of
from deploy.hosts.stage_decorator import stage
from deploy.hosts.stored_model import StoredModel
from deploy.hosts.target import board_of
from deploy.hosts.text_files import TextFile, is_edited, report_edit, show_diff, text_files
from deploy.models.memory.fit import MEMORY_SHARE
from deploy.onboard.places import PLACES
from deploy.onboard.server.mounts import mount_unit
from deploy.onboard.service import FRONT, OLLAMA, OLLAMA_API, Service
from deploy.paths import typed
from deploy.setting_rules import TUNED
from deploy.settings import Settings, models_of
from deploy.stages.config_changes import say_changes
from deploy.stages.fitting import Fitted, fit_services
from deploy.stages.key import key_of_first_start, store_api_key
from deploy.stages.model import model_of, require_choice
from deploy.stages.server_input import check_arguments, prompts_of

# A start takes a small board these seconds, and the time to read the model from the slowest card that still has a speed
# class of the SD Association: Class 10 writes 10 MB/s at least.
START_SECONDS, SLOWEST_CARD = 60, 10_000_000
UNKNOWN_MODEL_SECONDS = 600
# What of the unit differs by what the service is. A connection of the front is one of a client, or one to a server.
SERVER_UNIT = {"description": "LLM server (llama.cpp llama-server)", "open_files": 64}
BROKER_UNIT: dict[str, dict[str, object]] = {
    FRONT: {"description": "Front of the LLM servers of this board", "open_files": 2100, "memory_max": "64M"},
    OLLAMA_API: {"description": "Ollama's API, spoken for the LLM servers of this board", "open_files": 256}
    | {"memory_max": "96M"},
}
PREPARED = "boardllama_prepared"


@stage("Configure")
def configure_service(settings: Settings, build: Build | None) -> None:
    """Makes account, folders, key and release on the target. What is served stays as it is."""
    text_files(name="Make the account and folders", files=system_files(settings), conflict=settings.config_conflict)
    if settings.min_tokens_per_second == TUNED and not settings.speed_floor:
        host.log(f"min_tokens_per_second is tuned, and this model never was: any speed passes until {typed('tune')}")
    if build:
        prepare_release(name="Prepare the release", settings=settings, build=build)
    if settings.api_key is None:
        return
    # All servers of a host ask for one key.
    if board_of(host).systemd:
        store_api_key(name="Write the API key", service=OLLAMA, key=settings.api_key)
    else:
        key_of_first_start(
            name="Have the first start make the API key",
            service=OLLAMA,
            key=settings.api_key,
            readers=settings.services,
        )


def system_files(settings: Settings) -> tuple[TextFile, ...]:
    """The account and the folders, declared to systemd, which makes them now and whenever they are missing."""
    accounts = {service.account: service.state for service in settings.services}
    folders = [path for service in settings.services for path in (service.config.parent, service.state, service.models)]
    return (
        TextFile(str(PLACES.sysusers), render_template("sysusers.conf", accounts=accounts), before="systemd-sysusers"),
        TextFile(
            str(PLACES.tmpfiles),
            render_template("tmpfiles.conf", folders=list(dict.fromkeys(folders))),
            before="systemd-tmpfiles --create",
        ),
    )


def wanted_files(
    settings: Settings, service: Service, model: StoredModel | None, memory_max: str = f"{MEMORY_SHARE}%"
) -> dict[Path, bytes]:
    """A server's editable files as this deploy renders them, by public name."""
    reading = model.size // SLOWEST_CARD if model else UNKNOWN_MODEL_SECONDS
    deadline = settings.health_deadline or START_SECONDS + reading
    unit = unit_text(settings, service, SERVER_UNIT | {"start_deadline": deadline, "memory_max": memory_max})
    return {service.config: settings.config_json(service).encode(), service.public_unit(PLACES): unit}


def broker_files(settings: Settings, service: Service) -> dict[Path, bytes]:
    """The editable files of a service without a model. It starts after the servers that it passes on to."""
    clients = " ".join(settings.allowed_clients if service.role == FRONT else ["localhost"])
    after = "".join(f" {one.unit}" for one in settings.services if one.role != FRONT and one != service)
    own = BROKER_UNIT[service.role] | {"clients": clients, "after": after, "start_deadline": START_SECONDS}
    unit = unit_text(settings, service, own)
    return {service.config: settings.broker_json(service).encode(), service.public_unit(PLACES): unit}


def unit_text(settings: Settings, service: Service, values: dict[str, object]) -> bytes:
    """The unit of a service, by the template of every service's unit."""
    common = {
        "release": PLACES.current,
        "service": service,
        "llama_commit": settings.llama_commit,
        "clients": " ".join(settings.allowed_clients),
        "mounts": " ".join(mount_units(service.models)),
        "after": "",
    }
    return render_template(OLLAMA.unit, **common | values).encode()


def mount_units(folder: Path) -> list[str]:
    """systemd's names of the mounts that may be on the way to a folder, the outermost first."""
    return [mount_unit(point) for point in (*reversed(folder.parents[:-1]), folder)]


def wanted_release(settings: Settings, build: Build) -> WantedRelease:
    """The release that these settings mean on this target, with the operator's edits there; reports what is kept.

    Raises BoardllamaError when the build failed or the model does not fit, OSError when the model is not on the
    controller.
    """
    require_choice(settings, board_of(host))
    artifact = require_artifact(build)
    for service, own in settings.hosted.items():
        check_arguments(own, service, build)
    return WantedRelease(
        build=build,
        artifact=artifact,
        served=tuple(all_served(settings, build.cpu)),
        pins=release_pins(settings),
        policy=Policy(min_tokens_per_second=settings.speed_floor, releases_kept=settings.releases_kept),
    )


def release_pins(settings: Settings) -> dict[str, Any]:
    """Where llama.cpp and the models come from, with licences; and how a model was chosen that no setting names."""
    models = models_of(settings).values()
    pins = [model.pin for model in models]
    licences = {model.name: f"{model.licence}, {model.page}".rstrip(", ") for model in models if model.licence}
    told = {"licences": licences, "model_choice": record_of(host).model_choice}
    model = pins if settings.models else next(iter(pins), None)
    sources = {"llama.cpp": settings.source.content_inputs(), "model": model}
    return sources | {name: value for name, value in told.items() if value}


def all_served(settings: Settings, cpu: Cpu) -> Iterator[Served]:
    """The services as these settings mean them. Raises as `wanted_release` does."""
    hosted = settings.hosted
    for service, fitted in fit_services(hosted, cpu, board_of(host)).items():
        yield served_by(hosted, service, fitted, cpu)
    for service in settings.brokers:
        wanted = broker_files(settings, service)
        yield Served(service, None, wanted, kept_edits(settings, service, wanted))


def served_by(hosted: dict[Service, Settings], service: Service, fitted: Fitted, cpu: Cpu) -> Served:
    """A server as its settings mean it."""
    own = hosted[service]
    model = model_of(own, service)
    wanted = wanted_files(fitted.settings, service, model, fitted.memory_max)
    kept = kept_edits(own, service, wanted)
    if service.config in kept:
        check_edited(own.with_edits(kept[service.config], service), service, cpu, hosted)
    else:
        say_changes(service, wanted[service.config])
        if fitted.said:
            host.log(fitted.said)
    return Served(service, model, wanted, kept, prompts_of(own, service))


def kept_edits(settings: Settings, service: Service, wanted: dict[Path, bytes]) -> dict[Path, bytes]:
    """The operator's edits of a service's files that win."""
    return operator_edits(service, wanted) if settings.config_conflict == "keep" else {}


def check_edited(edited: Settings | None, service: Service, cpu: Cpu, hosted: dict[Service, Settings]) -> None:
    """Raises BoardllamaError when the board has no room for what an operator's config.json says."""
    if edited is None:
        return
    overwrite = "or deploy with config_conflict=overwrite"
    try:
        fitted = fit_services({**hosted, service: edited}, cpu, board_of(host))[service]
    except BoardllamaError as error:
        raise BoardllamaError(f"{service.config} was edited there: {error}, {overwrite}") from None
    if fitted.settings.repack != edited.repack:
        raise BoardllamaError(
            f"{service.config} was edited there: set inference.repack to false in it, {overwrite} ({fitted.said})"
        )


def operator_edits(service: Service, wanted: dict[Path, bytes]) -> dict[Path, bytes]:
    """Files of a service that an operator changed on the target since the last deploy; reported, or shown as a diff."""
    pristine = editable_of(service)
    held = snapshot_of(host, *pristine, *pristine.values()).texts
    found = {}
    for path, text in wanted.items():
        file, there = TextFile(str(path), text.decode()), held.get(str(path))
        record = held.get(pristine[str(path)])
        # A unit from before the first release is not an edit of ours: it would start something else.
        if there and is_edited(file, there, record) and (record or path == service.config):
            found[path] = there.content
            report_edit(file, there)
        else:
            show_diff(file, there)
    return found


@operation()
def prepare_release(settings: Settings, build: Build) -> Commands:
    """Writes the release beside the one that runs. The stages after this one get it from `prepared_release`."""
    host.connector_data.pop(PREPARED, None)
    try:
        release = wanted_release(settings, build)
    except (BoardllamaError, OSError) as error:
        yield refuse(error)
        return
    host.connector_data[PREPARED] = release
    there = release_seen(host, release.id).files
    created = there.get("created") or release_time().isoformat(timespec="seconds")
    if not release.stored_contents(created).items() <= there.items():
        yield TargetStep(partial(write_release, release=release, created=created))


def prepared_release(host: Host) -> WantedRelease | None:
    """The release that the host is to have; None for a host that was refused."""
    release: WantedRelease | None = host.connector_data.get(PREPARED)
    return release


def write_release(remote: Remote, release: WantedRelease, created: str) -> None:
    """Brings the release's files beside their place. The folder then appears whole, or is mended file by file."""
    releases, folder = release.places.releases, release.folder
    new = f"{releases}/.{release.id}.new"
    remote.feed(
        [release.tar_archive(created)],
        f"set -e; umask 022; mkdir -p {releases}; rm -rf {new}; mkdir {new}; tar -x -C {new}; sync -f {new};"
        f" if test -d {folder}; then cd {new}; find . -mindepth 1 -type d -exec mkdir -p {folder}/{{}} ';';"
        f" find . ! -type d -exec mv -fT {{}} {folder}/{{}} ';'; cd /; rm -r {new}; else mv -T {new} {folder}; fi;"
        f" sync -f {releases}",
    )
