"""The board itself, when boardllama runs on it: builds natively, installs. `pyinfra inventory/local.py deploy.py`"""

builders = ["@local"]
targets = ["@local"]
