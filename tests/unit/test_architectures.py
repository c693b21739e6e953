"""A model that the pinned llama.cpp cannot load is refused before it is sent anywhere."""

import pytest

from deploy.errors import BoardllamaError
from deploy.models.architectures import check


@pytest.mark.parametrize("known", ["llama", "qwen2", "qwen35", "gemma4", "phi3", "gpt-oss"])
def test_architectures_of_usual_models_are_known(known: str) -> None:
    check(known, "x.gguf")


@pytest.mark.parametrize("unknown", ["clip", "(unknown)", "", "Llama", "llama 4"])
def test_others_are_refused_with_what_to_do(unknown: str) -> None:
    with pytest.raises(BoardllamaError, match=r"^x\.gguf has the architecture .* set llama_source to a llama\.cpp"):
        check(unknown, "x.gguf")


def test_the_nearest_known_one_is_named() -> None:
    with pytest.raises(BoardllamaError, match="the nearest that it knows is qwen3vlmoe"):
        check("qwen3-vl-moe", "x.gguf")


def test_another_llama_cpp_may_know_others() -> None:
    check("llama9", "x.gguf", pin="1" * 40)
