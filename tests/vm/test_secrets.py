"""Canaries on the board: an API key and a hub's token go through a real deploy, and are then looked for everywhere."""

import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from deploy.onboard.service import OLLAMA
from deploy.paths import REPO, cache_dir, machines_dir
from tests.canary import files_with, holds, watched_command_lines
from tests.vm.machine import Deploy, VirtualBoard

KEY, TOKEN = "canaryapikeynary", "hf_canarytokennary"
# Where the controller has the key: in the group of the VM's kind.
GROUP = "inventory/group_data/qemu.py"
# On the board: the words that are looked for, one in a line, whose removal ends the watcher; and what it has seen.
WORDS, SEEN, WATCHER = "/run/canary/words", "/run/canary/seen", "/run/canary/canary.py"
COUNT = f"grep -acF -f {WORDS} || true"
PLACES = "/etc /run /tmp /var /root /home /usr/lib/boardllama /usr/lib/systemd /usr/lib/sysusers.d /usr/lib/tmpfiles.d"


class Run(NamedTuple):
    """A deploy that brought the key; what this controller's processes were started with meanwhile; since when."""

    deploy: Deploy
    command_lines: set[str]
    began: float
    reports: Path


@pytest.fixture(scope="module")
def vm(deployed_vm: VirtualBoard) -> Iterator[VirtualBoard]:
    """With a watcher of all command lines; afterwards without a key, as any deploy leaves it."""
    code = shlex.quote((REPO / "tests/canary.py").read_text())
    deployed_vm.run(f"mkdir -m 700 /run/canary; printf %s {code} > {WATCHER}; touch {SEEN}")
    deployed_vm.run(f"printf '{KEY}\\n{TOKEN}\\n' > {WORDS}")  # before anybody looks
    deployed_vm.run(f"systemd-run --quiet --unit=canary python3 {WATCHER} {WORDS} {SEEN}")
    yield deployed_vm
    deployed_vm.run(f"rm -rf /run/canary {OLLAMA.api_key}; systemctl stop canary; systemctl restart {OLLAMA.unit}")


@pytest.fixture(scope="module")
def run(vm: VirtualBoard, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The deploy, as talkative as it gets. The inventory holds the key, as docs/reference/secrets.md says."""
    folder = tmp_path_factory.mktemp("canary")
    shutil.copytree(REPO / "inventory", folder / "inventory")
    with (folder / GROUP).open("a") as data:
        data.write(f'api_key = "{KEY}"\n')
    reports = [word for kind in ("json", "junit") for word in ("--data", f"report_{kind}={folder / kind}")]
    began = time.time()
    with watched_command_lines(KEY, TOKEN) as seen:
        options = ["-vvv", "--debug", "--diff", *reports]
        done = vm.deploy(*options, env={"HF_TOKEN": TOKEN}, inventory=folder / "inventory/qemu.py")
    assert done.returncode == 0, done.said
    return Run(done, set(seen), began, folder)


def test_the_key_is_in_its_file_which_the_service_alone_reads(vm: VirtualBoard, run: Run) -> None:
    assert vm.run(f"stat -c '%a %U:%G' {OLLAMA.api_key}").strip() == f"640 root:{OLLAMA.account}"
    assert vm.run(f"cat {OLLAMA.api_key}").strip() == KEY
    assert vm.run("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:11434/v1/models") == "401"


def test_no_command_line_has_shown_it(vm: VirtualBoard, run: Run) -> None:
    assert run.command_lines == set()
    assert vm.run(f"cat {SEEN}") == ""
    assert vm.run("systemctl is-active canary").strip() == "active"


def test_nothing_else_on_the_board_holds_it(vm: VirtualBoard, run: Run) -> None:
    """Units, records, releases, logs, temporary files, environments, and what systemd says of its units."""
    found = vm.run(f"grep -rslF -D skip -f {WORDS} {PLACES} --exclude-dir=canary || true").split()
    assert found == [str(OLLAMA.api_key)]
    assert vm.run(f"cat /proc/[0-9]*/environ | {COUNT}").strip() == "0"
    said = "journalctl --no-pager -o json; systemctl show '*'; systemctl show-environment; dmesg"
    assert vm.run(f"{{ {said}; }} | {COUNT}").strip() == "0"


def test_neither_does_what_the_board_says_of_itself(vm: VirtualBoard, run: Run) -> None:
    told = vm.run("boardllama status; boardllama doctor; boardllama doctor --json; boardllama releases --json; true")
    asked = vm.run("boardllama command 2>&1; boardllama health --json; true")
    assert told and KEY not in told + asked


def test_a_crash_leaves_no_dump(vm: VirtualBoard, run: Run) -> None:
    process = vm.board.process
    assert vm.run(f"grep 'core file' /proc/{process}/limits").split()[4:6] == ["0", "0"]
    watcher = vm.run("pgrep -f onboard/watch.py | head -n 1").strip()
    assert vm.run(f"grep 'core file' /proc/{watcher}/limits").split()[4:6] == ["0", "0"]


def test_the_controller_has_printed_and_kept_nothing(run: Run) -> None:
    reports = "".join((run.reports / kind).read_text() for kind in ("json", "junit"))
    printed = run.deploy.said + run.deploy.printed + reports
    assert len(printed) > 1000 and KEY not in printed and TOKEN not in printed
    places = [path for folder in (cache_dir(), machines_dir()) for path in folder.rglob("*")]
    # A virtual board's disk is the board: the key is there in its file.
    files = (path for path in places if path.is_file() and path.suffix != ".qcow2")
    fresh = [path for path in files if path.lstat().st_mtime >= run.began]
    assert [path for path in fresh for word in (KEY, TOKEN) if holds(path, word.encode())] == []
    assert files_with(KEY.encode(), run.reports) == [str(run.reports / GROUP)]
