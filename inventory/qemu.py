"""The QEMU arm64 machine that `make vm` starts. `pyinfra inventory/qemu.py deploy.py`"""

from deploy.machine import Machine

_vm = Machine.load()

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
            "model": "smoke",
        },
    )
]
