"""What the catalogue says of a file before it is fetched, held against the file itself."""

from deploy.controller.files import sha256_of
from deploy.models.catalogue.entries import CATALOGUE
from deploy.models.gguf.info import read_gguf_info
from deploy.models.memory.estimate import Serving, estimate_memory
from tests.real_models import smollm2


def test_the_catalogues_smollm2_is_the_packages_file() -> None:
    path, model = smollm2(), CATALOGUE["smollm2-135m"]
    (file,) = model.files
    assert (sha256_of(path), path.stat().st_size) == (file.origin.sha256, file.origin.size)
    assert model.outline
    exact, outline = read_gguf_info(path), model.outline.info_of_size(model.size)
    assert (exact.layers, exact.hyperparameters) == (outline.layers, outline.hyperparameters)
    plain = Serving(4096, repack=False)
    guess, known = (estimate_memory(info, plain).total for info in (outline, exact))
    assert known <= guess <= known * 1.01, "its header is not kept"
