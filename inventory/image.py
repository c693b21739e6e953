"""The root tree of an image: a board's system before it has ever run, in a folder of the controller.

`BOARDLLAMA_TREE=PATH [BOARDLLAMA_BOARD=rpi4] pyinfra inventory/image.py deploy.py`
"""

import os

from pyinfra.api import DeployError

from deploy.image.tree import plugin as _plugin

# CPU and memory of the boards. The build machine's own say nothing about them, and a model has to fit the smallest
# board of the kind: 904 MiB is what Linux finds on a Raspberry Pi with 1 GiB.
_BOARDS = {
    "qemu": ("cortex-a76", 2000 << 20),
    "rpi3": ("cortex-a53", 904 << 20),
    "rpi4": ("cortex-a72", 904 << 20),
    "rockpro64": ("cortex-a53", 1900 << 20),
}
_tree, _board = os.environ.get("BOARDLLAMA_TREE"), os.environ.get("BOARDLLAMA_BOARD", "qemu")
if not _tree:
    raise DeployError("say which root tree: BOARDLLAMA_TREE=PATH")
if _board not in _BOARDS:
    raise DeployError(f"BOARDLLAMA_BOARD is {_board}: it must be one of {', '.join(_BOARDS)}")
_cpu, _memory = _BOARDS[_board]
_name = _plugin.host_name(_tree)

builders = ["@local"]
targets = [(_name, {"board_cpu": _cpu, "board_memory": _memory, "model": "smoke"})]
# The board's own group: group_data/<board>.py holds for its image as for itself.
globals()[_board] = [_name]
