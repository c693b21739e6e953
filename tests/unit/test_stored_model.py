"""A model of several files in the store of a target."""

from deploy.hosts.stored_model import StoredModel
from deploy.models.hub.hub_model import HubModel
from deploy.models.model import FileKind, Model, ModelFile
from deploy.onboard.service import OLLAMA


def file(name: str, byte: str, kind: FileKind = FileKind.WEIGHTS) -> ModelFile:
    """A file of 5 bytes, whose hash is so many times that byte."""
    return ModelFile(name, HubModel("owner/name", name, "ab" * 20, byte * 32, 5), kind)


def stored(*files: ModelFile) -> StoredModel:
    """A model of these files."""
    return StoredModel(Model("m", files), OLLAMA)


FIRST, SECOND = file("m-00001-of-00002.gguf", "01"), file("m-00002-of-00002.gguf", "02")
EYE = file("mmproj-m.gguf", "03", FileKind.PROJECTOR)


def test_one_file_lies_by_its_hash() -> None:
    assert stored(file("m.gguf", "ab")).links == {"m.gguf": f"{OLLAMA.model_store}/abababababababab/m.gguf"}


def test_parts_lie_side_by_side_and_no_other_part_can_come_between() -> None:
    links = stored(FIRST, SECOND, EYE).links
    folders = {name: place.rsplit("/", 1)[0] for name, place in links.items()}
    assert folders["m-00001-of-00002.gguf"] == folders["m-00002-of-00002.gguf"] != folders["mmproj-m.gguf"]
    other = stored(FIRST, file("m-00002-of-00002.gguf", "04")).links
    assert other["m-00001-of-00002.gguf"] != links["m-00001-of-00002.gguf"]


def test_a_projector_is_one_file_for_all_models_that_share_it() -> None:
    places = {stored(weights, EYE).links["mmproj-m.gguf"] for weights in (FIRST, SECOND)}
    assert places == {f"{OLLAMA.model_store}/0303030303030303/mmproj-m.gguf"}


def test_the_manifest_lists_every_file_and_names_the_first_for_older_programs() -> None:
    model = stored(FIRST, SECOND, EYE)
    entry = model.entry
    assert (entry.name, entry.sha256, entry.size) == ("m-00001-of-00002.gguf", "01" * 32, 5)
    assert [(one.name, one.kind) for one in entry.files] == [
        ("m-00001-of-00002.gguf", "weights"),
        ("m-00002-of-00002.gguf", "weights"),
        ("mmproj-m.gguf", "projector"),
    ]
    assert model.size == 15
