"""The table of `make models`: what the catalogue has, and how large a context each model may have on a board."""

from dataclasses import replace

from deploy.models.catalogue.choice import free_chat_models, suits_board
from deploy.models.catalogue.entries import CATALOGUE
from deploy.models.gguf.info import GgufInfo
from deploy.models.gguf.model_headers import companion_bytes
from deploy.models.memory.estimate import Serving, estimate_memory
from deploy.models.memory.fit import BoardMemory, biggest_context
from deploy.models.model import Model

GIB = 1 << 30
SIZES = (1, 2, 4, 8, 16, 32)  # GB of memory, as boards are sold
# Per cent of it that Linux finds: 904 of 1024 MiB on a Raspberry Pi 3, where the GPU has the rest; more on others.
FOUND = 88
NOTES = """Under a size of memory: how many tokens of context fit, k being 1024. -: the model does not fit.
*: it fits without the second copy of its weights, which makes it faster on many CPUs.
tokens/s: measured by others. docs/how-to/models.md says how to choose."""


def memory_of_size(gigabytes: int) -> BoardMemory:
    """What our unit has on a board that is sold with so much memory."""
    return BoardMemory.of_unit(gigabytes * GIB * FOUND // 100)


def usual_boards() -> dict[str, BoardMemory]:
    """Boards by the memory that they are sold with."""
    return {f"{size} GB": memory_of_size(size) for size in SIZES}


def catalogue_rows(boards: dict[str, BoardMemory], repack: bool) -> list[dict[str, str]]:
    """A row for each model of the catalogue, with a column for each board. `repack`: their CPUs gain by it."""
    return [model_row(model, boards, repack) for model in CATALOGUE.values()]


def model_row(model: Model, boards: dict[str, BoardMemory], repack: bool) -> dict[str, str]:
    assert model.outline
    info = model.outline.info_of_size(model.weights_size)
    about = {"model": model.name, "role": model.role, "MB": str(model.size // 1_000_000), "licence": model.licence}
    fits = {name: fitting_text(info, model, memory, repack) for name, memory in boards.items()}
    return {**about, **fits, "tokens/s": model.measured or "-"}


def fitting_text(info: GgufInfo, model: Model, memory: BoardMemory, repack: bool) -> str:
    """The biggest context, with the rearranged copy of the weights where both that and the usual context fit."""
    for copies, mark in ((repack, ""), (False, "*" if repack else "")):
        serving = Serving(context_size=0, repack=copies)
        context = fitting_context(info, serving, memory.available - companion_bytes(model, serving))
        if context and (not copies or context >= (model.advice.context_size or 0)):
            return f"{context // 1024}k{mark}" if context >= 1024 else f"{context}{mark}"
    return "-"


def fitting_context(info: GgufInfo, serving: Serving, available: int) -> int | None:
    """The biggest context in tokens that fits; None when none does."""
    if estimate_memory(info, serving).total <= available:
        return info.context_length
    return biggest_context(info, serving, available)


def automatic_line(boards: dict[str, BoardMemory]) -> str:
    """What "auto" takes on each board."""
    taken = ((name, automatic_model(memory)) for name, memory in boards.items())
    return "auto takes: " + ", ".join(f"{name} {model.name if model else 'none'}" for name, model in taken)


def automatic_model(memory: BoardMemory) -> Model | None:
    """The model of "auto", with the context that suits the model."""
    plain = Serving(context_size=0, repack=False)
    return next(
        (
            model
            for model in reversed(free_chat_models())
            if suits_board(model, replace(plain, context_size=model.advice.context_size or 0), memory)
        ),
        None,
    )
