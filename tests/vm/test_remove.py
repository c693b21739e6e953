"""`make uninstall` against a real machine: it is as before the first deploy, although its release is damaged."""

from pathlib import Path

from deploy.onboard.places import PLACES
from deploy.onboard.service import OLLAMA
from tests.vm.own_machine import own_machine

# What a deploy has beside its release.
DATA = {
    "api_key": "generate",
    "tune_system": "True",
    "channel_url": "http://127.0.0.1:9/boards",
    "channel_kind": "qemu",
}
# Copies of the files of accounts, as whatever changed those before the last change left them.
COPIES = {"./etc/passwd-", "./etc/shadow-", "./etc/group-", "./etc/gshadow-"}


def test_a_machine_is_as_before_the_first_deploy(tmp_path: Path) -> None:
    with own_machine("remove", tmp_path) as machine:
        before = machine.system()
        machine.pyinfra("deploy.py", *(word for told in DATA.items() for word in ("--data", "=".join(told))))
        machine.run(f'sed -i \'s/"top_k": null/"top_k": 7/\' {OLLAMA.config}')
        refused = machine.run("boardllama uninstall 2>&1 || echo status $?")
        assert "say --models" in refused and refused.endswith("status 1")
        machine.run(f"echo '{{' >{PLACES.current}/manifest.json; rm -r {PLACES.current}/onboard")
        said = machine.pyinfra("deploy.stages.remove.uninstall", "models=True")
        assert said.rstrip().endswith("1 board: 1 removed")
        kept = machine.run("tar -xzOf /var/backups/boardllama-*.tar.gz etc/ollama-cpp/config.json")
        assert '"top_k": 7' in kept
        machine.run("rm /var/backups/boardllama-*.tar.gz")
        assert {line for line in machine.system() ^ before if not COPIES & {*line.split()}} == set()
        assert "no change" in machine.pyinfra("deploy.stages.remove.uninstall", "models=True")
