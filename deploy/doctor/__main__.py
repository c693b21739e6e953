"""`python -m deploy.doctor HOST`: why does this board not serve? From outside first, then by the board itself over SSH.

The programs that look come from here: a board of any age, also without a release, is looked at by the newest
programs. HOST is [user@]name-or-address[:port], or qemu for the VM of this folder.
"""

import argparse
import json
import sys
from collections.abc import Iterable

from deploy.controller.verb_parser import verb_parser
from deploy.doctor.network_checks import (
    SshDestination,
    check_login,
    check_name,
    check_ping,
    check_route,
    check_ssh_port,
    find_destination,
)
from deploy.doctor.remote_doctor import run_remote_doctor
from deploy.errors import BoardllamaError
from deploy.onboard.doctor.lights import Light, Line, bad
from deploy.onboard.doctor.screen import exit_status, line_values, render_screen, screen_from_json
from deploy.paths import typed

UNREACHABLE = f"""\
The board cannot be reached. Look at these, in this order:
 1 power   its power light is on and stays on; take its own power supply and a short cable
 2 boot    its activity light flickers for a minute after power on. Never: the card is not read: press it in again,
           or write it again with {typed("flash")}
 3 time    the first boot takes up to three minutes: wait, and run this again
 4 cable   the lights at the network socket are on; try another cable, another port. Wi-Fi: wifi_… of boardllama.txt
 5 name    the router's list of devices shows the board, as its hostname or boardllama-XXXXXX: run this again with
           its address. This computer must be in the same network
 6 card    put it into a computer: boardllama-errors.txt beside boardllama.txt says what is wrong with that file
 7 screen  with a screen on the board the same is shown while it boots"""


def doctor_arguments() -> argparse.ArgumentParser:
    """The command line of this module."""
    parser = verb_parser("doctor", "Why does this board not serve?", "kitchen.local", "pi@192.168.1.20:22 --json")
    parser.add_argument("host", metavar="HOST", help="[user@]name-or-address[:port], or qemu")
    parser.add_argument("--json", action="store_true")
    return parser


def examine_board(host: str, as_json: bool) -> int:
    """Prints what this computer sees of the board, and what the board says of itself.

    Returns the exit status: 1 when a line is red.
    """
    board = find_destination(host)
    outside = list(from_outside(board))
    title = ""
    inside: tuple[Line, ...] = ()
    if not any(line.light is Light.BAD for line in outside):
        try:
            title, inside = screen_from_json(run_remote_doctor(board))
        except BoardllamaError as error:
            outside.append(Line("board", *bad(str(error), "log in by hand and look: the system itself is not well")))
        except (ValueError, KeyError):
            outside.append(Line("board", *bad("its answer cannot be read", "run this again; is its disk full?")))
    if as_json:
        print(json.dumps({"host": host, "outside": line_values(outside), "lines": line_values(inside)}))
    else:
        print(render_screen(f"{host}, seen from here", outside, sys.stdout.isatty()))
        print(render_screen(f"\n{title}", inside, sys.stdout.isatty()) if inside else unreachable_advice(outside))
    return exit_status([*outside, *inside])


def from_outside(board: SshDestination) -> Iterable[Line]:
    """A line for each check from this computer. A red line is the last: no later check could succeed."""
    direct = (("name", check_name), ("ping", check_ping), ("port", check_ssh_port))
    for what, check in (*((("way", check_route),) if board.through else direct), ("login", check_login)):
        line = Line(what, *check(board))
        yield line
        if line.light is Light.BAD:
            return


def unreachable_advice(outside: Iterable[Line]) -> str:
    """What to look at where the board's name or port leads nowhere; "" where the lines say it themselves."""
    return (
        f"\n{UNREACHABLE}" if any(line.name in ("name", "port") and line.light is Light.BAD for line in outside) else ""
    )


def diagnose_host(words: list[str]) -> int:
    """Runs one command line. Returns the exit status. Raises BoardllamaError for a HOST that is no host."""
    options = doctor_arguments().parse_args(words)
    return examine_board(options.host, options.json)


if __name__ == "__main__":
    try:
        sys.exit(diagnose_host(sys.argv[1:]))
    except (BoardllamaError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing was changed")
