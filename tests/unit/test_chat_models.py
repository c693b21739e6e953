"""What is no chat model is refused in words, on the controller before anything is brought and on the board alike."""

from pathlib import Path
from typing import Any

import pytest

from deploy.errors import BoardllamaError
from deploy.models.gguf.info import read_gguf_info
from deploy.onboard.gguf.architectures import ARCHITECTURES, PIN
from deploy.onboard.gguf.chat_models import NO_CHAT, part_count_in_name, require_usable_model
from deploy.onboard.server.config import ConfigError
from deploy.onboard.service import CHAT
from deploy.stages import model
from tests.gguf_bytes import Matrix, chat, gguf
from tests.unit.test_settings import told


def on_both(path: Path, content: bytes) -> str:
    """The words that refuse a file, from its name on; they must be the same on both sides."""
    path.write_bytes(content)
    settings = told(model="path", model_path=str(path))
    with pytest.raises(BoardllamaError) as deployed:
        model.check_weights(settings, [path])
    with pytest.raises(ConfigError) as started:
        require_usable_model(path, PIN, CHAT, print)
    words = str(deployed.value).removeprefix(f"{path.name} ")
    assert str(started.value) == f"{path} {words}"
    assert "\n" not in words
    return words


def accept(path: Path, content: bytes) -> None:
    """On both sides."""
    path.write_bytes(content)
    require_usable_model(path, PIN, CHAT, print)
    model.check_weights(told(model="path", model_path=str(path)), [path])


@pytest.mark.parametrize(
    ("kind", "name"),
    [(4, "Q4_2"), (5, "Q4_3"), (31, "Q4_0_4_4"), (32, "Q4_0_4_8"), (33, "Q4_0_8_8"), (36, "IQ4_NL_4_4")],
)
def test_what_llama_cpp_removed_is_named(tmp_path: Path, kind: int, name: str) -> None:
    words = on_both(tmp_path / "x.gguf", gguf(chat(), [Matrix("token_embd.weight", kind=kind)]))
    assert words.startswith(
        f"is quantized as {name} (type {kind}), which llama.cpp removed: take the same model as Q4_0"
    )


@pytest.mark.parametrize("kind", [43, 99, 1 << 31])
def test_a_kind_of_tensor_from_elsewhere_is_refused_where_the_source_is_known(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "x.gguf"
    content = gguf(chat(), [Matrix("token_embd.weight", kind=kind)])
    assert f"is of type {kind}, which this llama.cpp does not know: take the same model as Q4_0" in on_both(
        path, content
    )
    require_usable_model(path, "", CHAT, print)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"general.type": "adapter", "adapter.type": "lora"}, "is a LoRA adapter"),
        ({"adapter.type": "lora"}, "is a LoRA adapter"),
        ({"general.type": "imatrix", "imatrix.chunk_count": 100}, "is an importance matrix"),
        ({"general.type": "mmproj", "general.architecture": "clip"}, "is a projector (mmproj)"),
        ({"general.architecture": "clip", "clip.has_vision_encoder": True}, "is a projector (mmproj)"),
        ({"general.architecture": "controlvector"}, "is a control vector"),
        ({"general.name": "x"}, "does not say its architecture"),
        (chat("qwen3-vl-moe"), "the nearest that it knows is qwen3vlmoe"),
        (chat("bert", pooling_type=4), "is a reranker (bert)"),
        (chat("qwen3", pooling_type=4), "is a reranker (qwen3)"),
        (chat("qwen3", pooling_type=3), "is an embedding model (qwen3, last pooling)"),
        (chat("gemma3", pooling_type=1), "is an embedding model (gemma3, mean pooling)"),
        ({"general.architecture": "llama"}, "has no llama.context_length"),
        ({"general.architecture": "llama", "llama.context_length": 1}, "has no llama.embedding_length"),
        (chat(context_length="4096"), 'says that its llama.context_length is "4096": must be a number over 0'),
        (chat(context_length=0), "says that its llama.context_length is 0: must be a number over 0"),
        (chat(context_length=1 << 32), "says that its llama.context_length is 4294967296: must be a number over 0"),
        (chat(embedding_length=True), "says that its llama.embedding_length is true"),
        (chat(block_count=513), "says that it has 513 layers, where llama.cpp takes 512"),
        (chat(attention__head_count="4"), 'says that its llama.attention.head_count is "4"'),
        (chat(attention__head_count_kv=[4, 4]), "llama.attention.head_count_kv is a list of 2: must be a number, or 1"),
        (chat("a\nb", pooling_type=4), 'has the architecture "a\\nb"'),
        (chat("x" * 10_000), "(10002 characters)"),
        ({**chat(), "tokenizer.ggml.model": "none"}, 'has the tokenizer "none"'),
        (
            {**chat(), "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "newer"},
            'has the pre-tokenizer "newer", with which this llama.cpp reads no text',
        ),
        (chat("qwen2", attention__causal=False), "reads its text in both directions (qwen2)"),
    ],
)
def test_what_is_no_chat_model_is_called_what_it_is(tmp_path: Path, keys: dict[str, Any], words: str) -> None:
    assert on_both(tmp_path / "x.gguf", gguf(keys)).startswith(words) or words in on_both(
        tmp_path / "x.gguf", gguf(keys)
    )


@pytest.mark.parametrize("architecture", " ".join(NO_CHAT).split())
def test_an_architecture_that_does_something_else_says_so(tmp_path: Path, architecture: str) -> None:
    assert architecture in ARCHITECTURES
    words = on_both(tmp_path / "x.gguf", gguf(chat(architecture)))
    assert f"({architecture})" in words and "; boardllama serves chat: take a chat model" in words


@pytest.mark.parametrize("pooling", [0, 0xFFFFFFFF, 17])
def test_a_chat_model_that_says_how_it_pools_is_one_still(tmp_path: Path, pooling: int) -> None:
    """llama.cpp itself writes 0 or -1 into what it saves."""
    accept(tmp_path / "x.gguf", gguf(chat(pooling_type=pooling, attention__causal=True)))


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES - set(" ".join(NO_CHAT).split())))
def test_every_other_architecture_is_served(tmp_path: Path, architecture: str) -> None:
    accept(tmp_path / "x.gguf", gguf({**chat(architecture), "general.type": "model"}))


@pytest.mark.parametrize("names", [("gpt2", "qwen2"), ("gpt2", ""), ("llama", "newer")])
def test_a_tokenizer_that_llama_cpp_knows_is_served(tmp_path: Path, names: tuple[str, str]) -> None:
    """Only one that joins pairs has a pre-tokenizer."""
    keys = dict(zip(("tokenizer.ggml.model", "tokenizer.ggml.pre"), names, strict=True))
    accept(tmp_path / "x.gguf", gguf({**chat(attention__head_count=[4]), **keys}))


def test_a_file_without_weights_is_refused(tmp_path: Path) -> None:
    assert "holds no weights" in on_both(tmp_path / "x.gguf", gguf(chat(), []))


@pytest.mark.parametrize("first", [0, 32])
def test_weights_that_lie_elsewhere_are_refused(tmp_path: Path, first: int) -> None:
    """llama.cpp does not load them, and what they would need of memory can be told all the same."""
    path = tmp_path / "x.gguf"
    content = gguf(chat(), [Matrix("t", at=first), Matrix("u", at=64)]) + bytes(64)
    assert "is not usable: tensor '" in (words := on_both(path, content)) and "another program's file" in words
    assert read_gguf_info(path).n_tensors == 2


def test_a_small_tensor_ends_where_the_alignment_does(tmp_path: Path) -> None:
    """A vector of three numbers takes 12 bytes, and the next tensor begins 32 after it."""
    accept(
        tmp_path / "x.gguf", gguf(chat(), [Matrix("norm.weight", (3,), kind=0, size=12), Matrix("token_embd.weight")])
    )


def test_what_another_llama_cpp_knows_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    assert "this llama.cpp knows" in on_both(path, gguf(chat("llama9")))
    require_usable_model(path, "of another commit", CHAT, print)


def test_the_first_part_of_a_model_may_hold_no_weights(tmp_path: Path) -> None:
    first, second = (tmp_path / f"x-0000{number}-of-00002.gguf" for number in (1, 2))
    first.write_bytes(gguf({**chat(), "split.count": 2}, []))
    second.write_bytes(gguf({"split.count": 2}))
    require_usable_model(first, PIN, CHAT, print)


def test_a_part_is_known_by_its_name() -> None:
    assert part_count_in_name("x-00001-of-00003.gguf") == 3
    for part in ("X-00002-OF-00003.gguf", "q4/x-1-of-3.gguf", "x_00002_of_00003.gguf", "x.gguf.part2of3.gguf"):
        assert part_count_in_name(part) == 3
    for whole in ("x.gguf", "x-00001-of-00001.gguf", "00002-of-00003.gguf.gguf", "best-of-3.gguf", "x-1-of-3/y.gguf"):
        assert part_count_in_name(whole) < 2


def test_a_part_alone_is_refused_and_all_of_them_are_served(tmp_path: Path) -> None:
    """By the board alone: a deploy brings one file."""
    names = [tmp_path / f"x-0000{number}-of-00002.gguf" for number in (1, 2)]
    for number, path in enumerate(names):
        path.write_bytes(gguf({**chat(), "split.no": number, "split.count": 2}))
    require_usable_model(names[0], PIN, CHAT, print)
    with pytest.raises(ConfigError, match=r"is one of 2 parts .* that ends in -00001-of-00002\.gguf, or `llama-gguf"):
        require_usable_model(names[1], PIN, CHAT, print)
    names[1].unlink()
    with pytest.raises(ConfigError, match="put all here"):
        require_usable_model(names[0], PIN, CHAT, print)
    with pytest.raises(BoardllamaError, match="is one of 2 parts of a model: `llama-gguf-split --merge`"):
        model.check_weights(told(model="path", model_path=str(names[0])), [names[0]])


def test_a_file_that_the_board_cannot_read_is_left_to_llama_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf({**chat(), "x.nested": [[1, 2], [3]]}))
    require_usable_model(path, PIN, CHAT, print)
    assert "x.nested is a list of lists, which llama.cpp does not read" in capsys.readouterr().out
    path.write_bytes(gguf(chat())[:-100])
    with pytest.raises(ConfigError, match="it is truncated"):
        require_usable_model(path, PIN, CHAT, print)


@pytest.mark.parametrize("name", ["a\nb.gguf", "caf\udce9.gguf", "\x1b[31m.gguf"])
def test_a_name_that_no_line_can_show_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gguf(chat()))
    with pytest.raises(ConfigError, match="has a name with more than printable text: rename it") as caught:
        require_usable_model(path, PIN, CHAT, print)
    assert str(caught.value).isprintable()
