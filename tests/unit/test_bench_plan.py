"""The plan of `make bench`: who is measured when, what is said before, and how a killed run goes on."""

from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from tests.bench.__main__ import main
from tests.bench.plan import COUNTED, KINDS, Results, expected_text, left_seconds, plan_measurements
from tests.bench.words import chosen_names

BUILDS = {("cortex-a53", "debian"): "d", ("cortex-a53", "boardllama"): "b53", ("max", "boardllama"): "bmax"}


class TestOrder:
    def test_contenders_take_turns_within_each_round(self) -> None:
        timed = [one for one in plan_measurements(BUILDS, rounds=2) if not one.kind.startswith(COUNTED)]
        turns = [(one.round, one.cpu, one.contender) for one in timed if one.kind == KINDS[0]]
        assert turns == [(number, *pair) for number in (1, 2) for pair in BUILDS]

    def test_every_kind_is_measured_once_a_round(self) -> None:
        planned = plan_measurements(BUILDS, rounds=5, counted=False)
        assert len(planned) == len({one.key for one in planned}) == 5 * len(BUILDS) * len(KINDS)

    def test_another_build_is_another_measurement(self) -> None:
        old, new = (plan_measurements({("max", "boardllama"): build}, 1)[0].key for build in ("one", "two"))
        assert old != new


class TestResumption:
    def test_what_a_killed_run_had_is_there(self, tmp_path: Path) -> None:
        planned = plan_measurements(BUILDS, rounds=1)
        Results.of_file(tmp_path / "results").add(planned[0], {"cpu_seconds": 2.5})
        assert Results.of_file(tmp_path / "results").found == {planned[0].key: {"cpu_seconds": 2.5}}

    def test_a_line_that_a_power_cut_left_in_half_is_no_result(self, tmp_path: Path) -> None:
        planned = plan_measurements(BUILDS, rounds=1)
        results = Results.of_file(tmp_path / "results")
        for one in planned[:2]:
            results.add(one, {"cpu_seconds": 2.5})
        results.file.write_text(results.file.read_text()[:-9])
        assert list(Results.of_file(results.file).found) == [planned[0].key]

    def test_a_whole_run_forgets_its_own_results_and_no_other(self, tmp_path: Path) -> None:
        first, second = plan_measurements(BUILDS, rounds=1, counted=False)[:2]
        results = Results.of_file(tmp_path / "results")
        for one in (first, second):
            results.add(one, {"cpu_seconds": 2.5})
        results.forget([first])
        assert list(Results.of_file(results.file).found) == [second.key]


class TestTime:
    def test_a_later_round_takes_as_long_as_the_one_before(self) -> None:
        one, two = plan_measurements(BUILDS, rounds=1)[:2]
        assert left_seconds([one, one, two], {one.title: 10.0, two.title: 30.0}, guess=60) == 50.0

    def test_what_was_never_measured_takes_the_mean(self) -> None:
        one, two, three = plan_measurements(BUILDS, rounds=1)[:3]
        assert left_seconds([three], {one.title: 10.0, two.title: 30.0}, guess=60) == 20.0

    def test_the_beginning_says_how_much_there_is_to_do_and_what_bounds_it(self) -> None:
        planned = plan_measurements(BUILDS, rounds=1, counted=False)
        said = expected_text(planned, 0, {}, guess=60)
        assert said == "15 measurements: about 15 min; CPUS=, CONTENDERS=, ROUNDS= and SHAPE=small bound it"
        assert "3 are there from a run before" in expected_text(planned, 3, {}, guess=60)


class TestBadInput:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--cpus", "cortex-a77"], "CPUS='cortex-a77' is not known: did you mean cortex-a76?"),
            (["--contenders", "debain"], "CONTENDERS='debain' is not known: did you mean debian?"),
            (["--contenders", "xyz"], "known are reference, debian, variants, boardllama, tuned"),
            (["--shape", "smal"], "did you mean small?"),
            (["--shape", "small tinyllama"], "must be one of tinyllama, small"),
            (["--rounds", "0"], "ROUNDS='0': must be a number from 1 to 100; 5 is the default"),
            (["--rounds", "five"], "ROUNDS='five'"),
            (["--report", "--against", "newest"], "is the newest record against itself: name an older one"),
            (["--against", "yesterday"], "AGAINST=yesterday is no record of tinyllama"),
        ],
    )
    def test_it_is_named_before_anything_is_made(
        self, words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path))
        with pytest.raises(BoardllamaError) as refused:
            main(words)
        assert said in str(refused.value)
        assert not list(tmp_path.iterdir())

    def test_a_controller_without_the_packages_is_told_which(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(BoardllamaError, match="apt-get install mmdebstrap bubblewrap dpkg"):
            main(["--shape", "small"])

    def test_names_are_taken_in_the_order_of_the_table(self) -> None:
        assert chosen_names("c, a", ("a", "b", "c"), "X") == ("a", "c")
        assert chosen_names("", ("a", "b"), "X") == ("a", "b")
