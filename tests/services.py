"""Services and places of a test: in a folder, or such as no setting offers yet."""

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from deploy.onboard.service import Service

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Paths = TypeVar("Paths", bound="DataclassInstance")


def paths_below(root: Path, paths: Paths) -> Paths:
    """A copy of the dataclass `paths` with each of its absolute paths below `root`."""
    held = {field.name: getattr(paths, field.name) for field in fields(paths)}
    moved = {name: root / str(path).lstrip("/") for name, path in held.items() if isinstance(path, Path)}
    return replace(paths, **moved)


def second_service(first: Service) -> Service:
    """A server beside the first one, on the same target, with everything of its own but the account."""
    paths = {name: getattr(first, name).with_name("second") for name in ("models", "state", "runtime")}
    return replace(
        first,
        unit="second.service",
        config=first.config.with_name("second") / "config.json",
        api_key=first.api_key.with_name("second") / "api-key",
        port=first.port + 100,
        key_unit="second-api-key.service",
        folder="second",
        **paths,
    )
