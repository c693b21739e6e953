"""The fault campaign's own judgement, on made-up targets: what counts as old, new and lost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.__main__ import chosen
from tests.faults.bad_releases import MANNERS, fake
from tests.faults.campaign import Result, Results, dice
from tests.faults.fault import EITHER, ONLY_OLD
from tests.faults.judge import TOLERANCE, Outcome, Reference, Verdict, converged, judge
from tests.faults.observed import Seen, Served
from tests.faults.on_target.damage import HEADER, damaged, place
from tests.faults.report import page, spans
from tests.faults.rows import table
from tests.faults.target_layout import other_release, without_release

OLD = Served("program", ("llama-server", "--threads", "1"), "model", "config 1", "unit", "launcher")
NEW = replace(OLD, argv=("llama-server", "--threads", "2"), config="config 2")
ANSWER = '{"choices": [{"text": " once"}]}'


def seen(served: Served | None = NEW, **changes: object) -> Seen:
    """A target that serves well but for the changes."""
    state = "active/running/success" if served else "inactive/dead/success"
    fields: dict[str, Any] = {
        "state": state,
        "served": served,
        "status": 200 if served else 0,
        "answer": ANSWER,
        "used": 1000,
    }
    return Seen(**{**fields, **changes})


CHANGED = Reference(seen(OLD), seen(NEW), 10.0)
FIRST = Reference(seen(None), seen(NEW), 10.0)


def reason(verdict: Verdict) -> str:
    """Why a board is lost; fails when it is not."""
    assert verdict.outcome is Outcome.LOST
    return verdict.reason


class TestWhichRelease:
    def test_the_old_and_the_new_one_are_told_apart(self) -> None:
        assert judge(seen(OLD), CHANGED, EITHER) == Verdict(Outcome.OLD)
        assert judge(seen(NEW), CHANGED, EITHER) == Verdict(Outcome.NEW)

    def test_a_mixture_is_lost_and_its_parts_are_named(self) -> None:
        mixed = seen(replace(OLD, config="config 2"))
        assert reason(judge(mixed, CHANGED, EITHER)) == (
            "neither release: not the old one's config, not the new one's argv"
        )

    def test_a_model_that_changed_on_the_disk_is_lost(self) -> None:
        assert "model" in reason(judge(seen(replace(NEW, model="flipped")), CHANGED, EITHER))

    def test_before_the_first_deploy_serving_nothing_is_serving_the_old(self) -> None:
        assert judge(seen(None), FIRST, EITHER) == Verdict(Outcome.OLD)

    def test_a_unit_that_failed_is_lost_even_before_the_first_deploy(self) -> None:
        flapping = seen(None, state="failed/failed/exit-code", journal="cannot load model\n")
        assert reason(judge(flapping, FIRST, EITHER)) == (
            "nothing is served: failed/failed/exit-code; cannot load model"
        )

    def test_later_serving_nothing_is_lost(self) -> None:
        assert "nothing is served" in reason(judge(seen(None), CHANGED, EITHER))

    @pytest.mark.parametrize(
        ("status", "answer"), [(503, "loading"), (200, ""), (200, '{"choices": [{"text": ""}]}'), (0, "refused")]
    )
    def test_without_a_completion_it_is_lost(self, status: int, answer: str) -> None:
        assert f"answered with {status}" in reason(judge(seen(NEW, status=status, answer=answer), CHANGED, EITHER))

    def test_a_bad_release_must_not_stay(self) -> None:
        assert "new is served" in reason(judge(seen(NEW), CHANGED, ONLY_OLD))

    def test_a_key_in_the_open_is_lost(self) -> None:
        assert "journal" in reason(judge(seen(NEW, leaks=("journal",)), CHANGED, EITHER))

    def test_a_releases_own_name_does_not_count(self) -> None:
        word = "/usr/lib/boardllama/releases/20260101-ab/llama-server"
        assert without_release(word) == "RELEASE/llama-server"

    def test_what_was_seen_is_kept_as_json(self) -> None:
        assert Seen.parse(seen(NEW, leaks=("journal",)).as_json()) == seen(NEW, leaks=("journal",))
        assert Seen.parse(seen(None).as_json()) == seen(None)


class TestConverged:
    def test_a_clean_deploy_passes(self) -> None:
        assert converged(seen(), CHANGED, 0, [], "") == Verdict(Outcome.NEW)

    def test_a_deploy_that_fails_is_lost(self) -> None:
        said = "progress\nError: no space\nmore"
        assert reason(converged(seen(), CHANGED, 1, [], said)) == "the next deploy fails: Error: no space"

    def test_a_deploy_that_leads_elsewhere_is_lost(self) -> None:
        assert "after the next deploy" in reason(converged(seen(OLD), CHANGED, 0, [], ""))

    def test_a_deploy_that_never_ends_changing_is_lost(self) -> None:
        assert "still changes: Configure" in reason(converged(seen(), CHANGED, 0, ["Configure"], ""))

    def test_unfinished_files_are_lost_space(self) -> None:
        assert "/x/.y.part" in reason(converged(seen(unfinished=("/x/.y.part",)), CHANGED, 0, [], ""))

    def test_disk_use_is_bounded(self) -> None:
        assert converged(seen(used=1000 + TOLERANCE), CHANGED, 0, [], "").outcome is Outcome.NEW
        assert "MiB are in use" in reason(converged(seen(used=1001 + TOLERANCE), CHANGED, 0, [], ""))


class TestTable:
    def test_no_row_is_there_twice(self) -> None:
        names = [row.name for row in table()]
        assert len(names) == len(set(names))

    def test_power_is_cut_a_hundred_times_as_often_during_each_kind_of_change(self) -> None:
        counts: dict[str, int] = {}
        for row in table():
            if row.fault.name.startswith("power-cut"):
                counts[row.change.name] = counts.get(row.change.name, 0) + row.count
        assert counts == {"first": 25, "upgrade": 25, "model": 25, "rollback": 25, "build": 2}

    @pytest.mark.parametrize("name", ["controller", "network"])
    def test_the_controller_and_the_network_are_lost_thirty_times(self, name: str) -> None:
        assert sum(row.count for row in table() if row.fault.name.startswith(name)) >= 30

    def test_a_row_is_found_by_its_name_its_fault_or_a_pattern(self) -> None:
        assert [row.name for row in chosen("power-cut/upgrade")] == ["power-cut/upgrade"]
        assert {row.fault.name for row in chosen("disk-full")} == {"disk-full"}
        assert len(chosen("*/upgrade")) > 10

    def test_all_that_is_random_follows_from_row_and_seed(self) -> None:
        first, second = list(table())[:2]
        assert dice(first, 1).random() == dice(first, 1).random()
        assert len({dice(first, 1).random(), dice(first, 2).random(), dice(second, 1).random()}) == 3


class TestResults:
    RESULT = Result("power-cut/upgrade", 3, "old", "2.00 s", "", 14.0, 60.0, "code")

    def test_they_survive_an_interruption(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        path = tmp_path_factory.mktemp("faults") / "results.jsonl"
        Results(path).add(self.RESULT)
        with path.open("a") as file:
            file.write('{"row": "half a li')
        assert list(Results(path)) == [self.RESULT]

    def test_a_result_of_other_code_or_of_a_row_that_is_gone_is_none(self, tmp_path: Path) -> None:
        row, hub = next(table()), next(row for row in table() if row.fault.fetches)
        results = Results(tmp_path / "results.jsonl")
        made = replace(self.RESULT, row=row.name, code=row.code)
        others = {"row": "gone/upgrade"}, {"row": hub.name}, {"seed": 4, "code": "c0de"}
        for result in (made, *(replace(made, **changed) for changed in others)):
            results.add(result)
        assert results.present(table()) == [made]
        assert results.has(row, 3) and not results.has(row, 4) and not results.has(hub, 3)

    def test_the_page_counts_outcomes_and_names_what_is_lost(self) -> None:
        bad = replace(self.RESULT, seed=4, outcome="LOST", reason="a | b", serve=None)
        text = page([bad, self.RESULT], {"power-cut/upgrade": 1, "power-cut/first": 8})
        assert "| power-cut | upgrade | 2 | 1 |  | 1 | 14 (at most 14) | 3-4 |" in text
        assert "- `power-cut/upgrade` seed 4, 2.00 s: a / b\n" in text
        assert "Of code code: 2 tries, 1 of the 9 planned; 1 old, 0 new, 1 LOST." in text

    def test_seeds_are_drawn_together(self) -> None:
        assert spans([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"


class TestPieces:
    @pytest.mark.parametrize(
        ("kind", "low", "high"),
        [("first", 0, 0), ("header", 1, HEADER), ("middle", HEADER, 9998), ("last", 9999, 9999)],
    )
    def test_damage_is_where_it_is_wanted(self, kind: str, low: int, high: int) -> None:
        for seed in range(50):
            at = place(kind, 10_000, dice(next(table()), seed))
            assert low <= at <= high
            content = damaged(bytes(10_000), kind, at)
            assert [number for number, byte in enumerate(content) if byte] == [at]

    def test_other_damage_changes_the_length(self) -> None:
        assert damaged(b"abcdef", "truncated", 2) == b"ab"
        assert damaged(b"abcdef", "grown", 2) == b"abcdefab"
        assert damaged(b"abcdef", "html", 2).startswith(b"<!DOCTYPE html>")

    @pytest.mark.parametrize("manner", MANNERS)
    def test_a_fake_server_is_a_program_of_its_manner(self, manner: str) -> None:
        text = fake(manner, "b0-abc").decode()
        assert text.startswith("#!/usr/bin/python3 -IS\n")
        assert f'MANNER = "{manner}"\n' in text
        compile(text, "llama-server", "exec")

    def test_a_rollback_goes_to_the_newest_other_release(self) -> None:
        printed = (
            '[{"id": "c", "state": "current", "when": "3"}, {"id": "b", "state": "previous", "when": "2"},'
            ' {"id": "a", "state": "previous", "when": "1"}]'
        )
        assert other_release(printed) == "b"
