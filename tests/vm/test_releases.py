"""Releases on a real board: good ones take over, bad ones go, and the board can always go back."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.models import smoke
from deploy.onboard.service import OLLAMA
from tests.vm.machine import INVENTORY, VirtualBoard, make
from tests.vm.test_deploy import top_k, vm

CONFIG, UNIT = OLLAMA.config, OLLAMA.unit

__all__ = ["vm"]

MODEL = "/var/lib/ollama/models/boardllama-smoke.gguf"
SLOW = f"/run/systemd/system/{UNIT}.d"


def releases(vm: VirtualBoard) -> dict[str, str]:
    """Id → state, the current one first."""
    return {row["id"]: row["state"] for row in json.loads(vm.run("boardllama releases --json"))}


def current(vm: VirtualBoard) -> str:
    """Id of the committed release."""
    return next(iter(releases(vm)))


@pytest.fixture
def other_model(tmp_path: Path) -> Path:
    """Of the same name as the one that is served, with other bytes: GGUF allows what follows its tensors."""
    path = tmp_path / smoke.FILE
    path.write_bytes(smoke.smoke_model().read_bytes() + b"\0" * 4096)
    return path


def test_going_back_needs_no_setting_and_no_controller(vm: VirtualBoard) -> None:
    first = current(vm)
    assert vm.deploy("--data", "top_k=7").returncode == 0
    assert releases(vm)[first] == "previous"
    done = make("rollback")
    assert done.returncode == 0, done.stderr
    assert (current(vm), top_k(vm)) == (first, None)
    vm.run("boardllama rollback")
    assert top_k(vm) == "7"
    vm.run(f"boardllama rollback {first[:6]}")
    assert (current(vm), top_k(vm)) == (first, None)
    assert vm.deploy().changed == []


def test_the_table_of_releases_is_on_standard_output(vm: VirtualBoard) -> None:
    done = make("releases")
    assert (done.returncode, done.stderr) == (0, "")
    heading, row, *_ = done.stdout.splitlines()
    assert heading.split() == ["host", "id", "when", "build", "model", "state"]
    assert row.split()[1] == current(vm)
    assert row.endswith("current")


def test_a_release_below_the_floor_is_taken_back_with_both_facts_and_its_last_lines(vm: VirtualBoard) -> None:
    before, process = current(vm), vm.board.process
    done = vm.deploy("--data", "min_tokens_per_second=9999", "--data", "top_k=7")
    assert done.returncode == 1
    assert "min_tokens_per_second is 9999" in done.said
    assert f"{before} serves again" in done.said
    assert "  | " in done.said, "the journal of the release that failed"
    assert "Traceback" not in done.said
    assert current(vm) == before
    assert any(state.startswith("rejected") for state in releases(vm).values())
    assert vm.board.process != process
    assert top_k(vm) is None
    assert vm.deploy().returncode == 0
    assert set(releases(vm).values()) <= {"current", "previous"}, "what was rejected is gone with the next deploy"


def test_two_models_of_one_name_are_two_releases(vm: VirtualBoard, other_model: Path) -> None:
    first, size = current(vm), smoke.SIZE
    done = vm.deploy("--data", "model=path", "--data", f"model_path={other_model}")
    assert done.returncode == 0, done.said
    assert vm.run(f"stat -Lc %s {MODEL}") == str(size + 4096)
    vm.run(f"boardllama rollback {first}")
    assert vm.run(f"stat -Lc %s {MODEL}") == str(size)
    served = vm.board.arguments[vm.board.arguments.index("--model") + 1]
    assert vm.run(f"stat -c %s {served}") == str(size)


def test_an_operators_edit_becomes_a_release_that_can_be_gone_back_from(vm: VirtualBoard) -> None:
    vm.run(f'sed -i \'s/"top_k": null/"top_k": 7/\' {CONFIG}')
    assert vm.deploy().returncode == 0
    assert top_k(vm) == "7"
    assert vm.run(f"test -L {CONFIG} && echo link") == "link"
    assert vm.deploy().changed == []


class TestTwoAtOnce:
    @pytest.fixture
    def slow_start(self, vm: VirtualBoard) -> Iterator[None]:
        """The server takes a while to start, so that the first deploy is still at work when the second one arrives."""
        vm.run(f"mkdir -p {SLOW}; printf '[Service]\nExecStartPre=/bin/sleep 30\n' >{SLOW}/slow.conf")
        yield
        vm.run(f"rm -r {SLOW}; systemctl daemon-reload")

    @pytest.mark.usefixtures("slow_start")
    def test_the_second_deploy_is_refused_with_the_name_of_the_first(self, vm: VirtualBoard) -> None:
        vm.run("rm -f /run/boardllama/lock")  # which still names the deploy before
        first = vm.start("-y", "--data", "top_k=7")
        vm.run("timeout 60 sh -c 'until test -s /run/boardllama/lock; do sleep 0.1; done'; sleep 1")
        second = vm.deploy("--data", "top_k=8")
        _, said = first.communicate(timeout=300)
        assert first.returncode == 0, said
        assert second.returncode == 1
        assert "works on this target: wait for it, then run again" in second.said
        assert top_k(vm) == "7"

    def test_a_controller_that_is_killed_leaves_a_target_that_finishes_and_no_lock(self, vm: VirtualBoard) -> None:
        running = vm.start("-y", "--data", "top_k=7")
        vm.run("timeout 120 sh -c 'until systemctl is-active --quiet boardllama-switch; do sleep 0.1; done'")
        running.kill()
        running.communicate(timeout=60)
        vm.run("timeout 120 sh -c 'while systemctl is-active --quiet boardllama-switch; do sleep 0.2; done'")
        assert top_k(vm) == "7"
        assert vm.deploy("--data", "top_k=7").changed == []


# pyinfra looks for hosts' data beside the inventory, and where it is told to.
DATA = ("--group-data", str(INVENTORY.with_name("group_data")))


class TestCanary:
    @pytest.fixture
    def two(self, tmp_path: Path) -> Path:
        """An inventory in which the VM has two names: what the second would get, the first has had."""
        path = tmp_path / "two.py"
        path.write_text(INVENTORY.read_text() + 'targets.append(("second", dict(targets[0][1])))\n')
        return path

    def test_when_the_canary_fails_the_others_keep_what_they_have(self, vm: VirtualBoard, two: Path) -> None:
        bad = (*DATA, "--data", "min_tokens_per_second=9999", "--data", "canary=1")
        before = current(vm)
        assert vm.deploy(*bad).returncode == 1  # brings everything, so that only the switch is left for both names
        done = vm.deploy(*bad, inventory=two)
        assert done.returncode == 1
        assert "did not pass: this host keeps the release that it has" in done.said
        assert current(vm) == before

    def test_when_it_passes_the_others_follow(self, vm: VirtualBoard, two: Path) -> None:
        changed = (*DATA, "--data", "canary=1", "--data", "top_k=7")
        done = vm.deploy(*changed, inventory=two)
        assert "Activate | Switch the canary to its release" in done.said
        assert top_k(vm) == "7"
        assert "did not pass" not in done.said
        done = vm.deploy(*changed, inventory=two)
        assert done.returncode == 0, done.said
        assert "Activate | Switch the canary to its release" in done.said
