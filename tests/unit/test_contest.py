"""What a sweep makes of its figures, and what bounds them: pure functions, and the memory of this machine."""

import os
from pathlib import Path

import pytest

from deploy.onboard.tune.bandwidth import memory_bandwidth
from deploy.onboard.tune.contest import Entrant, choose_entrant, choose_threads, hold_contest, weighted_speed
from deploy.onboard.tune.core_kinds import kinds_of_cores, time_core
from deploy.onboard.tune.setup import Figure, Setup, core_list
from deploy.onboard.tune.stages import threads_setups
from deploy.onboard.tune.weights_read import bytes_per_token
from tests.gguf_bytes import Matrix, gguf
from tests.unit.test_cores import BOARDS, described

SERVED = Setup("cortex-a76", (0, 1, 2, 3), 4, 4, True)


def entrant(setup: Setup, prompt: float, generation: float, spoiled: str = "") -> Entrant:
    """An entrant with one figure."""
    return Entrant(setup, "x", [Figure(prompt, generation, 0, spoiled)])


def test_ways_take_turns_and_every_second_round_begins_with_the_last() -> None:
    order: list[str] = []

    def measure(label: str, _setup: Setup) -> Figure:
        order.append(label)
        return Figure(10, 10, 0)

    hold_contest({"a": SERVED, "b": SERVED}, measure, lambda: False)
    assert "".join(order) == "abbaab"


@pytest.mark.parametrize(("speed", "runs"), [(8.9, 1), (9.1, 3)])
def test_only_what_is_clearly_worse_leaves(speed: float, runs: int) -> None:
    speeds = {"best": 10.0, "other": speed, "third": 10.0}
    entrants = hold_contest(
        dict.fromkeys(speeds, SERVED), lambda label, _: Figure(speeds[label], speeds[label], 0), lambda: False
    )
    assert [len(one.figures) for one in entrants] == [3, runs, 3]


def test_what_is_worse_in_one_speed_alone_stays() -> None:
    speeds = {"prompts": (20.0, 5.0), "answers": (10.0, 10.0)}
    entrants = hold_contest(dict.fromkeys(speeds, SERVED), lambda label, _: Figure(*speeds[label], 0), lambda: False)
    assert [len(one.figures) for one in entrants] == [3, 3]


@pytest.mark.parametrize(("weight", "best"), [(0.0, "answers"), (1.0, "prompts"), (0.5, "served")])
def test_the_weight_decides_between_prompts_and_answers(weight: float, best: str) -> None:
    entrants = {
        "served": entrant(SERVED, 10, 10),
        "prompts": entrant(SERVED._replace(build="p"), 20, 5),
        "answers": entrant(SERVED._replace(build="a"), 5, 20),
    }
    assert choose_entrant(list(entrants.values()), weight) is entrants[best]


@pytest.mark.parametrize(("speed", "wins"), [(10.2, False), (10.4, True)])
def test_what_serves_stays_unless_another_is_worth_the_change(speed: float, wins: bool) -> None:
    other = entrant(SERVED._replace(build="x"), speed, speed)
    assert (choose_entrant([entrant(SERVED, 10, 10), other], 0.5) is other) == wins


@pytest.mark.parametrize(("runs", "wins"), [((11.9, 12.0, 12.1), True), ((9.0, 12.0, 15.0), False)])
def test_what_may_be_chance_changes_nothing(runs: tuple[float, ...], wins: bool) -> None:
    """A fifth more is worth the change, unless the runs of the same way differ by more than that."""
    other = Entrant(SERVED.with_threads((0,), 1), "x", [Figure(speed, speed, 0) for speed in runs])
    entrants = [entrant(SERVED, 10, 10), other]
    assert (choose_entrant(entrants, 0.5) is other) == wins
    assert (choose_threads(entrants, 0.5) == other.setup) == wins


def test_what_is_better_in_each_run_wins_however_much_its_runs_differ() -> None:
    """Beside a busy neighbour: the slowest run on the fast core is still far beyond the fastest of what is in place."""
    other = Entrant(SERVED.with_threads((0,), 1), "x", [Figure(speed, speed, 0) for speed in (20.0, 30.0, 90.0)])
    entrants = [Entrant(SERVED, "now", [Figure(speed, speed, 0) for speed in (10.0, 12.0, 19.0)]), other]
    assert choose_entrant(entrants, 0.5) is other
    assert choose_threads(entrants, 0.5) == other.setup


def test_of_cores_that_cannot_be_told_apart_the_fewest_win() -> None:
    """One thread on two cores, of which the kernel took the fast one most of the time; and on the fast one alone."""
    lucky = Entrant(SERVED.with_threads((0, 1), 1), "x", [Figure(speed, speed, 0) for speed in (130.0, 225.0, 226.0)])
    steady = Entrant(SERVED.with_threads((1,), 1), "y", [Figure(speed, speed, 0) for speed in (223.0, 223.6, 224.0)])
    slow = entrant(SERVED.with_threads((0,), 1), 38, 38)
    served = entrant(SERVED, 66, 66)
    assert choose_threads([served, lucky, steady, slow], 0.5) == steady.setup
    spoiled = entrant(SERVED.with_threads((2,), 1), 300, 300, spoiled="it was hot")
    assert choose_threads([served, lucky, spoiled], 0.5) == lucky.setup


def test_a_contest_of_all_rounds_drops_nobody() -> None:
    speeds = {"now": 5.0, "tuned": 10.0}
    entrants = hold_contest(
        dict.fromkeys(speeds, SERVED), lambda label, _: Figure(speeds[label], speeds[label], 0), lambda: False, True
    )
    assert [len(one.figures) for one in entrants] == [3, 3]


def test_a_spoiled_figure_counts_for_nothing() -> None:
    served = entrant(SERVED, 10, 10, spoiled="it was hot")
    assert (served.prompt, served.spoiled) == (0.0, "it was hot")
    assert choose_entrant([served, entrant(SERVED._replace(build="x"), 99, 99)], 0.5) is served, "it cannot be compared"


def test_each_speed_gets_its_own_number_of_threads_on_the_same_cores() -> None:
    entrants = [
        entrant(SERVED, 40, 8),
        entrant(SERVED.with_threads((0, 1, 2, 3), 3), 30, 10),
        entrant(SERVED.with_threads((0, 1), 2), 20, 9),
    ]
    best = choose_threads(entrants, 0.5)
    assert (best.cores, best.threads, best.batch_threads) == ((0, 1, 2, 3), 3, 4)


def test_a_speed_of_nothing_is_no_speed() -> None:
    assert weighted_speed(0, 10, 0.5) == 0
    assert weighted_speed(4, 9, 0.5) == pytest.approx(6)


@pytest.mark.parametrize(
    ("cores", "text"), [((0, 1, 2, 3), "0-3"), ((5, 0, 1), "0-1,5"), ((2,), "2"), ((0, 2, 4), "0,2,4")]
)
def test_cores_are_written_as_the_kernel_does(cores: tuple[int, ...], text: str) -> None:
    assert core_list(cores) == text


def test_the_kinds_of_cores_that_the_kernel_tells_apart(tmp_path: Path) -> None:
    cpus = described(tmp_path, BOARDS["cix-p1"][0])
    assert kinds_of_cores(set(range(12)), cpus) == [
        (0, 1, 6, 7, 8, 9, 10, 11),
        tuple(range(12)),
        (2, 3, 4, 5),
    ]


def test_the_kinds_of_cores_that_the_kernel_does_not_tell_apart(tmp_path: Path) -> None:
    cpus = described(tmp_path, BOARDS["nothing said"][0])
    seconds = {0: 0.030, 1: 0.031, 2: 0.010, 3: 0.0105}
    assert kinds_of_cores({0, 1, 2, 3}, cpus, seconds.__getitem__) == [(0, 1, 2, 3), (2, 3), (0, 1)]
    assert time_core(0) > 0


def test_each_kind_of_cores_is_tried_and_the_first_two_with_fewer_threads() -> None:
    ways = threads_setups(SERVED, [(4, 5), tuple(range(6)), (0, 1, 2, 3)], len).setups
    assert list(ways) == [
        "threads 4, cores 0-3",
        "threads 2, cores 4-5",
        "threads 1, cores 4-5",
        "threads 6, cores 0-5",
        "threads 5, cores 0-5",
        "threads 3, cores 0-5",
    ]
    assert ways["threads 4, cores 0-3"] == SERVED, "which is one of the kinds, and no way of its own"


def model(folder: Path, tensors: tuple[Matrix, ...], **keys: int) -> Path:
    """A model of these tensors."""
    path = folder / "m.gguf"
    told = {f"llama.{name}": value for name, value in keys.items()}
    path.write_bytes(gguf({"general.architecture": "llama", **told}, tensors))
    return path


TABLE, OUTPUT = Matrix("token_embd.weight"), Matrix("output.weight")


@pytest.mark.parametrize(
    ("tensors", "keys", "read"),
    [
        ((TABLE, OUTPUT, Matrix("blk.0.ffn_up.weight")), {}, 144 + 576 + 576),
        ((TABLE, Matrix("blk.0.ffn_up.weight")), {}, 576 + 576),
        (
            (TABLE, OUTPUT, Matrix("blk.0.ffn_up_exps.weight", (256, 4, 8), size=8 * 576)),
            {"expert_count": 8, "expert_used_count": 2},
            144 + 576 + 2 * 576,
        ),
    ],
)
def test_a_token_reads_of_experts_those_in_use_and_of_a_table_one_row(
    tmp_path: Path, tensors: tuple[Matrix, ...], keys: dict[str, int], read: int
) -> None:
    """A row of Q4_K with 256 columns is 144 bytes. Without an output matrix the table is read as that."""
    assert bytes_per_token([model(tmp_path, tensors, **keys)]) == read


def test_memory_moves_and_the_process_keeps_its_cores() -> None:
    before = os.sched_getaffinity(0)
    assert 1e8 < memory_bandwidth(sorted(before)[:2], 64 << 20) < 1e13
    assert os.sched_getaffinity(0) == before
