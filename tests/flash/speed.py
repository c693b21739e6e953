"""How fast a card is written, beside bmaptool and dd, in turns on one device: a Markdown table on standard output.

`.venv/bin/python -m tests.flash.speed [ROUNDS]`, as root. The image is 2 GiB with 432 MiB mapped, the content is this
machine's own programs; the card is a loop device with direct I/O. Before each run it is discarded, and caches are
dropped. Only boardllama reads back what it wrote.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.paths import REPO
from tests.flash.images import MIB, ROOT, Recipe, make_image
from tests.flash.loops import Loop, card_file, loop_device

SIZE, MAPPED, PERIOD = 2 << 30, 432 * MIB, 4 * MIB


@dataclass(frozen=True)
class Installed(Recipe):
    """A disk of the size and density of a real image, with what real images hold: programs and libraries."""

    size: int = SIZE
    period: int = PERIOD
    chunk: int = MAPPED // ((SIZE - ROOT - MIB) // PERIOD) // 4096 * 4096

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes; the last block of the first one is the config."""
        content = program_bytes(MAPPED)
        for number, offset in enumerate(range(ROOT, self.size - MIB - self.chunk, self.period)):
            data = content[number * self.chunk : (number + 1) * self.chunk]
            yield offset, data[:-4096] + self.config.ljust(4096, b"\n") if number == 0 else data


def program_bytes(size: int) -> bytes:
    """The first `size` bytes of the programs and libraries that are installed here."""
    content = bytearray()
    for path in sorted(Path("/usr").glob("lib/*/*.so*")) + sorted(Path("/usr/bin").iterdir()):
        if path.is_file() and not path.is_symlink():
            content += path.read_bytes()
        if len(content) >= size:
            return bytes(content[:size])
    raise SystemExit(f"less than {size} bytes of programs are installed here")


def compared_commands(image: Path, card: Loop) -> dict[str, list[str]]:
    """The commands that are compared, by their names in the table."""
    raw, bmap, target = image.with_suffix(""), image.with_name("boardllama-test.bmap"), str(card.path)
    bmaptool = ["bmaptool", "--quiet", "copy", "--bmap", str(bmap)]
    piped = " ".join(dd_command("", target))
    ours = [sys.executable, "-m", "deploy.flash", str(image), "--device", target, "--yes", "--serial", str(card.file)]
    return {
        "boardllama, .zst, with read-back": ours,
        "bmaptool copy, .zst": [*bmaptool, str(image), target],
        "bmaptool copy, raw": [*bmaptool, str(raw), target],
        "dd bs=4M oflag=direct conv=fsync, raw": dd_command(f"if={raw}", target),
        "zstd -dc, dd bs=4M oflag=direct conv=fsync": ["sh", "-c", f"zstd -qdc {image} | {piped}"],
    }


def dd_command(source: str, target: str) -> list[str]:
    """The words of dd; without a source it reads a pipe."""
    tail = ["bs=4M", "oflag=direct", "conv=fsync", "status=none", f"of={target}"]
    return ["dd", source, *tail] if source else ["dd", "iflag=fullblock", *tail]


def time_command(command: list[str], card: Loop | None = None) -> float:
    """Seconds that a command takes. A card is discarded before."""
    if card:
        subprocess.run(["blkdiscard", "--force", str(card.path)], stderr=subprocess.DEVNULL, check=True)
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    began = time.monotonic()
    subprocess.run(command, cwd=REPO, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="boardllama-speed-", dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        os.environ["BOARDLLAMA_KEYS"] = f"{folder}/keys"
        image = make_image(Path(folder, "dist"), Installed())
        changed = make_image(Path(folder, "next"), Installed(config=b"threads = 3"))
        with loop_device(card_file(Path(folder, "card"), SIZE)) as card:
            compared = compared_commands(image, card)
            seconds: dict[str, list[float]] = {name: [] for name in compared}
            for _ in range(rounds):
                for name, command in compared.items():
                    seconds[name].append(time_command(command, card))
            time_command(compared["boardllama, .zst, with read-back"], card)
            again = time_command(compared_commands(changed, card)["boardllama, .zst, with read-back"])
            written = (changed.parent / "results.jsonl").read_text()
    print_table(seconds)
    print(f"\nreflash after changing one config value: {again:.2f} s\n{written}")


def print_table(seconds: dict[str, list[float]]) -> None:
    """Prints a row for each command: its runs, their median, and ours in relation to it."""
    ours = statistics.median(next(iter(seconds.values())))
    print("| | runs, s | median, s | boardllama takes |\n|---|---|---|---|")
    for name, runs in seconds.items():
        median = statistics.median(runs)
        print(f"| {name} | {', '.join(f'{run:.2f}' for run in runs)} | {median:.2f} | {ours / median:.2f}x |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
