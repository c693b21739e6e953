"""A projector of 100 KB with random weights: it makes a token of a small model of each 28 x 28 points of a picture, at
least 64, and at most as many as llama-server is told.
"""

from pathlib import Path

import gguf
import numpy as np

WIDTH, FEED_FORWARD, HEADS, LAYERS, SIDE, PATCH, MERGED = 32, 64, 4, 2, 56, 14, 2


def write_projector(path: Path, model_width: int) -> Path:
    """Writes it for a model whose embeddings have that width: SigLIP, two layers, as LFM2's, in llama.cpp's names."""
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "lfm2")
    sizes = {"image_size": SIDE, "patch_size": PATCH, "embedding_length": WIDTH, "block_count": LAYERS}
    sizes |= {"feed_forward_length": FEED_FORWARD, "projection_dim": model_width, "attention.head_count": HEADS}
    sizes["projector.scale_factor"] = MERGED
    for name, size in sizes.items():
        writer.add_uint32(f"clip.vision.{name}", size)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    for name in ("image_mean", "image_std"):
        writer.add_array(f"clip.vision.{name}", [0.5, 0.5, 0.5])
    writer.add_bool("clip.use_gelu", True)
    random = np.random.default_rng(20)
    for name, shape in tensor_shapes(model_width).items():
        writer.add_tensor(name, (random.standard_normal(shape) * 0.05).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tensor_shapes(model_width: int) -> dict[str, tuple[int, ...]]:
    """Rows and columns by name, as tools/mtmd/clip.cpp asks for them."""
    patches = (SIDE // PATCH) ** 2
    first = {"patch_embd.weight": (WIDTH, 3, PATCH, PATCH), "patch_embd.bias": (WIDTH,)}
    first |= {"position_embd.weight": (patches, WIDTH), "post_ln.weight": (WIDTH,), "post_ln.bias": (WIDTH,)}
    shapes: dict[str, tuple[int, ...]] = {f"v.{name}": shape for name, shape in first.items()}
    matrices = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_out"), (WIDTH, WIDTH))
    matrices |= {"ffn_up": (FEED_FORWARD, WIDTH), "ffn_down": (WIDTH, FEED_FORWARD)}
    for layer in range(LAYERS):
        for name, shape in matrices.items():
            shapes |= {f"v.blk.{layer}.{name}.weight": shape, f"v.blk.{layer}.{name}.bias": shape[:1]}
        for name in ("ln1", "ln2"):
            shapes |= {f"v.blk.{layer}.{name}.{part}": (WIDTH,) for part in ("weight", "bias")}
    for number, rows, columns in ((1, FEED_FORWARD, WIDTH * MERGED**2), (2, model_width, FEED_FORWARD)):
        shapes |= {f"mm.{number}.weight": (rows, columns), f"mm.{number}.bias": (rows,)}
    return shapes
