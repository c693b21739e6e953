"""`python -m deploy.image BOARD [--model smoke|hub|none|FILE] [--size 4G] [--dist FOLDER] [--no-boot]`.

`python -m deploy.image [BOARD] --base FILE|URL [--sha256 SUM]` makes the image of a vendor's.
"""

import argparse
import re
import signal
import sys
import time
from functools import partial
from pathlib import Path

from deploy.controller.progress import DISPLAY
from deploy.controller.step_times import StepTimes
from deploy.controller.verb_parser import verb_parser
from deploy.debian.binfmt import ensure_arm64_runs
from deploy.errors import BoardllamaError
from deploy.image.assembly import make_image
from deploy.image.base.appliance import make_base_image
from deploy.image.base.base_file import obtain_base
from deploy.image.base.board_choice import choose_board
from deploy.image.base.namespace import enter_namespace
from deploy.image.boards import DEBIAN_BOARDS, board_named, debian_board, model_data
from deploy.image.outputs import Outputs
from deploy.models.gguf import architectures
from deploy.models.gguf.header import read_model_header
from deploy.paths import dist_dir

MadeImage = tuple[Outputs, str, tuple[str, ...]]
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def image_arguments() -> argparse.ArgumentParser:
    """The command line of this module."""
    parser = verb_parser(
        "image",
        "Makes a board's disk image, proves and signs it.",
        "raspberry_pi_5",
        "raspberry_pi_4 --model qwen3.5-2b --size 8G",
        "rock_5b --base vendor.img.xz",
    )
    parser.add_argument(
        "board", nargs="?", default="", help=", ".join(board.short_name for board in DEBIAN_BOARDS.values())
    )
    parser.add_argument("--model", default="", help="smoke, hub, none, auto, a name of `make models`, or a .gguf file")
    parser.add_argument(
        "--size", type=size_in_bytes, help="of the whole disk, such as 4G (default: as small as it can be)"
    )
    parser.add_argument("--dist", type=Path, default=dist_dir(), help="where the image goes (dist/)")
    parser.add_argument("--base", default="", help="the vendor's image: a file, or an address with --sha256")
    parser.add_argument("--sha256", default="", help="what the base must be")
    parser.add_argument("--no-boot", action="store_true", help="leave the boot test out")
    return parser


def size_in_bytes(text: str) -> int:
    """The bytes that a text such as 4G or 700M means. Raises ArgumentTypeError for any other text."""
    found = re.fullmatch(r"(\d+)([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number and M or G, such as 4G")
    return int(found[1]) * UNITS[found[2].upper()]


def make_board_image(words: list[str]) -> int:
    """Makes one image and prints PASS. Returns the exit status. Raises BoardllamaError."""
    options, started = image_arguments().parse_args(words), time.monotonic()
    check_model(options.model)
    times = StepTimes.of_run("make image", *words)
    made, judged, lacks = (edit_vendor_image if options.base else make_own_image)(options, words, times)
    times.keep()
    print_files(made)
    title = board_named(made.board).title
    print(f"PASS: {made.image} for a {title}; {judged}; {time.monotonic() - started:.0f} s")
    for lack in lacks:
        print(f"  note: {lack}")
    return 0


def make_own_image(options: argparse.Namespace, _: list[str], times: StepTimes) -> MadeImage:
    """Makes an image of Debian's packages. Returns its files, how it was judged, and what it cannot do on its board.

    Raises BoardllamaError.
    """
    board = debian_board(options.board)
    made = make_image(board, options.model, options.size, options.dist.resolve(), not options.no_boot, times)
    return made, "it booted" if board.has_emulator and not options.no_boot else "its content was checked", board.lacks


def edit_vendor_image(options: argparse.Namespace, words: list[str], times: StepTimes) -> MadeImage:
    """Makes an image of a vendor's, in a mount namespace of its own. As make_own_image."""
    told = board_named(options.board) if options.board else None
    base = obtain_base(options.base, options.sha256)
    ensure_arm64_runs()
    enter_namespace("deploy.image", words)
    choose = partial(choose_board, told, base.path.name)
    made = make_base_image(base, choose, options.model, options.size, options.dist.resolve(), times)
    return made, "its root file system is clean, and all before it as its vendor made it", ()


def check_model(wanted: str) -> None:
    """Raises BoardllamaError for a model file that no board would serve, before minutes of work."""
    if file := model_data(wanted).get("model_path"):
        architectures.check_architecture(read_model_header(Path(file)), Path(file).name)


def print_files(made: Outputs) -> None:
    """A line for each file: its size and its name."""
    for path in made.all_files:
        print(f"  {path.stat().st_size:>12,} bytes  {path.name}")


if __name__ == "__main__":
    # An ended `make image`, or one whose terminal goes, removes what it has begun, as at Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    DISPLAY.own_terminal()
    try:
        sys.exit(make_board_image(sys.argv[1:]))
    except (BoardllamaError, OSError) as error:
        sys.exit(f"FAIL: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing was left behind, and dist/ has the image that it had, or all of the new one")
