"""boardllama itself is upgraded: an older version has deployed, then this one does (`make upgrade`, OLD=commit)."""

import json
from pathlib import Path

from deploy.onboard.service import OLLAMA
from tests.vm.old_version import lend_build, old_commit, unpack_version
from tests.vm.own_machine import OwnMachine, own_machine
from tests.vm.test_remove import COPIES

# A virtual machine beside others starts its server slowly.
PATIENT = ("--data", "health_deadline=900")


def releases(machine: OwnMachine) -> dict[str, str]:
    """Id → state, the current one first."""
    return {row["id"]: row["state"] for row in json.loads(machine.run("boardllama releases --json"))}


def test_an_older_version_is_upgraded_gone_back_to_and_removed(tmp_path: Path) -> None:
    commit = old_commit()
    code, env = unpack_version(commit, tmp_path / "code"), lend_build(tmp_path)
    with own_machine("upgrade", tmp_path) as machine:
        before = machine.system()
        machine.pyinfra("deploy.py", *PATIENT, code=code, env=env)
        (old,) = releases(machine)
        machine.run(f'sed -i \'s/"top_k": [^,]*/"top_k": 7/\' {OLLAMA.config} && systemctl restart {OLLAMA.unit}')

        said = machine.pyinfra("deploy.py", *PATIENT)
        assert "was edited on the target and is kept" in said
        new, *others = releases(machine)
        assert others == [old] and releases(machine)[old] == "previous"
        assert json.loads(machine.run(f"cat {OLLAMA.config}"))["inference"]["top_k"] == 7
        assert machine.pyinfra("deploy.py", *PATIENT).rstrip().endswith("1 no change")

        machine.pyinfra("deploy.stages.activate.rollback")
        assert next(iter(releases(machine))) == old, "under the gate of this version, or of the old one"
        assert json.loads(machine.run(f"cat {OLLAMA.config}"))["inference"]["top_k"] == 7
        machine.run("boardllama health")

        machine.pyinfra("deploy.py", *PATIENT)
        assert next(iter(releases(machine))) == new
        machine.pyinfra("deploy.stages.remove.uninstall", "models=True")
        machine.run("rm /var/backups/boardllama-*.tar.gz")
        assert {line for line in machine.system() ^ before if not COPIES & {*line.split()}} == set()
