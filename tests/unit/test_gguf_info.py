"""The facts of a model come from its header alone, and a file that is no model is called what it is."""

import struct
import time
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from deploy.errors import BoardllamaError
from deploy.models.gguf.info import Hyperparameters, read_gguf_info
from deploy.models.smoke import CONTEXT, NAME, SIZE, write_smoke_model
from deploy.models.smoke_writer import vocabulary_pieces
from deploy.onboard.gguf.kinds import BLOCKS
from tests.gguf_bytes import Matrix, chat
from tests.gguf_bytes import gguf as gguf_file


@pytest.fixture
def smoke(tmp_path: Path) -> Path:
    path = tmp_path / "smoke.gguf"
    write_smoke_model(path)
    return path


def failure(path: Path) -> str:
    """The one line with which reading fails."""
    with pytest.raises(BoardllamaError) as caught:
        read_gguf_info(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def write(path: Path, words: int = 0, context: int = 2048, big: bool = False, parts: int = 0) -> Path:
    """A GGUF file with one tensor of 1 KiB and a vocabulary of so many words, scores and merges; one of `parts`."""
    writer = gguf.GGUFWriter(path, "llama", endianess=gguf.GGUFEndian.BIG if big else gguf.GGUFEndian.LITTLE)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    if words:
        writer.add_token_list([f"word{number}" for number in range(words)])
        writer.add_token_scores([0.5] * words)
        writer.add_token_merges([f"a{number} b{number}" for number in range(words)])
    if parts:
        writer.add_uint16("split.count", parts)
    if context:
        writer.add_context_length(context)
    writer.add_tensor("t", np.zeros((16, 16), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_smoke_model_says_what_it_is(smoke: Path) -> None:
    info = read_gguf_info(smoke)
    assert (info.architecture, info.name, info.context_length, info.file_type) == ("llama", NAME, CONTEXT, "F16")
    assert (info.n_tensors, info.size) == (21, SIZE)


def test_the_smoke_model_says_what_its_memory_depends_on(smoke: Path) -> None:
    assert read_gguf_info(smoke).hyperparameters == Hyperparameters(
        embedding_length=64,
        feed_forward_length=128,
        head_count=(2, 2),
        key_length=32,
        vocabulary=len(vocabulary_pieces()),
        merges=0,
    )


def test_every_tensor_is_known_by_type_shape_and_place(smoke: Path) -> None:
    tensors = {tensor.name: tensor for tensor in read_gguf_info(smoke).tensors}
    down = tensors["blk.1.ffn_down.weight"]
    assert (down.shape, down.kind, down.weights, down.size) == ((128, 64), Kind.F16, 8192, 16384)
    ends = sorted((tensor.offset, tensor.offset + tensor.size) for tensor in tensors.values())
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))
    assert ends[-1][1] <= SIZE < ends[-1][1] + 32


def test_a_vocabulary_is_stepped_over_in_no_time(tmp_path: Path) -> None:
    """32k words with scores and merges, as in TinyLlama, in a 700 MB file: 8 ms when written, 0.3 s at most here."""
    path = write(tmp_path / "big.gguf", words=32_000)
    with path.open("ab") as file:
        file.truncate(700_000_000)
    began = time.process_time()
    info = read_gguf_info(path)
    assert time.process_time() - began < 0.3
    assert (info.context_length, info.file_type, info.size) == (2048, "Q4_K_M", 700_000_000)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html>", "begins with b'<!DOCTYPE html><', which looks like an HTML or XML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "looks like a Git LFS pointer"),
        (b'{"error": "no"}', "looks like JSON text"),
        (b"PK\x03\x04rest", "looks like a zip archive"),
        (bytes(64), "looks like zeros"),
        (b'\x98\x0e\0\0\0\0\0\0{"__meta', "looks like safetensors"),
        (b"algg\x01\0\0\0", "looks like a model or an adapter in a format before GGUF"),
        (b"\xef\xbb\xbf\r\n<html>", "looks like an HTML or XML page"),
        (b"\x99\x98\x97\x96\x95", "looks like something else"),
        (b"", "is empty"),
    ],
)
def test_what_is_no_gguf_is_named_by_its_first_bytes(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    assert words in failure(path)


def test_every_cut_is_seen_wherever_it_is(smoke: Path) -> None:
    whole = smoke.read_bytes()
    for size in (5, 20, 100, 5_000, 40_000, len(whole) // 2, len(whole) - 1):
        smoke.write_bytes(whole[:size])
        message = failure(smoke)
        assert "truncated" in message or "the header breaks" in message
    assert "'blk.1.ffn_down.weight' ends at byte" in message


def test_any_damaged_header_is_an_answer_and_not_a_crash(smoke: Path) -> None:
    whole = smoke.read_bytes()
    for at in range(4, 700):
        smoke.write_bytes(whole[:at] + b"\xff" * 8 + whole[at + 8 :])
        try:
            read_gguf_info(smoke)
        except BoardllamaError as exc:
            assert "\n" not in str(exc)


def test_a_model_without_context_length_is_refused(tmp_path: Path) -> None:
    assert "no llama.context_length" in failure(write(tmp_path / "x.gguf", context=0))


def test_a_big_endian_model_is_refused(tmp_path: Path) -> None:
    assert "big-endian" in failure(write(tmp_path / "x.gguf", big=True))


def test_an_old_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<I", 1) + bytes(100))
    assert "GGUF version 1" in failure(path)


def test_no_file_and_a_folder_are_told_apart_from_a_bad_model(tmp_path: Path) -> None:
    assert "No such file" in failure(tmp_path / "x.gguf")
    assert "Is a directory" in failure(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"GGU", "it ends after 3 bytes"),
        (b"GGUF", "the header breaks at byte 4 of 4"),
        (gguf_file(chat(), n_tensors=1 << 60), "has two tensors of one name"),
        (gguf_file(chat(), [Matrix("t")], n_tensors=1 << 60)[:-600], "the header breaks at byte"),
        (gguf_file(chat(), n_keys=1 << 60), "is not usable"),
        (gguf_file([*chat().items(), ("llama.context_length", 1)]), "has the key 'llama.context_length' twice"),
        (gguf_file([*chat().items(), ("", 1)]), "has the key '' without a name"),
        (gguf_file({**chat(), "x.nested": [[1], [2]]}), "x.nested is a list of lists"),
        (gguf_file({**chat(), "x\ny": [[1], [2]]}), "x\\ny is a list of lists"),
        (gguf_file({**chat(), "general.alignment": 48}), "alignment is 48, no power of two"),
        (gguf_file({**chat(), "general.alignment": 0}), "alignment is 0, no power of two"),
        (gguf_file({**chat(), "general.alignment": "32"}), "alignment is '32', no power of two"),
        (gguf_file({**chat(), "general.alignment": 8, "x": "y"}), "begin at byte 336, no multiple of 32"),
        (gguf_file(chat(), [Matrix("t"), Matrix("t")]), "has two tensors of one name"),
        (gguf_file(chat(), [Matrix("t" * 64)]), "tensor 'ttt"),
        (gguf_file(chat(), [Matrix("t", (256, 1, 1, 1, 1), size=144)]), "of 5 dimensions is none"),
        (gguf_file(chat(), [Matrix("t", (255, 4))]), "has the shape (255, 4), in blocks of 256"),
        (gguf_file(chat(), [Matrix("t", (1 << 62, 4))]), "has the shape"),
    ],
)
def test_what_llama_cpp_would_not_read_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    """gguf_init_from_reader() in ggml/src/gguf.cpp."""
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    began = time.process_time()
    assert words in failure(path)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("counts", [(1 << 40, 0), (0, 1 << 40)])
def test_zeros_behind_a_huge_count_are_not_walked_over(tmp_path: Path, counts: tuple[int, int]) -> None:
    """700 MB of them would be 29 million tensors without a name, and a board's memory."""
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, *counts))
    with path.open("ab") as file:
        file.truncate(700_000_000)
    began = time.process_time()
    assert "is not usable: it has " in failure(path)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "content",
    [
        gguf_file([*chat().items(), ("general.author", b"Jos\xe9"), (b"caf\xe9", 1)]),
        gguf_file(chat(), version=2),
        gguf_file({**chat(), "general.alignment": 64}, [Matrix("t")]),
        gguf_file(chat(), [Matrix("a"), Matrix("empty", (256, 0), size=0), Matrix("b")]),
        gguf_file(chat(), [Matrix("a", (64, 4), 42, 72)]),
        gguf_file(chat(), [Matrix("t" * 63), Matrix(b"\xe9" * 63)]),
    ],
)
def test_what_llama_cpp_reads_is_accepted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content + bytes(64))
    assert read_gguf_info(path).architecture == "llama"


def test_bytes_that_are_no_text_are_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf_file({**chat(), "general.name": b"Jos\xe9"}))
    assert read_gguf_info(path).name == "Jos\\xe9"


def test_the_kinds_of_tensors_are_those_of_the_gguf_package() -> None:
    """It lacks Q2_0, which the pinned llama.cpp has; tests/build looks there."""
    assert {kind: size for kind, size in BLOCKS.items() if kind != 42} == {
        kind.value: size for kind, size in gguf.GGML_QUANT_SIZES.items()
    }


def test_heads_may_differ_by_layer_and_have_a_length_of_their_own(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "granitehybrid")
    writer.add_context_length(1024)
    writer.add_block_count(3)
    writer.add_embedding_length(512)
    writer.add_feed_forward_length([64, 2048, 64])
    writer.add_head_count([0, 8, 8])
    writer.add_head_count_kv([0, 4, 2])
    writer.add_key_length(96)
    writer.add_token_merges(["a b", "b c"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    info = read_gguf_info(tmp_path / "x.gguf")
    assert info.hyperparameters == Hyperparameters(512, 2048, (0, 8, 8), 96, 0, 2)
    assert [layer.cached for layer in info.layers] == [0, 4 * (96 + 64), 2 * (96 + 64)]


def test_a_model_without_attention_has_no_heads(tmp_path: Path) -> None:
    shape = read_gguf_info(write(tmp_path / "x.gguf")).hyperparameters
    assert (shape.head_count, shape.key_length) == ((), 0)
