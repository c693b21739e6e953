"""The QEMU arm64 machine that `make vm` starts. `pyinfra inventory/qemu.py deploy.py`"""

from pyinfra.api import DeployError

from deploy.errors import BoardllamaError
from deploy.vm.machine import Machine

try:
    _vm = Machine.load()
except BoardllamaError as error:
    raise DeployError(str(error)) from None

builders = ["@local"]
targets = [(_vm.name, _vm.host_data)]
# The kind of board: what group_data/qemu.py says holds for this machine and for its image.
qemu = targets
