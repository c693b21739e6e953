"""The QEMU arm64 machine that `make vm` starts. `pyinfra inventory/qemu.py deploy.py`"""

from pyinfra.api import DeployError

from deploy.errors import BoardllamaError
from deploy.vm.machine import Machine

try:
    _vm = Machine.load()
except BoardllamaError as error:
    raise DeployError(str(error)) from None

builders = ["@local"]
targets = [
    (
        _vm.name,
        {
            "ssh_hostname": "127.0.0.1",
            "ssh_port": _vm.ssh_port,
            "ssh_user": "root",
            "ssh_key": str(_vm.ssh_key),
            "ssh_known_hosts_file": str(_vm.known_hosts),
        },
    )
]
# The kind of board: what group_data/qemu.py says holds for this machine and for its image.
qemu = targets
