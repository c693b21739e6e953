"""A whole sweep on a board in a folder: real processes, cores and counters; the speeds are the test's."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.onboard import Target
from tests.unit.sweeping_board import Counted, SweepingBoard, await_truth, lines_of, metrics_server
from tests.unit.test_board_facts import write


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SweepingBoard]:
    """A board with two cores and one build, whose server nobody asks."""
    counted = Counted()
    with metrics_server(counted) as port:
        yield SweepingBoard(Target(tmp_path), port, counted)


def stage(result: dict[str, Any], name: str) -> dict[str, Any]:
    """The stage of that name."""
    return next(stage for stage in result["stages"] if stage["name"] == name)


def rows(stage: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows of a stage, by their labels."""
    return {row["label"]: row for row in stage["rows"]}


def test_the_cores_that_are_faster_win_though_the_kernel_does_not_tell_them_apart(board: SweepingBoard) -> None:
    board.kinds = [(0, 1), (1,), (0,)]
    board.speeds["factors"] = [{"when": ["cores=1"], "prompt": 1.5, "generation": 2}]
    result = board.sweep()["result"]
    assert (result["best"]["cores"], result["best"]["threads"]) == ([1], 1)
    assert result["last"]["winner"] == "tuned"
    assert rows(result["last"])["tuned"]["generation"] == 20


def test_prompts_and_answers_may_have_different_numbers_of_threads(board: SweepingBoard) -> None:
    board.speeds["factors"] = [
        {"when": ["--threads=1"], "generation": 1.5, "prompt": 0.5},
    ]
    best = board.sweep()["result"]["best"]
    assert (best["threads"], best["batch_threads"], best["cores"]) == (1, 2, [0, 1])


def test_what_serves_stays_when_nothing_is_clearly_faster(board: SweepingBoard) -> None:
    board.request["builds"] = ["cortex-a76"]
    board.speeds["factors"] = [{"when": ["build=cortex-a76"], "prompt": 1.02, "generation": 1.02}]
    result = board.sweep()["result"]
    assert result["best"] == result["now"]
    assert [row["label"] for row in result["last"]["rows"]] == ["now"]
    assert len(rows(stage(result, "build"))) == 2, "it was measured all the same"


def test_a_build_that_is_faster_wins(board: SweepingBoard) -> None:
    board.request["builds"] = ["cortex-a76", "neoverse-n1"]
    board.speeds["factors"] = [{"when": ["build=neoverse-n1"], "prompt": 1.2, "generation": 1.1}]
    result = board.sweep()["result"]
    assert result["best"]["build"] == "neoverse-n1"


def test_the_later_questions(board: SweepingBoard) -> None:
    """Repacking is decided here; what changes answers, or the memory that was counted, is told and not chosen."""
    board.whole = True
    board.speeds["factors"] = [
        {"when": ["--repack=0"], "prompt": 0.5, "generation": 0.5},
        {"when": ["--cache-type-k=q8_0"], "generation": 2},
        {"when": ["--ubatch-size=128", "--n-depth=0"], "prompt": 1.5},
    ]
    result = board.sweep()["result"]
    off = rows(stage(result, "repacked weights"))["repack off"]
    assert (off["runs"], off["note"]) == (1, "clearly worse after 1")
    told = stage(result, "cache of conversations")
    assert (told["applies"], told["winner"]) == (False, "kv_cache q8_0")
    pieces = stage(result, "prompt's pieces")
    assert [row["label"] for row in pieces["rows"]] == ["ubatch 512", "ubatch 128", "ubatch 64"]
    assert (pieces["applies"], pieces["winner"]) == (False, "ubatch 128")
    best = result["best"]
    assert (best["repack"], best["kv_cache"], best["ubatch"]) == (True, "f16", 512)


def test_a_build_that_ends_badly_is_left_out_with_the_reason(board: SweepingBoard) -> None:
    board.request["builds"] = ["armv8.6-i8mm"]
    board.prepare()
    (board.folder / "builds" / "armv8.6-i8mm" / "llama-bench").write_text("#!/bin/sh\nkill -ILL $$\n")
    with board.start() as running:
        result = list(lines_of(running.stdout))[-1]["result"]
    assert rows(stage(result, "build"))["armv8.6-i8mm"]["note"] == "this CPU lacks an instruction of the build"


def test_a_run_waits_while_the_board_works_for_a_client(board: SweepingBoard) -> None:
    board.counted.processing = 1
    with board.prepare().start() as running:
        lines = lines_of(running.stdout)
        assert next(lines)["say"] == "paused: the board works for its clients"
        assert board.runs == []
        board.counted.processing = 0
        assert "result" in list(lines)[-1]


def test_a_board_that_is_never_quiet_is_not_measured(board: SweepingBoard) -> None:
    board.counted.processing = 1
    board.request["minutes"] = 0.02
    said = board.sweep()["refused"]
    assert said.startswith(
        "the board worked for its clients all the time: run again when it is quiet, or with STOP_SERVING=1"
    )
    assert board.runs == []


def test_a_client_who_comes_ends_the_run_and_it_begins_anew(board: SweepingBoard) -> None:
    board.hold.touch()
    with board.prepare().start() as running:
        await_truth(lambda: len(board.runs) == 1)
        board.counted.processing = 1
        assert any("paused" in line.get("say", "") for line in lines_of(running.stdout))
        board.hold.unlink()
        board.counted.processing = 0
        result = list(lines_of(running.stdout))[-1]["result"]
    assert board.runs[0] == board.runs[1], "the same run once more"
    assert all(row["runs"] for row in result["last"]["rows"])


@pytest.mark.parametrize("way", ["signal", "end of input", "silence"])
def test_an_end_in_the_midst_leaves_nothing_behind(board: SweepingBoard, way: str) -> None:
    """The signal of a terminal; the end of the input, which is what a lost connection is; a cable that was pulled."""
    board.hold.touch()
    board.silence = 5.0 if way == "silence" else 600.0
    (board.root / "governor").write_text("performance")
    with board.prepare().start() as running:
        assert running.stdin
        await_truth(lambda: signs_of_life(running) and len(board.runs) == 1)
        (board.root / "note.json").write_text(
            json.dumps({"values": {str(board.root / "governor"): "ondemand"}, "units": []})
        )
        if way == "signal":
            running.send_signal(signal.SIGINT)
        elif way == "end of input":
            running.stdin.close()
            running.stdin = None
        assert running.wait(60) == 130
    assert (board.root / "governor").read_text() == "ondemand"
    assert not (board.root / "note.json").exists()
    assert stand_ins(board.root) == []


def signs_of_life(running: "subprocess.Popen[str]") -> bool:
    """Gives a sign of life, as a controller does."""
    assert running.stdin
    running.stdin.write("\n")
    running.stdin.flush()
    return True


def stand_ins(root: Path) -> list[int]:
    """The processes of the board's llama-bench."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if f"{root}/".encode() in words and b"llama-bench" in words:
            found.append(int(process.name))
    return found


def test_a_sweep_that_would_take_the_board_s_memory_is_refused(board: SweepingBoard) -> None:
    board.request["needs"] = {"repack": 1 << 50, "plain": 1 << 49}
    said = board.sweep()["refused"]
    assert said.startswith("m.gguf cannot be run beside what serves: it needs 1125899970 MB, and ")
    assert said.endswith(" MB are free; STOP_SERVING=1 stops the server meanwhile")
    assert board.runs == []


def test_a_server_that_is_stopped_for_the_sweep_is_started_again(board: SweepingBoard) -> None:
    """systemctl is a program that notes what it is told: this machine's units are not the test's."""
    board.request["stop_serving"] = True
    told = board.root / "told"
    program = write(board.programs / "systemctl", f'#!/bin/sh\necho "$1 $(wc -l < {board.root}/runs) $2" >> {told}\n')
    program.chmod(0o755)
    (board.root / "runs").touch()
    assert "result" in board.sweep()
    unit = board.target.service.unit
    assert told.read_text() == f"stop 0 {unit}\nstart {len(board.runs)} {unit}\n"
    assert board.counted.asked == 0, "nobody is asked who is stopped"


def test_figures_that_are_spoiled_are_taken_again_and_then_given_up(board: SweepingBoard) -> None:
    write(board.root / "kernel/sys/devices/platform/soc/soc:firmware/get_throttled", "4")
    last = board.sweep()["result"]["last"]
    assert rows(last)["now"] | {"memory": 0} == rows(last)["now"] | {
        "memory": 0,
        "runs": 0,
        "note": "the firmware throttled the cores",
    }
    assert len(board.runs) == 3 + 2 * 3 * 3 + 3 * 3, "each is run three times: first, two ways of threads, last"


def test_only_the_way_that_fits_the_memory_is_measured(board: SweepingBoard) -> None:
    board.whole = True
    board.request["needs"] = {"repack": 1 << 20, "plain": 1 << 50}
    off = rows(stage(board.sweep()["result"], "repacked weights"))["repack off"]
    assert off["runs"] == 0
    assert "MB are free" in off["note"]


def test_a_board_without_a_release_is_told_to_be_deployed_to(board: SweepingBoard) -> None:
    board.prepare()
    board.target.places.current.unlink()
    with board.start() as running:
        assert list(lines_of(running.stdout))[-1] == {"refused": "no model is served here: `make deploy` first"}
