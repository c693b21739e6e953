"""The models that contenders run: random weights, so that no download is needed, and the same file on each machine."""

from pathlib import Path

from gguf import GGMLQuantizationType as Kind

from deploy.debian.staging import ensure_folder
from tests.bench.roots import keyed_folder
from tests.shapes import TINYLLAMA, Shape, write

# The same rows in less layers: the kernels are the same, a run takes a tenth.
SMALL = Shape("small", Kind.Q4_K, Kind.Q6_K, 2048, 5632, 2, 32, 4, 4000, 2048)
SHAPES = {shape.name: shape for shape in (TINYLLAMA, SMALL)}
# What decides the bytes beside the shape itself.
WRITER_VERSION = 1


def ensure_model(shape: Shape) -> Path:
    """The model in the cache, written first: about a second per 500 MB."""
    inputs = [WRITER_VERSION, repr(shape)]
    folder = ensure_folder(keyed_folder("models", inputs), "bench", lambda new: write_model(shape, new))
    return folder / f"{shape.name}.gguf"


def write_model(shape: Shape, new: Path) -> None:
    write(shape, new / "tree" / f"{shape.name}.gguf")
