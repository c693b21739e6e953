"""The root tree of an image: a board's system before it has ever run, in a folder of the controller.

`BOARDLLAMA_TREE=PATH [BOARDLLAMA_BOARD=raspberry_pi_4] [BOARDLLAMA_MODEL=none] pyinfra inventory/image.py deploy.py`
"""

import os

from pyinfra.api import DeployError

from deploy.errors import BoardllamaError
from deploy.image import boards as _boards
from deploy.image.tree import plugin as _plugin

_tree, _model = os.environ.get("BOARDLLAMA_TREE"), os.environ.get("BOARDLLAMA_MODEL", "")
if not _tree:
    raise DeployError("say which root tree: BOARDLLAMA_TREE=PATH")
try:
    _board = _boards.board_named(os.environ.get("BOARDLLAMA_BOARD", "qemu"))
    _name = _plugin.tree_host_name(_tree)
except BoardllamaError as error:
    raise DeployError(str(error)) from None

builders = ["@local"]
# The build machine's own CPU and memory say nothing about the board's.
targets = [(_name, {"board_cpu": _board.cpu, "board_memory": _board.memory, **_boards.model_data(_model)})]
# The board's own group: group_data/<board>.py holds for its image as for itself.
globals()[_board.name] = [_name]
