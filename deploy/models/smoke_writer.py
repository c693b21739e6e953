"""The bytes of the smoke model.

Every weight is an odd integer from a SHAKE-256 stream over a power of two, which F16 holds exactly: no rounding, no
libm, no random generator of a library takes part, so the bytes are the same on every controller.
"""

import hashlib
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from deploy.models import smoke

_WIDTH, _LAYERS, _HEADS, _FEED_FORWARD = 64, 2, 2, 128
_CONTROL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
_UNK, _BOS, _EOS, _IM_END = 0, 1, 2, 4
_SPACE = "\u2581"  # how SentencePiece writes the space before a word

_CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_TEXT = """
a about above after again air all along also always am an and answer any are around as ask at away back bag ball bank
be been before begin below best better between big bird black blue board boat body book both box boy bread bring
brother brown build bus but buy by call came can car card care carry cat chair child city clean clear clock close cloud
cold come cook corn could country cow cut dark day dear deep did do dog door down draw dream drink dry each ear early
earth east easy eat egg end even evening every eye face fall family far farm fast father field find fire first fish
five fly food foot for forest four fox free fresh friend from full game garden gave get girl give glass go gold good
grass great green ground grow had hair half hand happy hard has hat have he head hear heart help her here high hill him
his hold home hope horse hot hour house how ice if in is island it jump keep kind king know lake land large last late
laugh learn leave left less let letter light like line little live long look love low made make man many map may me
meet milk minute moon more morning most mother mountain mouth move much music must my name near need new next night no
north not now ocean of off often old on one only open or other our out over own page paper park part people piece place
plain plant play point poor pull put queen question quick quiet rain read ready real red rest rice rich ride right
river road rock room round run said sail same sand saw say school sea second see seed send seven she ship short show
side silver simple sing sister sit six sky sleep slow small smile snow so some song soon sound south spring stand star
stay step stone stop story street strong summer sun sure table take talk tall tell ten than that the their them then
there they thing think this three through time to today together told too took town train travel tree true try turn two
under until up us very voice wait walk wall want warm was watch water way we well went were west wheel when where which
white who why wide wind window winter wish with wood word work world would write year yellow yes you young your
"""
_WORDS = _TEXT.split()


def write_gguf(path: Path) -> None:
    """Writes the smoke model to path. The caller proves its bytes, syncs and renames."""
    vocabulary = vocabulary_pieces()
    writer = gguf.GGUFWriter(path, "llama")
    _add_shape(writer, len(vocabulary))
    add_tokenizer(writer, vocabulary)
    _add_weights(writer, vocabulary)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: gguf.GGUFWriter, n_vocabulary: int) -> None:
    writer.add_name(smoke.NAME)
    writer.add_description("Random weights for tests. What it says means nothing.")
    writer.add_license("mit")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(smoke.CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(n_vocabulary)


def vocabulary_pieces() -> dict[str, gguf.TokenType]:
    """Piece to kind, in the order of the token ids: control, the 256 bytes, whole words, characters, word beginnings.

    The 256 bytes make any UTF-8 prompt possible. Beginnings ("▁b", "▁bo", ...) are the steps on which SentencePiece
    merges characters to a word, so that the words are found in prompts too.
    """
    words = [_SPACE + word for word in _WORDS] + [",", "."]
    characters = [_SPACE] + [chr(code) for code in range(33, 127)]
    beginnings = [word[:end] for word in words for end in range(2, len(word))]
    vocabulary = dict.fromkeys(_CONTROL, gguf.TokenType.CONTROL)
    vocabulary["<unk>"] = gguf.TokenType.UNKNOWN
    vocabulary |= dict.fromkeys((f"<0x{byte:02X}>" for byte in range(256)), gguf.TokenType.BYTE)
    return vocabulary | dict.fromkeys([*words, *characters, *beginnings], gguf.TokenType.NORMAL)


def add_tokenizer(writer: gguf.GGUFWriter, vocabulary: dict[str, gguf.TokenType]) -> None:
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(vocabulary))
    writer.add_token_scores([float(-index) for index in range(len(vocabulary))])
    writer.add_token_types(list(vocabulary.values()))
    writer.add_bos_token_id(_BOS)
    writer.add_eos_token_id(_EOS)
    writer.add_eot_token_id(_IM_END)
    writer.add_unk_token_id(_UNK)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(True)
    writer.add_chat_template(_CHAT_TEMPLATE)


def _add_weights(writer: gguf.GGUFWriter, vocabulary: dict[str, gguf.TokenType]) -> None:
    """Tensor shapes in rows x columns. The exponents keep activations near 1 and the best words clearly ahead."""
    n = len(vocabulary)
    writer.add_tensor("token_embd.weight", _random_weights("token_embd", n, _WIDTH, 7))
    writer.add_tensor("output_norm.weight", np.ones(_WIDTH, np.float32))
    writer.add_tensor("output.weight", _words_only(_random_weights("output", n, _WIDTH, 7), list(vocabulary)))
    for layer in range(_LAYERS):
        name = f"blk.{layer}"
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{name}.{norm}.weight", np.ones(_WIDTH, np.float32))
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"{name}.{part}.weight", _random_weights(f"{name}.{part}", _WIDTH, _WIDTH, 9))
        for part in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"{name}.{part}.weight", _random_weights(f"{name}.{part}", _FEED_FORWARD, _WIDTH, 10))
        writer.add_tensor(f"{name}.ffn_down.weight", _random_weights(f"{name}.ffn_down", _WIDTH, _FEED_FORWARD, 10))


def _random_weights(name: str, rows: int, columns: int, exponent: int) -> npt.NDArray[np.float16]:
    """Odd integers between -255 and 255 over 2**exponent, the same for the same name."""
    stream = hashlib.shake_256(f"{smoke.NAME}/{name}".encode()).digest(rows * columns)
    odd = np.frombuffer(stream, np.uint8).astype(np.int32) * 2 - 255
    weights: npt.NDArray[np.float16] = (odd / np.float32(2**exponent)).astype(np.float16)
    return weights.reshape(rows, columns)


def _words_only(output: npt.NDArray[np.float16], pieces: list[str]) -> npt.NDArray[np.float16]:
    """Rows of all but whole words and punctuation become zero: greedy output is readable and never ends early."""
    wanted = {_SPACE + word for word in _WORDS} | {",", "."}
    output[[piece not in wanted for piece in pieces]] = 0
    return output
