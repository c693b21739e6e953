"""llama-server for the VM, made while the VM starts: `python -m deploy.stages.vm_build`, for `make up`.

The VM cannot be asked for its processor yet: QEMU's name of it stands in its files. Where the VM turns out to need
another build, its deploy makes that build.
"""

import sys
from runpy import run_path

from pyinfra.api.config import Config
from pyinfra.api.inventory import Inventory
from pyinfra.api.output import set_echo
from pyinfra.api.state import State

from deploy.build.artifact import Build, is_there
from deploy.build.builder import Builder
from deploy.controller.interrupts import INTERRUPTED
from deploy.controller.progress import say_line
from deploy.cpu import CPUS
from deploy.errors import BoardllamaError
from deploy.paths import REPO
from deploy.settings import Settings, settings_from
from deploy.stages.build import attempt_build
from deploy.vm.machine import Hardware, Machine, machine_folder

# The data that pyinfra would find for the host of inventory/qemu.py, in pyinfra's order.
GROUPS = ("all", "qemu")


def vm_settings() -> Settings:
    """What group data says of the VM. Raises BoardllamaError."""
    data: dict[str, object] = {}
    for group in GROUPS:
        data |= run_path(str(REPO / "inventory" / "group_data" / f"{group}.py"))
    return settings_from(data)


def vm_build() -> Build | None:
    """The build of which the VM's deploy is expected to ask; None for a processor of which only the VM can tell."""
    machine, settings = Machine.read(machine_folder()), vm_settings()
    hardware = machine.hardware if machine else Hardware()
    cpu = settings.wanted_cpu or CPUS.get(hardware.cpu)
    return Build(settings.source, cpu) if cpu else None


def ensure_vm_build() -> None:
    """Makes the build on this computer unless it is there. Raises BoardllamaError."""
    build = vm_build()
    if build and not is_there(build):
        set_echo(lambda line="", **_: say_line(str(line)))  # outside its own command pyinfra says nothing
        inventory = Inventory((["@local"], {}))
        State(inventory, Config())
        attempt_build(build, Builder(inventory.get_host("@local")))


if __name__ == "__main__":
    try:
        ensure_vm_build()
    except (BoardllamaError, OSError) as error:
        sys.exit(f"boardllama: {error}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
