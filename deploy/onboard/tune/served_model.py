"""The model that a sweep measures: the first that the board serves, and how it is computed now."""

from pathlib import Path
from typing import Any, NamedTuple

from ..places import Places
from ..release.releases import Release, current_release
from ..server.companions import files_served
from ..server.config import load_config
from ..server.cores import share_out
from ..server.launch import find_model, ready_services
from ..service import Service
from .setup import Setup

# Without a header on the controller: what a run takes beside the weights and their repacked copy, in bytes.
BESIDE_WEIGHTS = 300_000_000


class Unfit(Exception):
    """This board cannot be tuned now. The message says why, and what to do."""


class ServedModel(NamedTuple):
    """`services`: all that have a model, of which the first is measured; `weights`: the files that its tokens read."""

    release: Release
    services: list[Service]
    model: Path
    weights: list[Path]
    setup: Setup


def read_served_model(places: Places) -> ServedModel:
    """The first model of the committed release. Raises Unfit without one, ConfigError, OSError, ValueError."""
    release = current_release(places)
    services = [service for service in ready_services(release) if service.has_model] if release else []
    if release is None or not services:
        raise Unfit("no model is served here: `make deploy` first")
    config = load_config(services[0], release.config(services[0]))
    model = find_model(config["models"], release, services[0])
    weights = [path for kind, path in files_served(release, services[0], model) if kind == "weights"]
    return ServedModel(release, services, model, weights, setup_now(release, config))


def setup_now(release: Release, config: dict[str, Any]) -> Setup:
    """How the release computes."""
    work = share_out(config["models"])
    return Setup(
        build=str(release.stated("build", "name")).rpartition("-")[0],
        cores=tuple(sorted(work.cores)),
        threads=work.threads,
        batch_threads=work.batch_threads,
        repack=config["inference"]["repack"],
        kv_cache=config["inference"]["kv_cache"],
    )


def rough_needs(files: list[Path]) -> dict[bool, int]:
    """Bytes of memory that a run takes at most, with repacked weights and without, by the size of the weights alone."""
    size = sum(file.stat().st_size for file in files)
    return {True: 2 * size + BESIDE_WEIGHTS, False: size + BESIDE_WEIGHTS}
