"""The end of a run, told by board: on the terminal, as JSON and as JUnit XML, whatever became of the boards."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from deploy.controller.product import pyinfra_words
from deploy.fleet import report, report_files, report_row, report_table
from deploy.fleet.report_row import Row
from deploy.hosts.run_record import RunRecord, with_disk_advice
from deploy.hosts.snapshot import Snapshot
from deploy.paths import REPO
from tests.unit.boards import Board, closed, hasty_config, serving, silent
from tests.unit.known_host import KnownHost
from tests.unit.test_plan import a_board

PYINFRA = Path(sys.executable).with_name("pyinfra")
SERVES = RunRecord("Cortex-A76", "cortex-a76-01", "tiny.gguf", 12.34, "r1", "r2", seconds=7.3)
GOOD = Row("kitchen", SERVES, "switched", "", True)
BAD = Row(
    "hall",
    RunRecord(before="r1", after="r1"),
    "rejected",
    "release r2 is taken back: slow\n  | \x1b[1mlast\x00 words",
    False,
)
DEAD = Row("a[1] b", RunRecord(), "unreachable", "it is not there", False)
GATEWAY = Row("gate", RunRecord(), "failed", "haproxy does not start", False, ("gateway", "monitor"))
ROWS = (GOOD, BAD, DEAD)


def test_each_board_is_a_line_and_the_others_are_listed_to_be_tried_again() -> None:
    heading, *lines = report_table.report_lines(ROWS, ["@local"])
    assert heading.split() == ["host", "CPU", "build", "model", "tokens/s", "release", "s", "verdict"]
    assert lines[0].split() == "kitchen Cortex-A76 cortex-a76-01 tiny.gguf 12.3 r1 → r2 7.3 switched".split()
    assert lines[1].endswith("rejected: release r2 is taken back: slow")
    assert lines[2].endswith("unreachable: it is not there")
    assert lines[3] == "3 boards: 1 switched, 1 rejected, 1 unreachable"
    assert lines[4] == "To try again those that are not good: --limit @local --limit hall --limit 'a[[]1] b'"


def test_a_gateway_and_a_monitor_are_lines_as_boards_are() -> None:
    lines = report_table.report_lines([GOOD, GATEWAY], [])
    assert lines[2].split()[:2] == ["gate", "-"] and lines[2].endswith("failed: haproxy does not start")
    assert lines[3] == "1 board, 1 gateway, 1 monitor: 1 switched, 1 failed"
    assert lines[4].endswith(": --limit gate")
    assert json.loads(report_files.as_json([GATEWAY], ""))["hosts"][0]["roles"] == ["gateway", "monitor"]
    assert Row.from_json(GATEWAY.json_values()) == GATEWAY
    assert ElementTree.fromstring(report_files.as_junit([GATEWAY], "")).get("failures") == "1"


def test_nothing_is_to_be_tried_again_when_all_is_well() -> None:
    assert report_table.report_lines([GOOD], ["@local"])[-1] == "1 board: 1 switched"
    assert report_table.retry_options([GOOD], ["@local"]) == ""


def test_the_json_holds_each_board_and_the_whole_reason() -> None:
    told = json.loads(report_files.as_json(ROWS, "--limit hall"))
    assert (told["version"], told["good"], told["retry"], told["error"]) == (1, False, "--limit hall", "")
    assert told["hosts"][0] == {
        "host": "kitchen", "roles": ["board"], "cpu": "Cortex-A76", "build": "cortex-a76-01", "model": "tiny.gguf",
        "tokens_per_second": 12.34, "release_before": "r1", "release_after": "r2", "verdict": "switched", "reason": "",
        "good": True, "seconds": 7.3,
    }  # fmt: skip
    assert told["hosts"][1]["reason"] == BAD.reason
    assert [board["board"] for board in told["boards"]] == [GOOD.host, BAD.host, DEAD.host]


def test_a_script_that_reads_boards_meets_no_gateway() -> None:
    assert json.loads(report_files.as_json([GATEWAY], ""))["boards"] == []


def test_the_junit_file_is_read_by_any_parser_whatever_a_reason_holds() -> None:
    suite = ElementTree.fromstring(report_files.as_junit(ROWS, "--limit hall"))[0]
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == ["3", "1", "1"]
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    failure, error = cases["hall"].find("failure"), cases["a[1] b"].find("error")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("rejected", "release r2 is taken back: slow")
    assert "?[1mlast? words" in (failure.text or "")
    assert error is not None
    assert cases["kitchen"].find("failure") is None


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    report_files.write_whole(path, "new")
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"report.json": "new"}


def test_a_full_disk_says_what_to_do() -> None:
    tar = (
        "tar: it goes on\ntar: a: Cannot write: No space left on device\ntar: b: Cannot write: No space left on device"
    )
    advice = "make room there (`df -h` shows where), then run again"
    assert with_disk_advice(tar) == f"tar: a: Cannot write: No space left on device: {advice}"
    assert with_disk_advice("3 MB free; make room there") == "3 MB free; make room there"


def deploy(folder: Path, targets: str, *options: str) -> subprocess.CompletedProcess[str]:
    """The real deploy.py against boards on the loopback."""
    inventory = folder / "boards.py"
    inventory.write_text(f'builders = ["@local"]\ntargets = [{targets}]\n')
    return subprocess.run(
        [PYINFRA, str(inventory), "deploy.py", "--config", hasty_config(folder), *options],
        cwd=REPO, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def board(name: str, port: int) -> str:
    """A line of an inventory."""
    told = {"ssh_hostname": "127.0.0.1", "ssh_port": port, "ssh_user": "root", "ssh_password": "wrong"}
    quick = {"ssh_allow_agent": False, "ssh_look_for_keys": False, "ssh_strict_host_key_checking": "no"}
    return repr((name, told | quick))


def test_when_no_board_can_be_reached_each_is_a_line_with_its_reason(tmp_path: Path) -> None:
    with silent() as mute, serving(Board()) as locked:
        boards = ", ".join([board("off", closed()), board("mute", mute), board("locked", locked.port)])
        data = ["--data", f"report_json={tmp_path}/out.json", "--data", f"report_junit={tmp_path}/out.xml"]
        done = deploy(tmp_path, boards, "-y", "--limit", "targets", *data)
    assert done.returncode == 1
    for line in (
        "unreachable: it refuses the connection: it boots, its SSH server does not run, or ssh_port is another one",
        "unreachable: its SSH server does not greet: it hangs or is very busy: restart it if this stays",
        "unreachable: it refuses the password for root: add the public key there, or set ssh_user and ssh_key",
        "To try again those that are not good: --limit off --limit mute --limit locked",
    ):
        assert done.stderr.count(line) == 1, done.stderr
    assert "Traceback" not in done.stderr
    told = json.loads((tmp_path / "out.json").read_text())
    assert [one["host"] for one in told["hosts"]] == ["off", "mute", "locked"]
    assert ElementTree.parse(tmp_path / "out.xml").getroot().get("errors") == "3"


@pytest.mark.parametrize(("percent", "ended"), [("20", True), ("60", False)])
def test_a_run_ends_where_more_hosts_fail_than_it_is_told(tmp_path: Path, percent: str, ended: bool) -> None:
    inventory = tmp_path / "boards.py"
    here = '("@local", {"model": None})'
    inventory.write_text(f"builders = ['@local']\ntargets = [{here}, {board('off', closed())}]\n")
    words = pyinfra_words(
        inventory, "exec", "--", "echo x", options=["--config", hasty_config(tmp_path), "--fail-percent", percent]
    )
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert (f"Over {percent}% of hosts failed (50%)" in done.stderr) == ended, done.stderr


def test_a_dry_run_as_the_command_starts_it_asks_nobody_and_says_what_it_would_do(tmp_path: Path) -> None:
    inventory = tmp_path / "boards.py"
    here = '("@local", {"model": None})'
    inventory.write_text(f"builders = ['@local']\ntargets = [{here}, {board('off', closed())}]\n")
    words = pyinfra_words(inventory, options=["--dry", "--config", hasty_config(tmp_path)])
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert "Traceback" not in done.stderr and "continue?" not in done.stderr + done.stdout, done.stderr
    assert "Skipping change detection" not in done.stderr
    assert "off     -    -      -      -         -" in done.stderr and "1 unreachable" in done.stderr


def test_with_a_builder_that_lives_the_run_goes_on_and_ends_in_the_same_table(tmp_path: Path) -> None:
    done = deploy(tmp_path, board("off", closed()), "-y", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["results"]["failed_hosts"] == ["off"]
    assert "1 board: 1 unreachable" in done.stderr
    assert "--limit @local --limit off" in done.stderr


def test_a_board_that_a_run_did_not_finish_to_prepare_is_not_called_good() -> None:
    """As after Ctrl-C: nothing that it is to do is known yet, which is not the same as nothing."""
    host: Any = SimpleNamespace(name="hall")
    state: Any = SimpleNamespace(ops={host.name: {}})
    told = report_row.expected_ending(state, host, RunRecord(model="tiny.gguf"))
    assert (told.verdict, told.good) == ("not finished", False)


def test_the_report_of_the_run_before_is_gone_when_the_next_one_begins(tmp_path: Path) -> None:
    """A run that is killed leaves none."""
    (tmp_path / "out.json").write_text('{"good": true}')
    told = {"report_json": str(tmp_path / "out.json"), "report_junit": str(tmp_path / "none.xml")}
    host: Any = SimpleNamespace(data=told)
    for _ in range(2):
        report.begin_host(KnownHost(Snapshot()).state, host)
        assert list(tmp_path.iterdir()) == []


def test_a_run_that_may_not_replace_a_report_says_so_and_ends_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of boards that were not reached, nobody has looked at the settings yet."""
    os.mkfifo(tmp_path / "pipe")
    for name in (".", "~nobody-has-this-home/run.json", str(tmp_path), str(tmp_path / "pipe"), "/nonexistent/run.json"):
        report.save_report(name, "{}")
        assert f"The report {name} cannot be written: it must be a file in a folder" in capsys.readouterr().err
    report.save_report(str(tmp_path / "run.json"), "{}")
    assert {one.name for one in tmp_path.iterdir()} == {"pipe", "run.json"}


@pytest.mark.parametrize(
    ("where", "said"),
    [("/nonexistent/report.json", "must be a file in a folder"), ("/tmp", "must be a file in a folder")],
)
def test_a_report_that_has_no_place_is_an_error_before_anything_starts(tmp_path: Path, where: str, said: str) -> None:
    fake = repr(a_board("machine aarch64"))
    done = deploy(tmp_path, fake, "--dry", "--data", f"report_json={where}")
    assert done.returncode == 1
    assert f"report_json is {where!r}: {said}" in done.stderr


def test_a_dry_run_says_what_would_become_of_a_board(tmp_path: Path) -> None:
    fake = repr(a_board("machine x86_64"))
    done = deploy(tmp_path, fake, "--dry")
    assert done.returncode == 0
    assert "would be refused: this machine is x86_64" in done.stderr.splitlines()[-3]


def test_the_release_before_is_what_was_found_first_and_the_one_after_what_is_served() -> None:
    record = RunRecord()
    record.note_found(None)
    assert (record.before, record.after) == ("none", "none")
    record.note_serving("r1")
    assert (record.before, record.after) == ("none", "r1")
    again = RunRecord()
    again.note_found("r1")
    again.note_found(None)
    assert (again.before, again.after) == ("r1", "r1")
