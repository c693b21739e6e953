"""docs/reference/schemas/: the JSON Schemas of the files that others may read or write.

A format that is no JSON is described as the object that its reader makes of a file: the elements of a block map by
their names, the line of a receipt by its words, boardllama.txt by its names.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deploy.formats.block_map import BmapFile
from deploy.formats.image_manifest import ImageManifest
from deploy.hosts.receipt import TargetReceipt
from deploy.hosts.release_manifest import ReleaseManifest
from deploy.models.receipt import Receipt
from deploy.onboard.identity.boardllama_txt import FILE, FORMAT
from deploy.onboard.identity.rules import NAMES, NameRule
from deploy.onboard.server.config_keys import KEYS, Key
from deploy.paths import REPO

FOLDER = REPO / "docs/reference/schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def identity_schema() -> dict[str, Any]:
    """The schema of boardllama.txt: each name with its values as they will be used."""
    return {
        "title": f"{FILE}, format {FORMAT}",
        "type": "object",
        "properties": {name: identity_value_schema(rule) for name, rule in NAMES.items()},
        "additionalProperties": False,
    }


def identity_value_schema(rule: NameRule) -> dict[str, Any]:
    """The schema of a name's value, or of the list of values where the name may repeat."""
    about = {"description": rule.about, "examples": [rule.example], **({"writeOnly": True} if rule.secret else {})}
    text = {"type": "string", "pattern": f"^({rule.pattern})$"}
    return {"type": "array", "items": text, **about} if rule.repeats else {**text, **about}


def config_schema() -> dict[str, Any]:
    """The schema of config.json. A key that is left out has its default."""
    return {
        "title": "config.json",
        "type": "object",
        "properties": {section: config_section_schema(keys) for section, keys in KEYS.items()},
        "additionalProperties": False,
    }


def config_section_schema(keys: Mapping[str, Key]) -> dict[str, Any]:
    """The schema of a section, with the rule of each key in words, too."""
    properties = {
        name: {"description": f"must be {key.rule.text}", "default": key.default, **key.rule.schema}
        for name, key in keys.items()
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "block-map": BmapFile.model_json_schema,
    "boardllama-txt": identity_schema,
    "config": config_schema,
    "image-manifest": ImageManifest.model_json_schema,
    "receipt": Receipt.model_json_schema,
    "release-manifest": ReleaseManifest.model_json_schema,
    "target-receipt": TargetReceipt.model_json_schema,
}


def schema_files() -> dict[Path, str]:
    """The text of every schema, as it must be, by its path."""
    return {
        FOLDER / f"{name}.json": f"{json.dumps({'$schema': DRAFT, **make()}, indent=2)}\n"
        for name, make in SCHEMAS.items()
    }
