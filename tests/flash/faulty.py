"""Cards that fail: an nbdkit plugin as a file (nbdfuse), with a loop device over it."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.flash.loops import Loop, loop_device

PLUGIN = Path(__file__).with_name("card_plugin.py")
DEADLINE = 120.0  # seconds; only a run that hangs takes as long


@contextmanager
def faulty_card(memory: Path, **options: object) -> Iterator[Loop]:
    """The card whose memory is this file; `options` as in card_plugin.py, without `file`."""
    options = {"size": memory.stat().st_size, **options}
    shown = memory.with_suffix(".card")
    shown.touch()
    words = [f"{name}={value}" for name, value in options.items()]
    server = ["nbdkit", "-s", "python", str(PLUGIN), f"file={memory}", *words]
    fuse = subprocess.Popen(["nbdfuse", str(shown), "--command", *server], stderr=subprocess.DEVNULL)
    try:
        await_size(shown, int(str(options["size"])), fuse)
        with loop_device(shown) as card:
            yield card
    finally:
        subprocess.run(["fusermount3", "-u", "-z", str(shown)], check=False)
        fuse.wait(DEADLINE)


def await_size(shown: Path, size: int, fuse: "subprocess.Popen[bytes]") -> None:
    """Returns when the card is there with its size."""
    deadline = time.monotonic() + DEADLINE
    while shown.stat().st_size != size:
        assert fuse.poll() is None, f"nbdfuse ended with {fuse.returncode}"
        assert time.monotonic() < deadline, f"nbdfuse shows no card after {DEADLINE:.0f} s"
        time.sleep(0.02)
