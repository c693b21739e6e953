"""How fast this board reads its memory: what bounds tokens per second, since each token reads the weights once.

A board has no compiler, so the kernel is the C library's own: memchr(3) over a buffer that lacks the byte reads every
byte once and writes none, in NEON. memmove(3) reads and writes each: its bytes count twice. The greater of the two is
the figure. Buffers are many times larger than the last cache. The calls leave Python's lock, so threads of one process
run at the same time, each on a core of its own.
"""

import ctypes
import mmap
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

BUFFER = 64 << 20  # bytes of all cores together, for each of the two kernels
PASSES = 3
SECONDS = 0.2  # of a pass, at least
FILLED, SOUGHT = 0x41, 0x42


def memory_bandwidth(cores: Sequence[int], free: int) -> float:
    """Bytes per second that these cores move at most, together. `free`: bytes of memory that may be used.

    Half of the cores may be as fast as all of them, or faster.
    """
    buffer = min(BUFFER, free // 4)
    counts = sorted({max(1, len(cores) // 2), len(cores)})
    rates = [pass_rate(cores[:count], buffer // count, kernel) for count in counts for kernel in (read_all, copy_half)]
    return max(rates)


def pass_rate(cores: Sequence[int], size: int, kernel: "Kernel") -> float:
    """Bytes per second of the best of PASSES, each core with a buffer of `size` bytes."""
    barrier = Barrier(len(cores))

    def work(core: int) -> list[tuple[float, float, int]]:
        os.sched_setaffinity(0, {core})  # of this thread
        with mmap.mmap(-1, max(size, mmap.PAGESIZE)) as data:
            space = (ctypes.c_char * len(data)).from_buffer(data)
            ctypes.memset(space, FILLED, len(data))
            try:
                return [timed_pass(space, kernel, barrier) for _ in range(PASSES)]
            finally:
                del space

    with ThreadPoolExecutor(len(cores)) as pool:
        return max(map(together_rate, zip(*pool.map(work, cores), strict=True)))


def together_rate(passes: Sequence[tuple[float, float, int]]) -> float:
    """Bytes per second of the cores together: each pass as `timed_pass` returns it."""
    seconds = max(end for _, end, _ in passes) - min(begin for begin, _, _ in passes)
    return sum(moved for _, _, moved in passes) / seconds


def timed_pass(space: "ctypes.Array[ctypes.c_char]", kernel: "Kernel", barrier: Barrier) -> tuple[float, float, int]:
    """Begin and end of a pass (time.perf_counter), and bytes that it moved."""
    barrier.wait()
    began, moved = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        moved += kernel(space)
    return began, time.perf_counter(), moved


Kernel = Callable[["ctypes.Array[ctypes.c_char]"], int]
LIBC = ctypes.CDLL(None)
LIBC.memchr.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
LIBC.memmove.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


def read_all(space: "ctypes.Array[ctypes.c_char]") -> int:
    """Reads the buffer. Returns the bytes that moved."""
    LIBC.memchr(ctypes.addressof(space), SOUGHT, len(space))
    return len(space)


def copy_half(space: "ctypes.Array[ctypes.c_char]") -> int:
    """Copies one half of the buffer over the other. Returns the bytes that moved."""
    half = len(space) // 2
    LIBC.memmove(ctypes.addressof(space) + half, ctypes.addressof(space), half)
    return 2 * half
