"""`python -m deploy.doctor HOST`: why does this board not serve? From outside first, then by the board itself over SSH.

The programs that look come from here, so that a board of any age, or one that has no release, is looked at by the
newest. HOST is [user@]name-or-address[:port], or qemu for the VM of this folder.
"""

import argparse
import json
import sys
from collections.abc import Iterable

from deploy.doctor.network_checks import Board, board_of, login, name, ping, port, way
from deploy.doctor.remote_doctor import visit
from deploy.errors import BoardllamaError
from deploy.onboard.doctor.lights import Light, Line, bad
from deploy.onboard.doctor.screen import lines_of, screen, status, values

UNREACHABLE = """\
The board cannot be reached. Look at these, in this order:
 1 power   its power light is on and stays on; take its own power supply and a short cable
 2 boot    its activity light flickers for a minute after power on. Never: the card is not read: press it in again,
           or write it again with `make flash`
 3 time    the first boot takes up to three minutes: wait, and run this again
 4 cable   the lights at the network socket are on; try another cable, another port. Wi-Fi: wifi_… of boardllama.txt
 5 name    the router's list of devices shows the board, as its hostname or boardllama-XXXXXX: run this again with
           HOST=its address. This computer must be in the same network
 6 card    put it into a computer: boardllama-errors.txt beside boardllama.txt says what is wrong with that file
 7 screen  with a screen on the board the same is shown while it boots"""


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.doctor", description="Why does this board not serve?")
    parser.add_argument("host", metavar="HOST", help="[user@]name-or-address[:port], or qemu")
    parser.add_argument("--json", action="store_true")
    return parser


def doctor(host: str, as_json: bool) -> int:
    """The exit status: 1 when a line is red."""
    board = board_of(host)
    outside = list(from_outside(board))
    title = ""
    inside: tuple[Line, ...] = ()
    if not any(line.light is Light.BAD for line in outside):
        try:
            title, inside = lines_of(visit(board))
        except BoardllamaError as error:
            outside.append(Line("board", *bad(str(error), "log in by hand and look: the system itself is not well")))
        except (ValueError, KeyError):
            outside.append(Line("board", *bad("its answer cannot be read", "run this again; is its disk full?")))
    if as_json:
        print(json.dumps({"host": host, "outside": values(outside), "lines": values(inside)}))
    else:
        print(screen(f"{host}, seen from here", outside, sys.stdout.isatty()))
        print(screen(f"\n{title}", inside, sys.stdout.isatty()) if inside else unreached(outside))
    return status([*outside, *inside])


def from_outside(board: Board) -> Iterable[Line]:
    """Up to the first thing that stands in the way of all that follows."""
    direct = (("name", name), ("ping", ping), ("port", port))
    for what, check in (*((("way", way),) if board.through else direct), ("login", login)):
        line = Line(what, *check(board))
        yield line
        if line.light is Light.BAD:
            return


def unreached(outside: Iterable[Line]) -> str:
    """What to look at where the network says nothing more; a board that answered has said it."""
    return (
        f"\n{UNREACHABLE}" if any(line.name in ("name", "port") and line.light is Light.BAD for line in outside) else ""
    )


def main(words: list[str]) -> int:
    """Runs it. Raises BoardllamaError when there is no such host to ask about."""
    options = arguments().parse_args(words)
    return doctor(options.host, options.json)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (BoardllamaError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing was changed")
