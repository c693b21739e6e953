"""`python -m deploy.vm up | ssh [command…] | log | status | reboot | down [--wipe]`.

$BOARDLLAMA_VM names the machine (default: dev).
"""

import argparse
import os
import signal
import sys

from deploy.controller.interrupts import INTERRUPTED
from deploy.controller.verb_parser import verb_parser
from deploy.errors import BoardllamaError
from deploy.vm.lifecycle import print_log, print_status, reboot_machine, start_machine, stop_machine
from deploy.vm.machine import Hardware, Machine


def vm_arguments() -> argparse.ArgumentParser:
    """The command line of this module."""
    parser = verb_parser(
        "vm", "The QEMU arm64 machine.", "up --cpu cortex-a53 --cores 4 --memory 1024", "ssh uname -a", "log"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    starting = verbs.add_parser("up", help="start it and wait until it runs")
    starting.add_argument("--cpu", help="QEMU's name of the CPU (cortex-a76)")
    starting.add_argument("--cores", type=int, help="number of CPUs (2)")
    starting.add_argument("--memory", type=int, help="MiB (2048)")
    entering = verbs.add_parser("ssh", help="a shell or a command in it")
    entering.add_argument("command", nargs=argparse.REMAINDER)
    verbs.add_parser("log", help="what its console has said")
    verbs.add_parser("status", help="whether it is up, and how to reach it")
    verbs.add_parser("reboot", help="restart the guest and wait until it runs")
    ending = verbs.add_parser("down", help="power it off")
    ending.add_argument("--wipe", action="store_true", help="remove its disk and its key too")
    return parser


def run_vm_verb(words: list[str]) -> int:
    """Runs one command. Returns the exit status. Raises BoardllamaError."""
    options = vm_arguments().parse_args(words)
    if options.verb == "up":
        wanted = {key: value for key, value in vars(options).items() if key != "verb" and value is not None}
        start_machine(hardware=Hardware(**wanted) if wanted else None)
    elif options.verb == "ssh":
        machine = Machine.load()
        os.execvp("ssh", ["ssh", "-F", str(machine.ssh_config), machine.name, *options.command])
    elif options.verb == "log":
        print_log()
    elif options.verb == "status":
        return print_status()
    elif options.verb == "reboot":
        reboot_machine()
    else:
        stop_machine(wipe=options.wipe)
    return 0


if __name__ == "__main__":
    # So that an ended `up` ends what it has started, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(run_vm_verb(sys.argv[1:]))
    except (BoardllamaError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
