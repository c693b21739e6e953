"""`make pin REPO=OWNER/NAME FILE=x.gguf`: what a hub says of a file, as settings and as an entry of the catalogue.

Only heads are asked for, so that a file of gigabytes is pinned in a second. The hub's word is the pin: what is fetched
later must have that sha256.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi

from deploy.controller.progress import say_line
from deploy.controller.verb_parser import verb_parser
from deploy.errors import BoardllamaError, shown
from deploy.models.hub.client import hub_address, hub_name
from deploy.models.hub.fetch import ANSWER_WITHIN, NO_ANSWER, ask_hub
from deploy.models.hub.hub_model import HubModel
from deploy.models.hub.refusals import explain_refusal
from deploy.models.model import FileKind
from deploy.onboard.gguf.chat_models import part_count_in_name, part_names
from deploy.onboard.spelling import printable_text
from deploy.setting_rules import RULES, SHA256


@dataclass(frozen=True)
class PinnedFile:
    """A file of a model, as the hub has it now."""

    kind: FileKind
    pin: HubModel

    @property
    def setting(self) -> str:
        """The file as an item of the setting further_files."""
        values = {"kind": self.kind.value, "file": self.pin.file, "sha256": self.pin.sha256, "size": self.pin.size}
        return "{" + ", ".join(f'"{key}": {python_text(value)}' for key, value in values.items()) + "}"

    @property
    def entry(self) -> str:
        """The file as a part of an entry of deploy/models/catalogue/entries.py."""
        pin, kind = self.pin, self.kind
        values = [python_text(value) for value in (pin.repo, pin.file, pin.revision, pin.sha256)]
        values += [f"{pin.size:_}", *([] if kind is FileKind.WEIGHTS else [f"FileKind.{kind.name}"])]
        return "hub_file(" + ", ".join(values) + ")"


def python_text(value: str | int) -> str:
    """The value as Python source: a text in double quotes."""
    return str(value) if isinstance(value, int) else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def pin_file(repo: str, file: str, revision: str, kind: FileKind) -> PinnedFile:
    """Asks the hub for one file. Raises BoardllamaError."""
    for word, value in (("repo", repo), ("file", file)):
        if not (rule := RULES[f"model_{word}"]).holds(value):
            raise BoardllamaError(f"{word.upper()} is {shown(value)}: must be {rule.text}")
    said = ask_hub(repo, file, revision, say_line)
    if not re.fullmatch(SHA256, said.etag or "") or not said.size or not said.commit_hash:
        raise BoardllamaError(
            f"{hub_name()} does not say commit, size and sha256 of {file}: fetch the file, and set model to path"
        )
    assert said.etag
    return PinnedFile(kind, HubModel(repo, file, said.commit_hash, said.etag, said.size))


def pin_model(repo: str, file: str, revision: str, projector: str, draft: str) -> list[PinnedFile]:
    """Asks the hub for all files of a model: each part where FILE is the first of several. Raises BoardllamaError."""
    parts = part_names(Path(file).name) or [Path(file).name]
    if len(parts) == 1 and part_count_in_name(file) > 1:
        raise BoardllamaError(f"FILE is {shown(file)}: take the first part, whose name ends in -00001-of-…")
    weights = [str(Path(file).with_name(name)) for name in parts]
    first = pin_file(repo, weights[0], revision, FileKind.WEIGHTS)
    wanted = [(FileKind.WEIGHTS, name) for name in weights[1:]]
    wanted += [(kind, name) for kind, name in ((FileKind.PROJECTOR, projector), (FileKind.DRAFT, draft)) if name]
    return [first, *(pin_file(repo, name, first.pin.revision, kind) for kind, name in wanted)]


def ask_licence(pin: HubModel) -> str:
    """The licence of the repository in the hub's words; "" where it names none. Raises BoardllamaError."""
    try:
        card = HfApi(hub_address()).model_info(pin.repo, revision=pin.revision, timeout=ANSWER_WITHIN).card_data
        return printable_text(str(card.get("license_name") or card.get("license") or "")) if card else ""
    except NO_ANSWER as error:
        say_line(explain_refusal(pin.repo, pin.file, pin.revision, error))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        say_line(f"{hub_name()} says nothing readable of {pin.repo}: look for its licence on its page")
    return ""


def settings_text(files: list[PinnedFile]) -> str:
    """The settings to paste into an inventory's group data."""
    pin = files[0].pin
    values: dict[str, str | int]
    values = {"repo": pin.repo, "file": pin.file, "revision": pin.revision, "sha256": pin.sha256, "size": pin.size}
    lines = ['model = "hub"', *(f"model_{name} = {python_text(value)}" for name, value in values.items())]
    further = "".join(f"    {file.setting},\n" for file in files[1:])
    return "\n".join([*lines, f"further_files = [\n{further}]" if further else "further_files = []"])


def entry_text(files: list[PinnedFile], licence: str) -> str:
    """The entry of the catalogue, without what only a model card and a header know."""
    name = re.sub(r"(-00001-of-\d+)?\.gguf$", "", Path(files[0].pin.file).name).lower()
    pins = "\n        + ".join(file.entry for file in files)
    return f"    Model(\n        {python_text(name)},\n        {pins},\n        licence={python_text(licence)},\n    ),"


def main(arguments: list[str]) -> int:
    parser = verb_parser(
        "pin",
        "Asks the hub for the pin of a file, as settings to paste.",
        "--repo ggml-org/SmolVLM-256M-Instruct-GGUF --file SmolVLM-256M-Instruct-Q8_0.gguf",
    )
    parser.add_argument("--repo", required=True, help="OWNER/NAME on the hub")
    parser.add_argument("--file", required=True, help="the .gguf file there, or the first part of a split model")
    parser.add_argument("--revision", default="main", help="a branch, tag or commit")
    parser.add_argument("--projector", default="", help="the mmproj file there")
    parser.add_argument("--draft", default="", help="the draft model's file there")
    told = parser.parse_args(arguments)
    try:
        files = pin_model(told.repo, told.file, told.revision, told.projector, told.draft)
        licence = ask_licence(files[0].pin)
    except BoardllamaError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"# {hub_name()}, licence: {licence or 'not known'}. Settings, for inventory/group_data:\n")
    print(f"{settings_text(files)}\n\n# Or an entry of deploy/models/catalogue/entries.py:\n")
    print(entry_text(files, licence))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
