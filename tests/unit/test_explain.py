"""What `systemctl status` shows of a server that ended."""

import pytest

from deploy.onboard.explain import explain


@pytest.mark.parametrize(
    ("result", "status", "said"),
    [
        ("exit-code", "78", "the configuration is wrong"),
        ("exit-code", "1", "ended by itself with status 1"),
        ("oom-kill", "KILL", "more memory than the unit may have"),
        ("signal", "SEGV", "crashed (SIGSEGV)"),
        ("core-dump", "ABRT", "crashed (SIGABRT)"),
        ("signal", "KILL", "killed"),
        ("timeout", "TERM", "not ready in time"),
    ],
)
def test_every_end_has_a_sentence(result: str, status: str, said: str) -> None:
    assert said in str(explain({"SERVICE_RESULT": result, "EXIT_STATUS": status}))


def test_an_end_that_was_wanted_needs_none() -> None:
    assert explain({"SERVICE_RESULT": "success", "EXIT_STATUS": "0"}) is None
