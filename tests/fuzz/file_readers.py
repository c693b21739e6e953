"""Readers of files: models, identities, images, configurations."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.errors import BoardllamaError
from deploy.flash.identities import identities_from_csv
from deploy.flash.results import passed_identities
from deploy.formats.block_map import BlockMap
from deploy.formats.identity_slot import SLOT_BYTES, find_slot, slot_content
from deploy.formats.image_manifest import ImageManifest
from deploy.formats.spans import Span
from deploy.image.base.superblock import read_superblock
from deploy.models.gguf.header import read_model_header
from deploy.models.gguf.info import gguf_info_of
from deploy.models.gguf.model_headers import picture_bytes
from deploy.models.memory.estimate import Serving, estimate_memory
from deploy.onboard.gguf.chat_models import lone_part, model_refusal
from deploy.onboard.gguf.header import GgufError, read_header
from deploy.onboard.identity.boardllama_txt import Identity, parse_identity, read_identity
from deploy.onboard.identity.lines import decode_file
from deploy.onboard.identity.network_files.netplan import netplan_files
from deploy.onboard.identity.network_files.network_manager import manager_files
from deploy.onboard.identity.network_files.networkd import networkd_files
from deploy.onboard.identity.partition import seal_copy, unseal_copy
from deploy.onboard.identity.rules import NAMES, Wrong
from deploy.onboard.identity.secret_lines import without_secrets
from deploy.onboard.places import PLACES
from deploy.onboard.server.config import ConfigError, load_config
from deploy.onboard.server.config_keys import KEYS, config_arguments
from deploy.onboard.service import OLLAMA, ROLES
from tests.fuzz.memory_file import file_of
from tests.fuzz.reader import Reader, require_line
from tests.gguf_bytes import Matrix, chat, gguf
from tests.unit.test_flash_identities import KEY
from tests.unit.test_image_formats import GOOD, SHA256

PIN = "0c1e57098bba43ac29e6e3b677cdceebdd22334f"


def read_gguf_here(data: bytes) -> None:
    """What a board reads: the header, and whether it is to be served."""
    path = file_of("a-00001-of-00002.gguf", data)
    header = read_header(path)
    for role in ROLES:
        require_line(model_refusal(header, PIN, role) or "")
    require_line(lone_part(header, path) or "")


def read_gguf_of_deploy(data: bytes) -> None:
    """What the controller reads beside: facts and memory."""
    header = read_model_header(path := file_of("b.gguf", data))
    picture_bytes(header)
    estimate_memory(gguf_info_of(header, path), Serving(2048, repack=True))


def gguf_examples() -> list[bytes]:
    """Small models: for chat, with lists, split, and two that are none."""
    tokens = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": ["a", "b"], "general.alignment": 32}
    layers = [Matrix(f"blk.0.{name}.weight") for name in ("attn_q", "ffn_up")]
    return [
        gguf(chat()),
        gguf(chat("qwen2", attention__head_count=[4], feed_forward_length=512) | tokens, layers),
        gguf(chat("gemma3", attention__sliding_window=512) | {"split.count": 2, "split.no": 0}),
        gguf({"general.architecture": "clip", "clip.vision.image_size": 224, "clip.vision.patch_size": 14}),
        b"PK\x03\x04 a zip",
    ]


def read_boardllama_txt(data: bytes) -> None:
    """What a board reads, what it tells of mistakes, and what its system is told; what is written is read back."""
    text = decode_file(data)
    identity, problems = read_identity(text)
    for problem in problems:
        require_line(str(problem))
    without_secrets(text, identity)
    again = parse_identity(identity.render())
    if again.entries != ordered(identity).entries:
        raise AssertionError(f"{again} is read back for {identity}")
    for files in (networkd_files, manager_files, lambda told, places: netplan_files(told, places, "wlan0")):
        try:
            files(identity, PLACES)
        except Wrong as error:
            require_line(str(error))


def ordered(identity: Identity) -> Identity:
    """The identity with its entries in the order in which they are written."""
    names = list(NAMES)
    return replace(identity, entries=tuple(sorted(identity.entries, key=lambda entry: names.index(entry[0]))))


def identity_examples() -> list[bytes]:
    """Files as people write them, in three encodings."""
    full = (
        f"hostname = kitchen\nssh_key = {KEY}\nwifi_ssid = Home\nwifi_password = correct horse\nwifi_country = DE\n"
        "address = 192.168.1.20/24\ngateway = 192.168.1.1\ndns = 192.168.1.1\ndns = fd00::1\napi_key = generate\n"
        "timezone = Europe/Berlin\n"
    )
    kept = '# boardllama.txt, format 1: x\n# wifi_password: applied\nwifi_ssid = "Ho me"\naddress = fd00::2/64\n'
    return [full.encode(), f"\ufeff{full}".encode("utf-16"), kept.replace("\n", "\r\n").encode(), b"{\\rtf1 hostname}"]


def read_boards_csv(data: bytes) -> None:
    """What `make flash CSV=` reads, before any card."""
    identities_from_csv(file_of("boards.csv", data), [("timezone", "UTC")])


def csv_examples() -> list[bytes]:
    """Tables as spreadsheets write them."""
    return [
        b"hostname,timezone\nkitchen,Europe/Berlin\n\ncellar,\n",
        b'hostname;wifi_ssid;wifi_password\r\nkitchen;home;"correct ""horse"\r\nhall;home;correct horse\r\n',
        f"hostname,ssh_key,address,gateway,api_key\nhall,{KEY},10.0.0.2/24,10.0.0.1,generate\n".encode(),
        b"hostname,ssh_key\nhall,/dev/null\n",
    ]


def read_manifest(data: bytes) -> None:
    """What is signed of an image; what is written is read back."""
    written = ImageManifest.parse(data).render()
    if ImageManifest.parse(written).render() != written:
        raise AssertionError("it is not read back as it was written")


def read_block_map(data: bytes) -> None:
    """The block map of an image; what is written in blocks of ours is read back."""
    found = BlockMap.parse(data)
    _ = found.mapped_spans, found.hole_spans
    if found.ranges and all(mapped.span.start % 4096 == 0 for mapped in found.ranges):
        BlockMap.parse(found.render())


def block_map_examples() -> list[bytes]:
    """A map of ours, and one of bmaptool."""
    ours = (
        f'<?xml version="1.0" ?>\n<bmap version="2.0">\n<ImageSize> 1048576 </ImageSize>\n<BlockSize> 4096 </BlockSize>'
        f'\n<ChecksumType> sha256 </ChecksumType>\n<BlockMap>\n<Range chksum="{SHA256}"> 0-3 </Range>\n'
        f'<Range chksum="{SHA256}"> 9 </Range>\n</BlockMap>\n</bmap>\n'
    )
    entity = (
        b'<?xml version="1.0" encoding="utf-8"?><!DOCTYPE b [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><bmap>&b;</bmap>'
    )
    return [ours.encode(), BlockMap.parse(ours.encode()).render(), entity]


def read_slot(data: bytes) -> None:
    """Where boardllama.txt lies in an image without a FAT."""
    disk = file_of("disk", data)
    find_slot(disk, Span(0, len(data)), slot_content("hostname = a\n"))


def slot_examples() -> list[bytes]:
    """A disk that has it, once and twice."""
    slot = slot_content("hostname = a\n")
    return [bytes(8192) + slot, slot + bytes(4096) + slot, bytes(SLOT_BYTES)]


def read_config_json(data: bytes) -> None:
    """config.json at a start of the server, up to the words of the program that the kernel gets."""
    service = replace(OLLAMA, config=file_of("config.json", data), api_key=Path("/nonexistent"))
    for word in config_arguments(load_config(service)):
        if b"\0" in os.fsencode(word):
            raise AssertionError("no program can be started with that")


def read_key_file(data: bytes) -> None:
    """The file of API keys, beside a config that needs one."""
    config = file_of("config.json", b'{"server": {"host": "0.0.0.0"}}')
    load_config(replace(OLLAMA, config=config, api_key=file_of("api-key", data)))


def config_examples() -> list[bytes]:
    """All keys at their defaults, all keys with a value, and a few."""
    usual = {section: {name: key.default for name, key in keys.items()} for section, keys in KEYS.items()}
    more: dict[str, Any] = {"models": {"chat_template": "{{ messages }}", "alias": "a/b", "default_cores": "0,2-3"}}
    more |= {"inference": {"extra_arguments": ["--seed", "7"], "top_p": 0.5}, "server": {"host": "::1"}}
    return [json.dumps(one).encode() for one in (usual, more, {"server": {"port": 80}})]


def read_results(data: bytes) -> None:
    """The record of cards that were written."""
    passed_identities(file_of("results.jsonl", data), SHA256)


def read_vendor_superblock(data: bytes) -> None:
    """The superblock of a vendor's root file system."""
    read_superblock(file_of("root", data), 0)


def read_sealed_copy(data: bytes) -> None:
    """The copy of boardllama.txt that a power cut left."""
    unseal_copy(data)


def superblock_example() -> bytes:
    raw = bytearray(2048)
    raw[1024 + 0x38 : 1024 + 0x3A] = b"\x53\xef"
    return bytes(raw)


MODEL_WORDS = tuple(
    b"GGUF general.architecture llama bert split.count general.alignment tokenizer.ggml.pre clip".split()
)
CSV_WORDS = (b"/dev/zero", b"/dev/stdin", b"/proc/self/mem", b"~nobody-here/x", b"ssh-ed25519 AAAA", b'"', b"hostname")
RESULT = {"image_sha256": SHA256, "identity": {"hostname": "a"}, "verdict": "PASS"}

FILE_READERS = (
    Reader("gguf", read_gguf_here, gguf_examples, (GgufError,), MODEL_WORDS, 8),
    Reader("gguf-deploy", read_gguf_of_deploy, gguf_examples, (BoardllamaError,), MODEL_WORDS, 6),
    Reader("boardllama.txt", read_boardllama_txt, identity_examples, (), tuple(n.encode() for n in NAMES), 3),
    Reader("csv", read_boards_csv, csv_examples, (BoardllamaError,), CSV_WORDS, 2),
    Reader("image-manifest", read_manifest, lambda: [json.dumps(GOOD).encode()], (BoardllamaError,), (), 6),
    Reader("block-map", read_block_map, block_map_examples, (BoardllamaError,), (b"<!ENTITY", b'encoding="x"'), 6),
    Reader("identity-slot", read_slot, slot_examples, (BoardllamaError,), (), 6),
    Reader("config.json", read_config_json, config_examples, (ConfigError,), (), 6),
    Reader("api-key", read_key_file, lambda: [b"secret-key\n", b"# x\nkey\n"], (ConfigError,), (), 6),
    Reader("card-results", read_results, lambda: [json.dumps(RESULT).encode() + b"\n"], (), (), 6),
    Reader("superblock", read_vendor_superblock, lambda: [superblock_example()], (BoardllamaError,), (), 8),
    Reader("sealed-copy", read_sealed_copy, lambda: [seal_copy(b"hostname = a\n", 13), b"0\nx"], (), (), 8),
)
