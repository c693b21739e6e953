"""Figures of `make bench`: a token's cost by slope, the median and spread of rounds, and what became worse."""

from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from tests.bench.figures import FIGURES, gather_figures, slope, spread_text
from tests.bench.history import Entry, Record, find_record, keep_record, read_history, regressions
from tests.bench.plan import BENCH, COUNTED, Measurement, plan_measurements
from tests.records import read_record_file

CPU = "cortex-a76"
# CPU seconds of a program that takes 7 s to load, 2 s for a token of prompt, 3 s for a token of an answer.
SPENT = {"prompt-short": 39.0, "prompt-long": 167.0, "generation-short": 13.0, "generation-long": 49.0, "start": 8.0}


def results(planned: list[Measurement], slower: float = 1.0) -> dict[str, dict[str, float]]:
    """A value for each measurement; in each round all takes 1 s more, and all takes `slower` times as long."""
    found = {}
    for one in planned:
        kind = one.kind.removeprefix(COUNTED)
        seconds = (SPENT[kind] + one.round) * slower
        counted = {"instructions": seconds * 1e9}
        whole = {"cpu_seconds": seconds, "wall_seconds": 2 * seconds, "guest_bytes": 700e6, "emulator_bytes": 60e6}
        found[one.key] = counted if one.kind.startswith(COUNTED) else whole
    return found


def record(
    date: str = "2026-11-29", shape: str = "small", contender: str = "boardllama", **figures: list[float]
) -> Record:
    entry = Entry(cpu=CPU, contender=contender, figures=figures)
    return Record(
        date=date, commit="0123456789ab", shape=shape, rounds=3, machine="a machine", emulator="QEMU", entries=[entry]
    )


class TestSlope:
    def test_what_a_run_costs_apart_from_its_tokens_is_not_in_it(self) -> None:
        assert slope(7 + 16 * 2, 7 + 80 * 2, (16, 80)) == 2.0

    def test_each_round_gives_a_value_of_each_figure(self) -> None:
        planned = plan_measurements({(CPU, "boardllama"): "build"}, rounds=3)
        figures = gather_figures(planned, results(planned))[CPU, "boardllama"]
        assert figures["prompt"] == [2.0, 2.0, 2.0]
        assert figures["generation"] == [3.0, 3.0, 3.0]
        assert figures["load"] == [8.0, 9.0, 10.0]
        assert figures["start"] == [9.0, 10.0, 11.0]
        assert figures["memory"] == [700e6] * 3

    def test_instructions_are_counted_once(self) -> None:
        planned = plan_measurements({(CPU, "debian"): "build"}, rounds=2)
        figures = gather_figures(planned, results(planned))[CPU, "debian"]
        assert figures["prompt_instructions"] == [2e9]
        assert figures["generation_instructions"] == [3e9]


class TestSpread:
    def test_the_median_stands_before_least_and_most(self) -> None:
        assert spread_text([2.0, 9.0, 1.0], FIGURES["prompt"]) == "2.000 (1.000 to 9.000)"

    def test_values_that_look_alike_are_said_once(self) -> None:
        assert spread_text([700e6, 700.1e6], FIGURES["memory"]) == "700"


class TestRegressions:
    def test_5_percent_more_is_named_with_both_values(self) -> None:
        before, after = record(prompt=[2.0, 2.0, 9.0]), record(prompt=[2.1, 2.1, 2.1])
        assert regressions(before, after) == [f"{CPU} boardllama: prompt 2.000 → 2.100 CPU s/token, +5.0%"]

    def test_less_than_5_percent_and_gains_are_none(self) -> None:
        before = record(prompt=[2.0], generation=[3.0])
        assert regressions(before, record(prompt=[2.09], generation=[1.0])) == []

    def test_a_rival_that_became_slower_is_none_of_ours(self) -> None:
        with pytest.raises(BoardllamaError, match="share no CPU of boardllama or tuned"):
            regressions(record(contender="debian", prompt=[2.0]), record(contender="debian", prompt=[4.0]))

    def test_seconds_of_the_wall_are_not_judged(self) -> None:
        before, after = record(start=[1.0], start_wall=[1.0]), record(start=[1.0], start_wall=[9.0])
        assert regressions(before, after) == []


class TestHistory:
    def test_a_record_is_read_as_it_was_kept(self, tmp_path: Path) -> None:
        kept = record(prompt=[2.0])
        assert read_record_file(keep_record(kept, tmp_path), Record) == kept

    def test_a_second_run_of_a_day_does_not_replace_the_first(self, tmp_path: Path) -> None:
        names = [keep_record(record(prompt=[2.0]), tmp_path).stem for _ in range(3)]
        assert names == ["2026-11-29-0123456-small", "2026-11-29-0123456-small-2", "2026-11-29-0123456-small-3"]
        assert list(read_history(tmp_path)) == names

    def test_newest_is_the_last_one_of_the_same_shape(self, tmp_path: Path) -> None:
        keep_record(record("2026-11-30", "tinyllama", prompt=[1.0]), tmp_path)
        for date in ("2026-11-29", "2026-11-28"):
            keep_record(record(date, prompt=[2.0]), tmp_path)
        assert find_record("newest", "small", tmp_path).date == "2026-11-29"

    def test_a_name_that_is_not_there_is_said_with_the_nearest(self, tmp_path: Path) -> None:
        keep_record(record(prompt=[2.0]), tmp_path)
        with pytest.raises(BoardllamaError, match="did you mean 2026-11-29-0123456-small"):
            find_record("2026-11-29-0123456-smal", "small", tmp_path)

    def test_another_shape_is_not_compared(self, tmp_path: Path) -> None:
        name = keep_record(record(shape="tinyllama", prompt=[2.0]), tmp_path).stem
        with pytest.raises(BoardllamaError, match="is of tinyllama, this run is of small: say SHAPE=tinyllama"):
            find_record(name, "small", tmp_path)

    def test_a_file_that_is_no_record_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text('{"version": 1}')
        with pytest.raises(BoardllamaError, match=r"a\.json is no record of a run"):
            read_history(tmp_path)


def test_every_kind_of_measurement_has_a_value_in_these_tests() -> None:
    assert {*BENCH, "start"} == set(SPENT)
