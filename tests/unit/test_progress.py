"""What is said while something takes long: on a terminal of its own, in a log, and how long it will take yet."""

import io
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.controller import progress
from deploy.controller.progress import Display, Progress, next_wait, say_line, show_states
from deploy.controller.step_times import StepTimes
from deploy.debian.workspace import Workspace


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it, and shows it as a person sees it."""

    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> list[str]:
        """The lines after every escape that was written has had its effect; the cursor is below the last one."""
        rows = [""]
        for up, text in re.findall(r"\x1b\[(\d+)A\r\x1b\[J|([^\x1b]+)", self.getvalue()):
            if up:
                del rows[len(rows) - 1 - int(up) :]
                rows.append("")
            first, *others = text.split("\n")
            rows[-1] += first
            rows += others
        return rows[:-1]


def owned_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """The terminal of a program that owns it. No fixture: pytest replaces stderr once more before the test."""
    found, display = Terminal(), Display()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setattr(progress, "DISPLAY", display)
    monkeypatch.setattr(progress, "REDRAW_SECONDS", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    display.own_terminal()
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    """Fails after 20 s."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_states_are_drawn_in_their_place_below_the_lines_that_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = owned_terminal(monkeypatch)
    done = iter(range(10**6))
    with show_states(lambda now: f"sdb: {next(done)} MB", lambda now: "sdc: waiting"):
        wait_for(lambda: "sdb: 3 MB" in terminal.getvalue() and str(terminal.screen).startswith("['sdb: "))
        say_line("sdd is left alone")
        assert terminal.screen[0] == "sdd is left alone"
        wait_for(lambda: terminal.getvalue().count("sdc") > 6)
        assert len(terminal.screen) == 3 and terminal.screen[2] == "sdc: waiting"
    assert terminal.screen == ["sdd is left alone"], "nothing of the states stays"


def test_a_state_within_another_is_a_line_more(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = owned_terminal(monkeypatch)
    with Progress("image").during("first boot"):
        with Progress("vm").during("booting"):
            wait_for(lambda: len(terminal.screen) == 2)
            assert terminal.screen == ["image: first boot, 0 s", "vm: booting, 0 s"]
        wait_for(lambda: terminal.screen == ["image: first boot, 0 s"])
    assert terminal.screen == []


def test_a_state_is_no_longer_than_the_terminal_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = owned_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "20")
    with show_states(lambda now: "x" * 100):
        wait_for(lambda: terminal.screen == ["x" * 19])


@pytest.mark.parametrize("kind", ["dumb", None])
def test_what_cannot_draw_gets_lines(monkeypatch: pytest.MonkeyPatch, kind: str | None) -> None:
    """A dumb terminal, and a log."""
    display, stream = Display(), Terminal() if kind else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "DISPLAY", display)
    monkeypatch.setattr(progress, "PERIOD", 0.01)
    monkeypatch.setenv("TERM", kind or "xterm")
    display.own_terminal()
    with show_states(lambda now: "at it"):
        wait_for(lambda: stream.getvalue().count("at it\n") >= 2)
    assert "\x1b" not in stream.getvalue()


def test_a_log_of_an_hour_has_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    waits = [next_wait(said) for said in range(50)]
    assert waits[:4] == [5, 5, 5, 5] and sum(waits) > 3600
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert next_wait(40) == 5, "a person wants to see that it lives"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of these tests."""
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path))
    return tmp_path


def test_the_time_left_is_that_of_the_last_run(cache: Path) -> None:
    first = StepTimes.of_run("image", "rpi4")
    assert first.left_text("deploy", 1) == "", "nothing is known yet"
    for step, seconds in {"deploy": 100.0, "disk": 20.0, "compressing": 300.04}.items():
        first.add(step, seconds)
    first.keep()
    again = StepTimes.of_run("image", "rpi4")
    assert again.left_text("deploy", 40) == "; about 60 s left, 6 min to the end"
    again.add("deploy", 130)
    assert again.left_text("disk", 5) == "; about 15 s left, 5 min to the end"
    assert again.left_text("compressing", 290) == "; about 10 s left, 30 s to the end", "the disk may come later"
    again.add("disk", 20)
    assert again.left_text("compressing", 290) == "; about 10 s left"
    assert StepTimes.of_run("image", "rpi3").left_text("deploy", 1) == "", "another run has other steps"


def test_no_figure_where_it_would_be_wrong(cache: Path) -> None:
    times = StepTimes(None, {"deploy": 10.0, "disk": 5.0})
    assert times.left_text("deploy", 10) == "" and times.left_text("deploy", 11) == ""
    assert times.left_text("a new step", 1) == ""
    times.keep()
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", '{"deploy": "soon"}', '{"deploy": null}', "\x00"])
def test_times_that_cannot_be_read_are_none(cache: Path, text: str) -> None:
    times = StepTimes.of_run("image")
    times.add("deploy", 1)
    times.keep()
    assert times.file
    times.file.write_text(text)
    assert StepTimes.of_run("image").before == {}


def test_a_step_of_a_workspace_says_how_long_it_takes_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = owned_terminal(monkeypatch)
    times = StepTimes(None, {"disk": 500.0, "map": 100.0})
    with Workspace(tmp_path, "trixie", "image of rpi4", times).doing("disk"):
        wait_for(lambda: terminal.screen == ["image of rpi4: disk, 0 s; about 8 min left, 10 min to the end"])
    assert terminal.screen == ["image of rpi4: disk, done, 0 s"]
    assert list(times.now) == ["disk"]
