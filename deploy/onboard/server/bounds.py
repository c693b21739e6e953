"""What bounds llama-server's memory beside the keys of config.json that do: said at every start, so that no default of
another llama.cpp can change it.

deploy/models/memory/estimate.py counts with these numbers. A llama.cpp that does not know one of the flags refuses to
start, and the release is taken back.
"""

UBATCH = 512  # tokens computed at once

FLAGS = [
    "--kv-unified",  # conversations share the context: each may have all of it while the others have none
    *("--ubatch-size", str(UBATCH), "--flash-attn", "on"),  # a cache that is not f16 needs flash attention
    *("--load-mode", "mmap", "--fit", "off"),  # the context is the one that was counted with, never another
]

# glibc's allocator keeps what requests gave back: one heap for each thread that asked for memory at the same time, and
# more and more of what is big. With one heap, big blocks apart and ends given back at once, 45 s of mixed clients left
# 40 MB instead of 168. Without a cache of small blocks in each of the 64 threads that answer, 2 MB less.
# Thresholds in bytes.
MALLOC = {"arena_max": 1, "mmap_threshold": 1 << 18, "trim_threshold": 1 << 17, "tcache_count": 0}
# A broker's big blocks are bodies, which grow as they come. Thirty at once that grew on the heap up to 256 kB each left
# 2 MB in pieces there.
BROKER_MALLOC = MALLOC | {"mmap_threshold": 1 << 15}


def tunables(malloc: dict[str, int]) -> dict[str, str]:
    """The environment that tells glibc's allocator."""
    return {"GLIBC_TUNABLES": ":".join(f"glibc.malloc.{name}={value}" for name, value in malloc.items())}


ENVIRONMENT, BROKER_ENVIRONMENT = tunables(MALLOC), tunables(BROKER_MALLOC)
