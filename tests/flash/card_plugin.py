"""A card that fails in a way that is told, for nbdkit's Python plugin.

    nbdkit python card_plugin.py file=MEMORY size=BYTES [real=BYTES] [mode=wrap|drop|error|rot|keep] [at=BYTE]
                                 [delay=SECONDS] [read_delay=SECONDS] [boot_delay=SECONDS] [pull=BYTES] [log=FILE]

`size` is what it says, `real` what it has: behind that it wraps around, drops what is written, or gives an error.
`rot` changes what is written at `at`; `keep` takes everything, and keeps what it held. `pull`: after so many written
bytes everything is an error. Writes wait `delay`, reads of the block at `at` `read_delay`, and what makes a card boot
(data to its first block) `boot_delay`.
"""

import errno
import os
import time

import nbdkit

API_VERSION = 2
options: dict[str, str] = {}
written = 0


def config(key: str, value: str) -> None:
    """One word of the command line."""
    options[key] = value


def open(readonly: bool) -> int:
    """The handle of a connection: a descriptor of the memory."""
    return os.open(options["file"], os.O_RDWR)


def get_size(handle: int) -> int:
    """What the card says, in bytes."""
    return int(options["size"])


def thread_model() -> int:
    """One request after the other, as a card does."""
    return int(nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS)


def can_flush(handle: int) -> bool:
    """Flushes are in the log."""
    return True


def log_request(word: str, offset: int = 0, size: int = 0, zero: bool = False) -> None:
    """A line in the log: what was asked for, and whether only zeros were written."""
    if "log" in options:
        line = f"{word} {offset} {size} {int(zero)}\n"
        handle = os.open(options["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, line.encode())
        os.close(handle)


def raise_io_error() -> None:
    """Raises what reaches the kernel as EIO."""
    nbdkit.set_error(errno.EIO)
    raise OSError("the card fails")


def is_pulled() -> bool:
    """True when there is no card any more."""
    return written >= int(options.get("pull", 1 << 62))


def memory_offset(offset: int) -> "int | None":
    """Where in the memory an offset really is; None for nowhere."""
    real = int(options.get("real", options["size"]))
    if offset < real:
        return offset
    if options["mode"] == "error":
        raise_io_error()
    return offset % real if options["mode"] == "wrap" else None


def pread(handle: int, view: "bytearray | memoryview", offset: int, flags: int) -> None:
    """Reads by blocks: each may be somewhere else."""
    log_request("read", offset, len(view))
    if offset <= int(options.get("at", -1)) < offset + len(view):
        time.sleep(float(options.get("read_delay", 0)))
    if is_pulled():
        raise_io_error()
    for start in range(0, len(view), 4096):
        where = memory_offset(offset + start)
        size = min(4096, len(view) - start)
        view[start : start + size] = bytes(size) if where is None else os.pread(handle, size, where)


def pwrite(handle: int, view: "bytes | memoryview", offset: int, flags: int) -> None:
    """Writes by blocks, each of which may be lost."""
    global written
    data = bytes(view)
    log_request("write", offset, len(data), not any(data))
    boots = offset == 0 and any(data[:4096])
    time.sleep(float(options.get("boot_delay" if boots else "delay", 0)))
    for start in range(0, len(data), 4096):
        if is_pulled():
            raise_io_error()
        block = data[start : start + 4096]
        if options.get("mode") == "rot" and offset + start == int(options["at"]):
            block = bytes([block[0] ^ 1]) + block[1:]
        where = None if options.get("mode") == "keep" else memory_offset(offset + start)
        if where is not None:
            os.pwrite(handle, block, where)
        written += len(block)


def flush(handle: int, flags: int) -> None:
    """Everything is in its place already."""
    log_request("flush")
    if is_pulled():
        raise_io_error()
