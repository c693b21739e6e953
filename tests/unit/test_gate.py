"""The gate, before real servers of every manner: what it lets in, what it does not, and the reason that it gives."""

import json
from collections.abc import Callable

import pytest

from deploy.onboard.release import gate, switch
from deploy.onboard.release.releases import Release, current_release
from deploy.onboard.release.verdict import Outcome
from deploy.onboard.server.health import Unhealthy
from tests.unit.llama_server import Ports, ports
from tests.unit.onboard import Target, consistent, target
from tests.unit.systemd import Systemd, systemd

__all__ = ["ports", "systemd", "target"]

MASKED = "Failed to restart ollama-cpp-server.service: Unit ollama-cpp-server.service is masked."
FAILED = "Job for ollama-cpp-server.service failed because the control process exited with error code.\nSee …"


@pytest.fixture
def offered(target: Target, ports: Ports, systemd: Systemd) -> Callable[..., Release]:
    """Prepares a release that a server of this manner answers for, with this floor in tokens per second."""

    def offer(manner: str, floor: float = 0, name: str = "r1") -> Release:
        release = target.add(name)
        (release.folder / "config.json").write_text(json.dumps({"server": {"port": ports(manner)}}))
        release.manifest["policy"]["min_tokens_per_second"] = floor
        target.trial.write_text(release.trial_text(target.service))
        return release

    return offer


def refusal(release: Release) -> str:
    """Why the gate does not let it in."""
    with pytest.raises(Unhealthy) as caught:
        gate.judge_release(release, print)
    return str(caught.value)


def test_a_server_that_answers_with_text_is_let_in_with_its_speed(
    target: Target, offered: Callable[..., Release], systemd: Systemd
) -> None:
    said: list[str] = []
    rate = gate.judge_release(offered("well", floor=0.1), said.append)
    assert rate and 0.1 < rate < 1000, "the server takes a millisecond for each word"
    assert said[-1] == f"it answers, {rate:.1f} tokens/s"
    asked = [f"reset-failed {target.service.unit}", f"restart {target.service.unit}"]
    assert systemd.asked[:3] == ["daemon-reload", *asked], "what is judged was read and started now"


def test_a_server_without_a_word_to_say_is_not_let_in(offered: Callable[..., Release]) -> None:
    assert refusal(offered("empty")).startswith("a completion came back without text: {'choices': [{")


def test_a_server_below_the_floor_is_not_let_in(offered: Callable[..., Release]) -> None:
    said = refusal(offered("well", floor=5000))
    assert said.startswith("16 tokens took ")
    assert said.endswith("min_tokens_per_second is 5000; lower it, or choose a smaller model or quantization")


def test_another_release_that_systemd_started_is_not_taken_for_this_one(
    offered: Callable[..., Release], systemd: Systemd, target: Target
) -> None:
    """A unit in /etc stands before the one of the trial, and its server answers well."""
    other = target.add("r0")
    systemd.override.write_text(other.trial_text(target.service))
    said = refusal(offered("well"))
    assert said.startswith("systemd started release r0 and not r1: another unit or a drop-in stands in its place")


def test_a_server_that_goes_on_loading_is_not_let_in(offered: Callable[..., Release]) -> None:
    assert refusal(offered("loading")) == "the server is loading the model: /health answers 503"


def test_a_server_that_fails_at_its_first_question_is_not_let_in(offered: Callable[..., Release]) -> None:
    assert refusal(offered("fails")).startswith("a completion was answered with 500: {'error': {")


def test_a_server_that_waits_for_a_disk_is_not_let_in(target: Target, offered: Callable[..., Release]) -> None:
    release = offered("well")
    target.service.awaited.write_text("waiting for the disk of /m: nothing is mounted on /m")
    assert refusal(release) == "the server is waiting for the disk of /m: nothing is mounted on /m"


@pytest.mark.parametrize(("said", "reason"), [(MASKED, MASKED), (FAILED, "exit-code, status 78")])
def test_the_reason_is_systemds_own_where_it_did_not_even_try(
    offered: Callable[..., Release], systemd: Systemd, said: str, reason: str
) -> None:
    release = offered("well")
    systemd.refuse(said)
    systemd.is_in("failed")
    assert refusal(release).endswith(reason)


def test_a_switch_ends_with_the_release_that_the_gate_lets_in(
    offered: Callable[..., Release], target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two together: the server of the second release is healthy, and says nothing."""
    monkeypatch.setattr(switch, "judge_release", gate.judge_release)
    monkeypatch.setattr(switch, "run_systemctl", gate.run_systemctl)
    assert switch.perform_switch(offered("well")) is Outcome.COMMITTED
    assert switch.perform_switch(offered("empty", name="r2")) is Outcome.BACK
    assert consistent(target) == "r1"
    verdict = json.loads(target.places.verdict.read_text())
    assert "without text" in verdict["reason"] and "r1 serves again" in verdict["reason"]
    assert "r1 is" not in verdict["reason"]
    now = current_release(target.places)
    assert now and not now.is_tried
