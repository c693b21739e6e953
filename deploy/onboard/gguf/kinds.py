"""What the pinned llama.cpp reads in a GGUF file: kinds of values and of tensors (ggml/include/ggml.h, ggml-common.h).

tests/build compares the tensors with the source that was built.
"""

import struct

ALIGNMENT = 32  # bytes, where a file says none
LONGEST_NAME = 63  # bytes of a tensor's name: GGML_MAX_NAME has a closing zero
DIMENSIONS = 4  # GGML_MAX_DIMS
MOST_ENTRIES = 1 << 30  # of one list: GGUF_MAX_ARRAY_ELEMENTS
STRING, ARRAY = 8, 9

# Kind of value -> layout. A bool is any byte.
SCALARS = {
    kind: struct.Struct(f"<{layout}") for kind, layout in zip((*range(8), 10, 11, 12), "BbHhIif?Qqd", strict=True)
}

# Kind of tensor -> weights of a block, and its bytes.
BLOCKS = {
    **{0: (1, 4), 1: (1, 2), 30: (1, 2), 28: (1, 8)},  # F32 F16 BF16 F64
    **{24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8)},  # I8 I16 I32 I64
    **{2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40)},  # Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q8_1
    **{10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292)},  # Q2_K to Q8_K
    **{16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18)},  # IQ2_XXS IQ2_XS IQ3_XXS IQ1_S IQ4_NL
    **{21: (256, 110), 22: (256, 82), 23: (256, 136), 29: (256, 56)},  # IQ3_S IQ2_S IQ4_XS IQ1_M
    **{34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36)},  # TQ1_0 TQ2_0 MXFP4 NVFP4
    **{41: (128, 18), 42: (64, 18)},  # Q1_0 Q2_0
}

# Kinds that llama.cpp once had, their names, and what it says to take instead.
REMOVED = {
    4: ("Q4_2", "Q4_0"),
    5: ("Q4_3", "Q4_0"),
    31: ("Q4_0_4_4", "Q4_0"),
    32: ("Q4_0_4_8", "Q4_0"),
    33: ("Q4_0_8_8", "Q4_0"),
    36: ("IQ4_NL_4_4", "Q4_0 or IQ4_NL"),
    37: ("IQ4_NL_4_8", "Q4_0 or IQ4_NL"),
    38: ("IQ4_NL_8_8", "Q4_0 or IQ4_NL"),
}

# What people really get in place of a model, by its first 16 bytes, small letters as capital ones.
LOOKALIKES = {
    rb"(\xef\xbb\xbf)?\s*<": "an HTML or XML page",
    rb"\s*version https:": "a Git LFS pointer (the clone was made without git lfs)",
    rb"\s*{": "JSON text",
    rb".{7}\0{": "safetensors (convert_hf_to_gguf.py makes a GGUF file of a folder of them)",
    rb"PK\x03\x04|\x80\x02": "a zip archive or a pickle (PyTorch weights?)",
    rb"\x1f\x8b|\x28\xb5\x2f\xfd|\xfd7zXZ": "a compressed file",
    rb"\x7fELF": "an ELF program",
    rb"(tj|fm|lm|al)gg": "a model or an adapter in a format before GGUF",
    rb"\0{4}": "zeros (a file that was never filled)",
}
