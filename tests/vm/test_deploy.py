"""Deploys of a real board over SSH: they converge, change what they are told to, and keep what an operator did."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.onboard.service import OLLAMA
from tests.vm.machine import Deploy, VirtualBoard

CONFIG, UNIT = OLLAMA.config, OLLAMA.unit

# Inode, size, change time of everything that a deploy may touch: any write shows.
TOUCHED = (
    "find /usr/lib/boardllama /usr/bin/llama-* /usr/bin/boardllama /etc/ollama-cpp /var/lib/ollama /var/lib/boardllama"
    f" /usr/lib/systemd/system/{UNIT} ! -path '*/__pycache__*' -printf '%p %i %s %C@\\n' | sort"
)
STATE = f"{TOUCHED}; systemctl show -p ActiveState,UnitFileState,MainPID {UNIT}"
SWITCH = ["Activate | Switch to the release"]
RELEASE = ["Configure | Prepare the release", *SWITCH]


@pytest.fixture
def vm(deployed_vm: VirtualBoard) -> Iterator[VirtualBoard]:
    """The deployed VM; afterwards it is as the plain deploy leaves it, whatever a test did."""
    before = deployed_vm.run(STATE)
    yield deployed_vm
    if deployed_vm.run(STATE) != before:
        restored = deployed_vm.deploy("--data", "config_conflict=overwrite")
        assert restored.returncode == 0, restored.said
    deployed_vm.run("boardllama prune")  # a rejected release that is left is a red line of the doctor


# What the target's sshd is told, so that each command that it starts is a line in its journal.
VERBOSE = Path("/etc/ssh/sshd_config.d/count.conf")


@pytest.fixture
def counted(vm: VirtualBoard) -> Iterator[Callable[..., tuple[Deploy, int]]]:
    """Deploys, and how many commands each was on the target."""
    vm.run(f"echo 'LogLevel VERBOSE' > {VERBOSE} && systemctl reload ssh")

    def commands() -> int:
        return int(
            vm.run("journalctl -b -o cat -t sshd -t sshd-session | grep -c '^Starting session: command' || true")
        )

    def deploy(*options: str) -> tuple[Deploy, int]:
        before = commands()
        return vm.deploy(*options), commands() - before

    yield deploy
    vm.run(f"rm {VERBOSE} && systemctl reload ssh")


def test_a_run_is_few_commands(vm: VirtualBoard, counted: Callable[..., tuple[Deploy, int]]) -> None:
    """One when nothing changes. The question how many there were may be one of them, too."""
    again, commands = counted()
    assert again.changed == []
    assert 1 <= commands <= 2
    vm.run(
        f"systemctl disable --now {UNIT}; rm -rf /usr/lib/boardllama /var/lib/boardllama /etc/ollama-cpp"
        f" /var/lib/ollama/models /usr/bin/llama-* /usr/bin/boardllama* /usr/lib/systemd/system/{UNIT}"
    )
    first, commands = counted("--data", "api_key=generate")
    assert first.returncode == 0, first.said
    assert commands <= 15 + 1
    vm.run("rm /etc/ollama-cpp/api-key")


def top_k(vm: VirtualBoard) -> str | None:
    """The setting that these tests change, as the running server was given it; None when nobody set it."""
    arguments = vm.board.arguments
    return arguments[arguments.index("--top-k") + 1] if "--top-k" in arguments else None


def test_the_second_run_reports_no_change_and_touches_nothing(vm: VirtualBoard) -> None:
    before, process = vm.run(TOUCHED), vm.board.process
    again = vm.deploy()
    assert (again.returncode, again.changed) == (0, [])
    assert (vm.run(TOUCHED), vm.board.process) == (before, process)


def test_a_changed_setting_restarts_once(vm: VirtualBoard) -> None:
    started = f"journalctl -b -o cat -u {UNIT} | grep -c '^Started '"
    before = int(vm.run(started))
    done = vm.deploy("--data", "top_k=7")
    assert done.changed == RELEASE
    assert int(vm.run(started)) == before + 1
    assert top_k(vm) == "7"
    assert vm.deploy("--data", "top_k=7").changed == []


def test_a_dry_run_shows_the_difference_and_changes_nothing(vm: VirtualBoard) -> None:
    before = vm.run(TOUCHED)
    done = vm.deploy("--dry", "--diff", "--data", "top_k=7")
    assert done.returncode == 0, done.said
    assert '+    "top_k": 7' in done.said
    assert vm.run(TOUCHED) == before


def test_a_deploy_that_was_cut_before_its_restart_is_completed_by_the_next(vm: VirtualBoard) -> None:
    """The new config is in place, the old server still runs."""
    vm.run(f"f=$(readlink -f {CONFIG}); cp -p $f $f.2 && mv $f.2 $f")
    assert vm.deploy().changed == SWITCH
    assert vm.deploy().changed == []


def test_a_server_that_someone_stopped_is_started(vm: VirtualBoard) -> None:
    vm.run(f"systemctl disable --now {UNIT}")
    assert vm.deploy().changed == SWITCH
    assert vm.run(f"systemctl is-enabled {UNIT}") == "enabled"


def test_an_operators_edit_survives_until_told_otherwise(vm: VirtualBoard) -> None:
    vm.run(f'sed -i \'s/"temperature": null/"temperature": 0.1/\' {CONFIG}')
    done = vm.deploy("--data", "top_k=7")
    assert done.returncode == 0
    assert "was edited on the target and is kept" in done.said
    assert '-    "temperature": 0.1' in done.said
    assert vm.board.config["inference"]["temperature"] == 0.1
    assert vm.board.config["inference"]["top_k"] is None
    assert vm.deploy("--data", "top_k=7", "--data", "config_conflict=overwrite").returncode == 0
    assert vm.board.config["inference"]["temperature"] is None
    assert vm.board.config["inference"]["top_k"] == 7


def test_a_drop_in_of_the_operator_is_never_touched(vm: VirtualBoard) -> None:
    drop_in = f"/etc/systemd/system/{UNIT}.d/mine.conf"
    vm.run(f"mkdir -p $(dirname {drop_in}) && printf '[Service]\\nNice=5\\n' > {drop_in}")
    vm.deploy("--data", "top_k=7")
    assert vm.run(f"cat {drop_in}") == "[Service]\nNice=5"
    assert vm.run(f"ps -o ni= -p {vm.board.process}") == "5"
    vm.run(f"rm -r $(dirname {drop_in}); systemctl daemon-reload")


def test_a_key_made_on_the_device_opens_the_door_that_it_closed(vm: VirtualBoard) -> None:
    done = vm.deploy("--data", "server_host=0.0.0.0", "--data", "api_key=generate")
    assert done.returncode == 0, done.said
    assert vm.run("stat -c '%a %U:%G' /etc/ollama-cpp/api-key") == "640 root:ollama"
    assert vm.run("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:11434/v1/models") == "401"
    assert vm.board.ask("/v1/models").status == 200
    key = vm.run("cat /etc/ollama-cpp/api-key")
    assert key not in vm.run("ps -eo args")
    assert key not in done.said
    assert vm.deploy("--data", "server_host=0.0.0.0", "--data", "api_key=generate").changed == []
    vm.run("rm /etc/ollama-cpp/api-key")


def test_a_key_that_appears_is_asked_for_at_once(vm: VirtualBoard) -> None:
    done = vm.deploy("--data", "api_key=generate")
    assert SWITCH[0] in done.changed
    assert vm.run("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:11434/v1/models") == "401"
    vm.run("rm /etc/ollama-cpp/api-key")


def test_an_ordinary_user_with_sudo_is_enough(vm: VirtualBoard) -> None:
    """As on Raspberry Pi OS. Nothing of it lies in /tmp, which is a small RAM disk on boards."""
    vm.run(
        "id pi >/dev/null 2>&1 || useradd --create-home --shell /bin/bash pi;"
        " echo 'pi ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/pi;"
        " install -D -o pi -m 600 /root/.ssh/authorized_keys /home/pi/.ssh/authorized_keys; chown pi /home/pi/.ssh"
    )
    as_pi = ("--data", "ssh_user=pi", "--data", "_sudo=true")
    done = vm.deploy(*as_pi, "--data", "top_k=7", "--data", "cpu=generic", "--data", "api_key=generate")
    assert done.returncode == 0, done.said
    assert top_k(vm) == "7"
    assert "/generic-" in vm.run("readlink -f /usr/bin/llama-server")
    assert vm.deploy(*as_pi, "--data", "top_k=7", "--data", "cpu=generic", "--data", "api_key=generate").changed == []
    vm.run("rm /etc/ollama-cpp/api-key")


def test_the_controllers_clock_does_not_matter(vm: VirtualBoard) -> None:
    """A year behind, as a laptop with an empty battery is."""
    clock = str(vm.folder / "clock")
    (vm.folder / "clock").mkdir()
    (vm.folder / "clock" / "sitecustomize.py").write_text(
        "import time\nnow = time.time\ntime.time = lambda: now() - 365 * 86400\n"
    )
    assert vm.deploy(env={"PYTHONPATH": clock}).changed == []
    assert vm.deploy("--data", "top_k=7", env={"PYTHONPATH": clock}).returncode == 0
    assert top_k(vm) == "7"
