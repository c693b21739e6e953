"""Signs of life of a guest, as its host sees them."""

import os
from pathlib import Path

from deploy.vm.machine import Machine

# A guest that hangs takes no processor time but for its timer's ticks. 10 s within some minutes are work.
WORK_SECONDS = 10.0


def sign_of_life(machine: Machine) -> tuple[int, int]:
    """A pair that changes whenever the guest does something: bytes of its console, QEMU's units of WORK_SECONDS."""
    written = machine.console.stat().st_size if machine.console.exists() else 0
    return written, int(processor_seconds(machine.process_id()) // WORK_SECONDS)


def processor_seconds(number: int | None) -> float:
    """Processor time in seconds of the process of that number; 0 where there is none."""
    try:
        # The name in parentheses may hold spaces; utime and stime are the 14th and 15th field.
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
