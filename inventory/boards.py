"""Two kinds of boards over SSH: copy this file and name your own. `pyinfra inventory/boards.py deploy.py`

Group data: inventory/group_data/all.py holds for all boards, <group>.py beside it for a kind of board.
The group of a kind of board is its BOARD of `make image`: what is written there holds for the image too.
"""

builders = ["@local"]

raspberry_pi_5 = [
    ("kitchen.example", {"ssh_user": "pi", "_sudo": True}),
    ("hall.example", {"ssh_user": "pi", "_sudo": True}),
]

rockpro64 = [
    ("lab.example", {"ssh_user": "root"}),
]

targets = [name for name, _data in raspberry_pi_5 + rockpro64]
