"""The simulated fleet, as far as no board is needed: words, figures, pages, and the link to a board far away."""

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import BoardllamaError
from deploy.onboard.server.health import ask_server
from deploy.vm.ports import free_ports
from tests.bench.pages import PAGE
from tests.fleet import run as run_module
from tests.fleet.__main__ import arguments, run_of_words
from tests.fleet.board_tree import HERE
from tests.fleet.boards import Board, Fleet
from tests.fleet.far_link import FarLink
from tests.fleet.history import Measured, Record, UnderLoad, keep_record, read_history
from tests.fleet.inventories import ansible_data
from tests.fleet.measure import Costs, carried_bytes
from tests.fleet.odd import judged_row
from tests.fleet.pages import MARKS, fleet_part, newest_of_each, write_pages
from tests.fleet.stand_ins import SIZES, program_bytes
from tests.fleet.tools import OURS, Work
from tests.unit.running_gateway import await_true

STAND_IN = HERE / "stand_in_server.py"

COSTS = Costs(status=0, cpu=2.0, memory=50_000_000, sent=1_000_000, received=0, commands=20, boards_cpu=5.0, wall=9.0)


def measured(tool: str, cpu: float, boards: int = 10) -> Measured:
    """A run without a change."""
    costs = COSTS.model_copy(update={"cpu": cpu})
    return Measured(tool=tool, scenario="nochange", boards=boards, simulated=boards, costs=costs)


def record(*found: Measured, date: str = "2026-11-29T07:00:00Z") -> Record:
    return Record(date=date, commit="0123456789ab", machine="a machine", measured=list(found))


class TestWords:
    def test_smaller_fleets_come_first(self) -> None:
        assert run_of_words(arguments().parse_args(["--n", "50"])).sizes == (1, 10, 50)
        assert run_of_words(arguments().parse_args(["--n", "1"])).sizes == (1,)
        assert run_of_words(arguments().parse_args(["--sizes", "5 2,5"])).sizes == (2, 5)

    def test_what_happens_behind_a_gateway_needs_neither_rivals_nor_machines(self) -> None:
        run = run_of_words(arguments().parse_args(["--scenarios", "upgrade,death"]))
        assert not run.compared and not run.in_fleets
        assert run_of_words(arguments().parse_args(["--scenarios", "odd,upgrade"])).in_fleets

    def test_rivals_can_be_left_out(self) -> None:
        assert run_of_words(arguments().parse_args(["--rivals", "none"])).rivals == ()
        assert run_of_words(arguments().parse_args([])).rivals == ("ansible", "mitogen")

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--n", "0"], "N='0': must be a number from 1 to 200"),
            (["--sizes", "1,many"], "SIZES='many': must be a number from 1 to 200"),
            (["--vms", "-1"], "VMS='-1': must be a number from 0 to 10"),
            (["--rivals", "ansibel"], "RIVALS='ansibel' is not known: did you mean ansible?"),
            (["--scenarios", "frist"], "SCENARIOS='frist' is not known: did you mean first?"),
        ],
    )
    def test_words_that_mean_nothing_are_one_line(self, words: list[str], said: str) -> None:
        with pytest.raises(BoardllamaError) as caught:
            run_of_words(arguments().parse_args(["=".join(words)]))
        assert str(caught.value) == said


class TestFigures:
    def test_the_bridge_alone_counts(self) -> None:
        table = "  lo: 7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\nfleet0: 1200 3 0 0 0 0 0 0 3400 5 0 0 0 0 0 0\n"
        assert carried_bytes(table) == (3400, 1200)

    def test_a_board_is_judged_by_what_was_expected_of_it(self) -> None:
        row = {"host": "full", "verdict": "failed", "reason": "a.gguf: 222 MB to bring; make room there\nmore"}
        assert judged_row(row).as_expected
        assert judged_row(row).reason == "a.gguf: 222 MB to bring; make room there"
        assert not judged_row(row | {"host": "board-01"}).as_expected
        assert judged_row({"host": "board-01", "verdict": "switched", "reason": ""}).as_expected

    def test_ansible_is_told_the_same_host(self) -> None:
        told = ansible_data({"ssh_hostname": "10.99.0.11", "ssh_user": "root", "ssh_key": "/k"})
        assert told["ansible_host"] == "10.99.0.11"
        assert told["ansible_port"] == 22
        assert told["ansible_ssh_private_key_file"] == "/k"


class TestPages:
    def test_a_rival_is_compared_with_ours_of_the_same_size(self) -> None:
        found = newest_of_each([record(measured("ansible", 20.0), measured(OURS, 2.0))])
        part = fleet_part(found, [])
        assert part.index("| no change | 10 | boardllama | 2.0 |  |") < part.index(
            "| no change | 10 | ansible | 20.0 | 10.0 |"
        )

    def test_growth_is_between_the_smallest_and_the_largest_fleet(self) -> None:
        found = newest_of_each([record(measured(OURS, 1.0, 1), measured(OURS, 1.9, 10), measured(OURS, 3.45, 50))])
        assert "A board more costs the controller, CPU seconds: no change boardllama 0.050." in fleet_part(found, [])

    def test_what_happened_behind_a_gateway_is_a_row(self, tmp_path: Path) -> None:
        happened: Any = {"boards": 4, "clients": 12, "out": 1, "wall": 30.4}
        one = UnderLoad(
            happened="upgrade", answered=99, failed=["Cut"], verdicts={"switched": 4}, as_expected=False, **happened
        )
        part = fleet_part({("nochange", 10, OURS): measured(OURS, 2.0)}, [], [one])
        assert "| upgrade of all boards (not as expected) | 4 | 12 | 99 | 1 | 1 | 4 switched | 30 |" in part
        assert one.summary.endswith("99 answered, 1 failed, at most 1 out at once, 4 switched, 30 s")

    def test_the_newest_record_counts(self, tmp_path: Path) -> None:
        keep_record(record(measured(OURS, 9.0), date="2026-11-30T07:00:00Z"), tmp_path)
        keep_record(record(measured(OURS, 2.0)), tmp_path)
        (one,) = newest_of_each(read_history(tmp_path)).values()
        assert one.costs.cpu == 9.0

    def test_a_file_that_is_no_record_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "x.json").write_text("{}")
        with pytest.raises(BoardllamaError, match=r"x\.json is no record of a run \(date: .*\); restore it"):
            read_history(tmp_path)

    def test_the_page_keeps_all_but_its_part_and_the_plot_is_the_same_each_time(self, tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        page.write_text(f"before\n{MARKS[0]}old\n{MARKS[1]}after\n")
        written = []
        for _ in range(2):
            write_pages([record(measured(OURS, 2.0))], page, tmp_path)
            written.append((tmp_path / "fleet.svg").read_bytes())
        assert page.read_text().startswith(f"before\n{MARKS[0]}\n![")
        assert page.read_text().endswith(f"{MARKS[1]}after\n")
        assert written[0] == written[1]

    def test_the_page_of_the_repository_has_the_marks(self) -> None:
        assert all(mark in PAGE.read_text() for mark in MARKS)


@pytest.mark.parametrize(
    ("tool", "scenarios", "top_ks"),
    [
        ("ansible", "config", [40, 41]),
        ("ansible", "nochange,config", [40, 40, 41]),
        ("ansible", "first,nochange,config", [40, 40, 41]),
        ("mitogen", "nochange,config", [40, 40, 41]),
    ],
)
def test_a_scenario_costs_the_same_whatever_was_asked_for_before(
    tool: str, scenarios: str, top_ks: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A config change of boards that have nothing would be a first deploy; that comes before it, and is not counted."""
    asked: list[int] = []

    def run_tool(_tool: str, _fleet: Fleet, _hosts: dict[str, Any], work: Work) -> Costs:
        asked.append(work.top_k)
        return COSTS

    monkeypatch.setattr(run_module, "run_tool", run_tool)
    monkeypatch.setattr(run_module.Run, "work", Work(tmp_path, tmp_path))
    run = run_of_words(arguments().parse_args(["--scenarios", scenarios]))
    told = [one.scenario for one in run.each_scenario(tool, Fleet(tmp_path, [Board(1)]), {"b1": {}})]
    assert asked == top_ks and told == scenarios.split(",")


def test_a_stand_in_has_the_size_of_the_program_and_says_what_it_is(tmp_path: Path) -> None:
    program = tmp_path / "llama-server"
    program.write_bytes(program_bytes(SIZES["llama-server"]))
    program.chmod(0o755)
    assert program.stat().st_size == SIZES["llama-server"]
    said = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    assert said == "version: 0 (a stand-in of the simulated fleet: no model runs here)\n"


def test_a_stand_in_answers_who_has_its_key_in_words_that_name_its_board(tmp_path: Path) -> None:
    (port,), key = free_ports(1), tmp_path / "key"
    key.write_text("its-key\n")
    words = [sys.executable, str(STAND_IN), "--port", str(port), "--api-key-file", str(key)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(words) as server:
        try:
            await_true(lambda: ask_server(url, "/health")[0] == 200)
            question: dict[str, Any] = {"max_tokens": 2}
            assert ask_server(url, "/v1/chat/completions", question)[0] == 401
            _, whole = ask_server(url, "/v1/chat/completions", question, key="its-key")
            assert whole["choices"][0]["message"]["content"] == f"{socket.gethostname()} {socket.gethostname()}"
            assert whole["system_fingerprint"] == "a stand-in of the simulated fleet: no model runs here"
            _, stream = ask_server(url, "/v1/chat/completions", question | {"stream": True}, key="its-key")
            pieces = [line.removeprefix("data: ") for line in stream.split("\n\n") if line]
            assert pieces[-1] == "[DONE]"
            ends = [json.loads(piece)["choices"][0]["finish_reason"] for piece in pieces[:-1]]
            assert ends == [None, "length"]
        finally:
            server.kill()


def send_all(connection: socket.socket, sent: bytes) -> None:
    """Sends the bytes, then says that there are no more."""
    connection.sendall(sent)
    connection.shutdown(socket.SHUT_WR)


def test_a_far_link_holds_back_and_loses_nothing() -> None:
    near, source = socket.socketpair()
    sink, far = socket.socketpair()
    sent = bytes(range(256)) * 4000
    with FarLink("127.0.0.1", 0.3) as link:
        link.carry(source, sink)
        began = time.monotonic()
        threading.Thread(target=send_all, args=(near, sent), daemon=True).start()
        got = far.recv(1)
        assert time.monotonic() - began >= 0.15
        while block := far.recv(1 << 16):
            got += block
    assert got == sent
