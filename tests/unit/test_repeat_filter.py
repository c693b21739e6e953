"""What many hosts say alike is said once, and no error is held back."""

import logging
from functools import partial
from itertools import count

import pytest

from deploy.fleet import repeat_filter


def shown(*lines: tuple[int, str], tick: float = 0.0) -> list[bool]:
    """Which of these lines the filter shows, when its clock goes on by `tick` seconds from one question to the next."""
    one = repeat_filter.RepeatFilter(partial(next, count(100.0, tick)))
    return [one.filter(logging.makeLogRecord({"levelno": level, "msg": text})) for level, text in lines]


def test_what_fifty_hosts_say_alike_is_one_line_and_no_error_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    alike = [(logging.INFO, f"[\x1b[1mb{n}\x1b[0m]  \x1b[36mNo changes\x1b[0m") for n in range(50)]
    errors = [(logging.ERROR, "[b7] Error: no room"), (logging.ERROR, "[b7] Error: executed 0 commands")]
    passed = shown(*alike, *errors, (logging.INFO, "--> Starting operation: next"))
    assert passed == [False] * 50 + [True, False, True]
    assert [record.msg for record in caplog.records] == ["\x1b[36mNo changes\x1b[0m: 50 hosts"]
    assert repeat_filter.LAST_WORDS["b7"] == "Error: no room"


def test_a_warning_that_many_hosts_share_is_shown_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    warnings = [(logging.WARNING, f"[b{n}] no memory cgroup") for n in range(3)]
    met = [(logging.WARNING, "No host key for b1 found in known_hosts, accepting & adding to host keys file")]
    met += [(logging.WARNING, "Added host key for b1 to known_hosts")]
    assert shown(*warnings, *met, (logging.INFO, "--> Next")) == [True, False, False, False, False, True]
    said = [record.msg.replace("\x1b[36m", "").replace("\x1b[0m", "") for record in caplog.records]
    assert said == ["The same of others: no memory cgroup: b1, b2", "Host key added to known_hosts: b1"]


def test_a_host_that_ends_makes_room_for_the_progress_of_another() -> None:
    lines = [(logging.INFO, f"[b{n}] bringing, {n} %") for n in range(repeat_filter.SPEAKERS + 1)]
    passed = shown(*lines, (logging.INFO, "[b0] Success"), lines[-1], tick=10.0)
    assert passed == [True] * repeat_filter.SPEAKERS + [False, False, True]


def test_of_fifty_hosts_that_end_at_once_few_are_heard() -> None:
    words = ("it answers, {}.5 tokens/s", "Success")
    lines = [(logging.INFO, f"[b{n}] {word.format(n)}") for n in range(50) for word in words]
    assert sum(shown(*lines)) == repeat_filter.SPEAKERS


def test_a_changed_host_key_is_said_once_by_the_line_that_names_the_host() -> None:
    unnamed = ["WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!"]
    unnamed += ["Someone could be eavesdropping on you right now (man-in-the-middle attack)!"]
    unnamed += ["If this is expected, you can remove the bad key using:", "    ssh-keygen -R [10.0.0.7]:2222"]
    named = (logging.ERROR, "[b7] Could not connect: its host key is another one than before")
    assert shown(*((logging.WARNING, line) for line in unnamed), named) == [False] * 4 + [True]
