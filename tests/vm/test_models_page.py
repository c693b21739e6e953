"""docs/how-to/models.md, typed: on the controller or on the VM, in the page's order and as the page has it."""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from deploy.paths import REPO
from deploy.vm.machine import Machine
from tests.hub_server import REVISION, HubServer
from tests.real_models import minilm, smollm2
from tests.vm import models_page as page
from tests.vm.machine import DEADLINE, VirtualBoard

KEPT = REPO / "inventory" / "qemu.answers.json"


@pytest.fixture(scope="module")
def vm(deployed_vm: VirtualBoard) -> Iterator[VirtualBoard]:
    """The VM and no kept answers; afterwards both are as they were."""
    kept = KEPT.read_bytes() if KEPT.exists() else None
    KEPT.unlink(missing_ok=True)
    yield deployed_vm
    KEPT.unlink(missing_ok=True)
    if kept is not None:
        KEPT.write_bytes(kept)
    restored = deployed_vm.deploy("--data", "config_conflict=overwrite")
    assert restored.returncode == 0, restored.said


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    """It has a file under the name that the page pins."""
    with HubServer() as server:
        server.branches["main"] = REVISION
        server.publish(page.PIN_REPO, page.PIN_FILE, b"GGUF")
        yield server


def deploy(vm: VirtualBoard, block: str) -> None:
    """Deploys the settings of that block, with the files that are here for those that the page names."""
    written = json.dumps(page.settings_block(block) if block else {})
    for named, here in {page.OWN_FILE: smollm2, page.OWN_EMBEDDER: minilm}.items():
        if named in written:
            written = written.replace(named, str(here()))
    done = vm.deploy(*page.data_options(json.loads(written)))
    assert done.returncode == 0, done.said


def type_here(block: str, hub: HubServer) -> str:
    """What the block prints on the controller, stderr too."""
    line = block.replace(page.INVENTORY, "inventory/qemu.py").replace(page.BOARD, Machine.load().name)
    run = subprocess.run(
        ["bash", "-ec", line],
        cwd=REPO,
        env=os.environ | {"HF_ENDPOINT": hub.url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout


@pytest.mark.parametrize("name", page.EXPECTED)
def test_the_page_is_true(name: str, vm: VirtualBoard, hub: HubServer) -> None:
    typed, block = page.EXPECTED[name], page.COMMANDS[name]
    if typed.settings != page.PLAIN or name == "answers-before":
        deploy(vm, typed.settings)
    said = vm.run(f"bash -ec {shlex.quote(block)}") if typed.on_board else type_here(block, hub)
    for pattern in typed.says:
        assert page.is_said(pattern, said), said
