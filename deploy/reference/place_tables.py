"""docs/reference/target-files.md: what boardllama puts on a target, and what stands on the controller."""

import re
from collections.abc import Iterator
from pathlib import Path

from deploy.onboard import places
from deploy.onboard.places import PLACES
from deploy.onboard.service import OLLAMA
from deploy.reference.tables import markdown_table

# What is read there, and belongs to the system or to its vendor.
READ = {
    "root_folder", "boot", "mounts", "cloud_init", "userconfig", "armbian_presets", "manager_enabled", "manager_state",
    "netplan_defaults", "netplan_runtime", "netplan_program", "runtime_units", "enabled", "units", "public_bin",
}  # fmt: skip
# Of fields without a comment in the code.
WORDS = {"root": "All of it that belongs to releases.", "doctor": "A link to the doctor of the release."}
SERVED = (
    (OLLAMA.public_unit(PLACES), "the unit of llama-server; of a target with several models one for each beside it"),
    (OLLAMA.public_key_unit(PLACES), "makes an API key before the first start"),
    (OLLAMA.config, "read at every start; yours to edit"),
    (OLLAMA.api_key, "the API key; root and the service read it"),
    (OLLAMA.models, "models, as links into `.store/`; yours may lie beside them"),
    (OLLAMA.runtime, "what the running server was started from"),
    (PLACES.public_bin / "llama-*", "llama-server, llama-cli, llama-bench, llama-quantize: links into the release"),
    (PLACES.public_bin / "boardllama", "the commands of the board"),
    (PLACES.current / "licences.txt", "the licences of what is linked into these programs"),
)


def served_table() -> str:
    """What users of a target know by its name."""
    return markdown_table(("path", "what it is"), ([f"`{path}`", text] for path, text in SERVED))


def places_table() -> str:
    """Everything else, by the comments of deploy/onboard/places.py: a row for the fields below each comment."""
    rows = []
    for names, said in commented_fields(Path(places.__file__).read_text()):
        if shown := [name for name in names if name not in READ]:
            text = said or " ".join(WORDS[name] for name in shown)
            rows.append(["<br>".join(f"`{getattr(PLACES, name)}`" for name in shown), text])
    return markdown_table(("path", "what it is"), rows)


def commented_fields(source: str) -> Iterator[tuple[list[str], str]]:
    """The fields of a class in groups, each with the comment above it. A comment or an empty line begins a group."""
    names: list[str] = []
    said: list[str] = []
    for line in source.splitlines():
        field = re.match(r"    (\w+): \w+ = ", line)
        comment = re.match(r"    # (.*)", line)
        if names and not field:
            yield names, " ".join(said)
            names, said = [], []
        said += [comment[1]] if comment else []
        names += [field[1]] if field else []
    if names:
        yield names, " ".join(said)
