"""What llama-server is told of the files that lie beside a model's weights: a projector, a draft."""

from pathlib import Path

from ..release.releases import Release
from ..service import Service

# How a draft guesses: by its architecture, else as a language model of its own (common/speculative.cpp).
DRAFTS = {"eagle3": "draft-eagle3", "dflash": "draft-dflash", "gemma4-assistant": "draft-mtp"}


def files_served(release: Release, service: Service, model: Path) -> list[tuple[str, Path]]:
    """Kind and place of every file of the served model; the weights alone of one that an operator brought."""
    folder = release.folder_of(service)
    if model.parent != folder:
        return [("weights", model)]
    return [(str(file["kind"]), (folder / file["name"]).resolve()) for file in release.model_files(service)]


def companion_arguments(release: Release, service: Service, model: Path) -> list[str]:
    """The arguments for the companions of the model that the release brings; none for an operator's own model.

    The arguments come after those of config.json: the last of two that are the same counts.
    """
    arguments = []
    for kind, path in files_served(release, service, model):
        if kind == "projector":
            arguments += ["--mmproj", str(path)]
        if kind == "draft":
            arguments += ["--spec-draft-model", str(path), "--spec-type", draft_type(path)]
    return arguments


def draft_type(path: Path) -> str:
    """llama-server's word for the kind of a draft. Raises GgufError."""
    from ..gguf.header import read_header  # takes a tenth of a second, and few servers have a draft

    return DRAFTS.get(str(read_header(path).keys.get("general.architecture")), "draft-simple")
