"""The part of docs/explanation/benchmarks.md and the plots that are made from the history."""

from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from tests.bench.history import Cycles, Entry, Record, read_history
from tests.bench.pages import BEGIN, END, PAGE, PLOTS, page_part, with_part, write_pages

RUN = Record(
    date="2026-11-29T03:00:00Z",
    commit="0123456789ab",
    shape="small",
    rounds=5,
    machine="a machine",
    emulator="QEMU 7.2",
    absent={"tuned": "nothing is tuned"},
    entries=[
        Entry(
            cpu="cortex-a76",
            contender="debian",
            kernels="libggml-cpu-armv8.2_2.so",
            figures={"prompt": [3.0], "generation": [2.0], "size": [20e6]},
        ),
        Entry(cpu="cortex-a76", contender="boardllama", figures={"prompt": [2.0, 2.5, 1.5], "generation": [2.5]}),
    ],
    cycles=[Cycles(contender="debian", model="cortex-a76", kernel="Q4_0", prompt=1.5e6, generation=2e6)],
)


class TestTable:
    def test_a_column_is_a_contender_and_a_row_a_figure(self) -> None:
        part = page_part({"a-run": RUN})
        assert "### small, `-cpu cortex-a76`" in part
        assert "| | unit | debian | boardllama |" in part
        assert "| prompt | CPU s/token | 3.000 | 2.000 (1.500 to 2.500) |" in part
        assert "| installed | MB | 20.0 |  |" in part

    def test_who_is_ahead_and_who_is_missing_is_said(self) -> None:
        part = page_part({"a-run": RUN})
        assert "boardllama is ahead by: prompt 1.50x debian, generation 0.80x debian (below 1, it is behind)." in part
        assert "Without tuned: nothing is tuned." in part
        assert "Kernels chosen at run time: debian libggml-cpu-armv8.2_2.so." in part

    def test_of_a_cpu_the_newest_run_of_a_shape_stands_there(self) -> None:
        later = RUN.model_copy(update={"rounds": 7})
        part = page_part({"first": RUN, "second": later})
        assert part.count("### small") == 1
        assert "[second](benchmarks/history/second.json): 7 rounds" in part

    def test_cycles_have_a_row_for_each_kernel_and_core(self) -> None:
        part = page_part({"a-run": RUN})
        assert "| kernel | core | debian, prompt | debian, generation |" in part
        assert "| Q4_0 | cortex-a76 | 1.50 | 2.00 |" in part

    def test_cycles_of_a_core_are_those_of_the_newest_run_that_has_it(self) -> None:
        other = Cycles(contender="debian", model="cortex-a53", kernel="Q4_0", prompt=7e6, generation=8e6)
        again = RUN.cycles[0].model_copy(update={"prompt": 1.25e6})
        runs = {
            "a": RUN,
            "b": RUN.model_copy(update={"cycles": [again]}),
            "c": RUN.model_copy(update={"cycles": [other]}),
        }
        rows = [line for line in page_part(runs).splitlines() if line.startswith("| Q4_0")]
        assert rows == ["| Q4_0 | cortex-a53 | 7.00 | 8.00 |", "| Q4_0 | cortex-a76 | 1.25 | 2.00 |"]

    def test_who_is_missing_on_another_cpu_is_not_missing_here(self) -> None:
        elsewhere = RUN.model_copy(update={"absent": {"boardllama": "nothing for max"}})
        assert "Without boardllama" not in page_part({"a-run": elsewhere})

    def test_without_a_run_nothing_is_claimed(self) -> None:
        assert page_part({}) == "\nNothing is measured yet.\n\n"


class TestPage:
    def test_what_stands_around_the_part_stays(self) -> None:
        assert with_part(f"# Before\n{BEGIN}old\n{END}after\n", "new\n") == f"# Before\n{BEGIN}new\n{END}after\n"

    def test_a_page_without_the_marks_is_refused(self) -> None:
        with pytest.raises(BoardllamaError, match="restore it from git"):
            with_part("# Before\n", "new\n")

    def test_the_committed_page_and_plots_are_what_the_history_makes(self, tmp_path: Path) -> None:
        page = tmp_path / PAGE.name
        page.write_bytes(PAGE.read_bytes())
        write_pages(read_history(), page, tmp_path / "plots")
        assert page.read_text() == PAGE.read_text()
        for plot in (tmp_path / "plots").glob("*"):
            assert plot.read_bytes() == (PLOTS / plot.name).read_bytes()


def test_the_same_history_gives_the_same_plots(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    made = []
    for name in ("one", "two"):
        page.write_text(BEGIN + END)
        write_pages({"a-run": RUN, "another": RUN.model_copy(update={"commit": "fedcba987654"})}, page, tmp_path / name)
        made.append({plot.name: plot.read_bytes() for plot in (tmp_path / name).iterdir()})
    assert made[0] == made[1]
    assert set(made[0]) == {"speed.svg", "history.svg"}
