"""What becomes of the outcome of a sweep: group data, the table, the floor of the gate."""

import io
import json
import runpy
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import BoardllamaError
from deploy.hosts.release import pack_tar
from deploy.onboard.tune.setup import Setup
from deploy.setting_fields import SettingsError
from deploy.tune.group_data import write_group_data
from deploy.tune.outcome import StageOutcome, StageRow, SweepOutcome, common_settings, require_figures
from deploy.tune.remote_sweep import command_there, cpus_to_try
from deploy.tune.table import limit_line, outcome_lines
from tests.unit.processors import CRC, DOT_LRCPC
from tests.unit.test_settings import told

SERVED = Setup("cortex-a72", (0, 1, 2, 3), 4, 4, True)


def row(label: str, prompt: float = 30.0, generation: float = 9.1, runs: int = 3, note: str = "") -> StageRow:
    """A row of a table."""
    return StageRow(
        label=label,
        prompt=prompt,
        prompt_spread=0.02,
        generation=generation,
        generation_spread=0.04,
        memory=700_000_000,
        runs=runs,
        note=note,
    )


def outcome(best: Setup = SERVED, stages: tuple[StageOutcome, ...] = (), **other: Any) -> SweepOutcome:
    """What a board answers."""
    last = StageOutcome(name="last", applies=True, winner="tuned", rows=[row("tuned")])
    usual: dict[str, Any] = {
        "board": "Raspberry Pi 4 Model B",
        "model": "m.gguf",
        "now": SERVED,
        "best": best,
        "stages": list(stages),
        "last": last,
        "bandwidth": 7.5e9,
        "bytes_per_token": 669_642_857,
        "costs": ["the governor is ondemand: cores are slow to speed up"],
        "hottest": 61.2,
    }
    return SweepOutcome(**usual | other)


# 16 tokens, after a prompt of 8.
SPEED = {"tuned_tokens_per_second": round(16 / (8 / 30 + 16 / 9.1), 1), "tuned_model": "m.gguf"}


@pytest.mark.parametrize(
    ("best", "settings"),
    [
        (SERVED, {}),
        (SERVED._replace(build="cortex-a76"), {"cpu": "cortex-a76"}),
        (SERVED._replace(repack=False), {"repack": False}),
        (SERVED.with_threads((2, 3), 2), {"cores": "2-3", "threads": 2, "batch_threads": 2}),
        (SERVED._replace(batch_threads=3), {"cores": "0-3", "threads": 4, "batch_threads": 3}),
        (SERVED._replace(flash=False, kv_cache="q8_0", load="none", governor="performance", pages="always"), {}),
    ],
)
def test_only_what_differs_from_what_is_served_becomes_a_setting(best: Setup, settings: dict[str, Any]) -> None:
    assert outcome(best).settings == {**settings, **SPEED}


def test_an_outcome_survives_the_way_from_the_board() -> None:
    sent = outcome(SERVED.with_threads((2, 3), 2))
    assert SweepOutcome.model_validate_json(sent.model_dump_json()) == sent


def test_boards_of_a_kind_get_what_they_agree_on_and_the_lowest_speed() -> None:
    slow = StageOutcome(name="last", applies=True, winner="now", rows=[row("now", generation=8.0)])
    both = outcome(SERVED._replace(build="cortex-a76", repack=False)), outcome(SERVED._replace(repack=False), last=slow)
    assert common_settings(both) == (
        {"repack": False, "tuned_tokens_per_second": 7.1, "tuned_model": "m.gguf"},
        ["cpu"],
    )


def test_a_sweep_without_a_good_figure_writes_nothing() -> None:
    spoiled = row("now", runs=0, note="the board was too hot: give it a heat sink or a fan")
    last = StageOutcome(name="last", applies=True, winner="now", rows=[spoiled])
    with pytest.raises(BoardllamaError, match=r"^nothing was tuned: the board was too hot"):
        require_figures(outcome(last=last))


def test_the_limit_is_what_the_memory_allows() -> None:
    assert limit_line(outcome()) == (
        "answers: 9.1 of at most 11.2 tokens/s (a token reads 670 MB, the memory moves 7.5 GB/s)"
    )


def test_the_table_names_the_winner_the_spread_and_what_the_system_takes() -> None:
    told_only = StageOutcome(
        name="cache of conversations",
        applies=False,
        winner="kv_cache q8_0",
        rows=[row("kv_cache f16"), row("kv_cache q8_0", generation=10.0)],
    )
    said = "\n".join(outcome_lines("kitchen", outcome(stages=(told_only,))))
    assert "kitchen: Raspberry Pi 4 Model B, m.gguf" in said
    assert "9.1 ±2%" in said
    assert "kv_cache q8_0 *" in said
    assert "kv_cache q8_0: prompts +0%, answers +10%" in said
    assert "runs of one way differ" not in said
    assert "the system takes away: the governor is ondemand" in said
    assert "61 °C" in said


def test_what_may_be_chance_is_not_told_as_a_gain() -> None:
    noisy = row("kv_cache q8_0", generation=12.0).model_copy(update={"generation_spread": 0.7})
    stage = StageOutcome(name="cache", applies=False, winner="kv_cache q8_0", rows=[row("kv_cache f16"), noisy])
    last = StageOutcome(name="last", applies=True, winner="now", rows=[noisy.model_copy(update={"label": "now"})])
    said = "\n".join(outcome_lines("kitchen", outcome(stages=(stage,), last=last)))
    assert "kv_cache q8_0: " not in said
    assert "runs of one way differ by ±35%, and no smaller gain was chosen" in said


OWN = '''"""Our boards: drei Stück, größer."""

# Ours.
cpu = "cortex-a72"; top_k = 7  # both
stop = [
    "a",
]
threads = (
    2
)  # why

if True:
    alias = "ours"
'''


def test_nothing_else_of_an_operator_s_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "kind.py"
    path.write_text(OWN)
    path.chmod(0o640)
    assert write_group_data(path, {"cpu": "cortex-a76", "threads": 3, "cores": "0,2", "repack": False}, "new")
    expected = OWN.replace('"cortex-a72"', '"cortex-a76"').replace("    2\n", "    3\n")
    assert path.read_text() == expected + 'cores = "0,2"\nrepack = False\n'
    assert path.stat().st_mode & 0o777 == 0o640
    assert not write_group_data(path, {"threads": 3}, "new"), "nothing to change"
    assert [one.name for one in tmp_path.iterdir()] == ["kind.py"]


def test_a_new_file_says_what_it_is(tmp_path: Path) -> None:
    write_group_data(tmp_path / "kind.py", {"cpu": "cortex-a76", **SPEED}, "Pi 5: found.")
    assert runpy.run_path(str(tmp_path / "kind.py"))["__doc__"] == "Pi 5: found."
    assert runpy.run_path(str(tmp_path / "kind.py"))["tuned_tokens_per_second"] == 7.9


@pytest.mark.parametrize(
    "text",
    [
        "if True:\n    cpu = 'generic'\n",
        "cpu = 'generic'\ncpu = 'cortex-a53'\n",
        "cpu, threads = 'generic', 2\n",
        "cpu = 'generic'\nalias = cpu\n",
        "cpu: str = 'generic'\n",
        "cpu = \n",
        "del cpu\n",
    ],
)
def test_a_file_that_cannot_be_edited_safely_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kind.py"
    path.write_text(text)
    with pytest.raises(BoardllamaError, match="paste these lines into it"):
        write_group_data(path, {"cpu": "cortex-a76"}, "new")
    assert path.read_text() == text


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "shared.py").write_text("repack = True\n")
    (tmp_path / "kind.py").symlink_to("shared.py")
    write_group_data(tmp_path / "kind.py", {"repack": False}, "new")
    assert (tmp_path / "kind.py").is_symlink()
    assert (tmp_path / "shared.py").read_text() == "repack = False\n"


@pytest.mark.parametrize(
    ("settings", "floor"),
    [
        ({"min_tokens_per_second": 2.5}, 2.5),
        ({"min_tokens_per_second": "tuned", "tuned_tokens_per_second": 10, "tuned_model": "x.gguf"}, 7.0),
        ({"min_tokens_per_second": "tuned", "tuned_tokens_per_second": 10, "tuned_model": "other.gguf"}, 0.0),
        ({"min_tokens_per_second": "tuned"}, 0.0),
    ],
)
def test_the_gate_asks_for_a_share_of_what_was_tuned_for_the_same_model(settings: dict[str, Any], floor: float) -> None:
    assert told(model="path", model_path="/models/x.gguf", **settings).speed_floor == floor


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"min_tokens_per_second": "fast"}, "is 'fast': must be a number from 0 to 10000, or \"tuned\""),
        ({"min_tokens_per_second": -1}, 'must be a number from 0 to 10000, or "tuned"'),
        ({"min_tokens_per_second": [1]}, 'must be a number from 0 to 10000, or "tuned"'),
        ({"tune_prompt_weight": 7}, "tune_prompt_weight is 7: must be less than or equal to 1"),
        ({"tune_minutes": 0}, "tune_minutes is 0: must be greater than or equal to 1"),
        ({"cores": "4-"}, 'cores is "4-": must be numbers of cores below 1024'),
        ({"cores": "3-2"}, "must be numbers of cores below 1024"),
        ({"tuned_model": "/models/x.gguf"}, "must be the name of a file, without a path"),
    ],
)
def test_a_wrong_value_is_refused_in_a_line(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        told(**settings)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("features", "names"),
    [
        (CRC, ["generic", "cortex-a53", "cortex-a72"]),
        (DOT_LRCPC, ["cortex-a55", "cortex-a76", "cortex-a78", "neoverse-n1", "armv8.2-dotprod"]),
        (frozenset[str](), []),
    ],
)
def test_builds_with_the_most_capable_kernels_of_the_board_are_tried(
    features: frozenset[str], names: list[str]
) -> None:
    assert sorted(one.name for one in cpus_to_try(features)) == sorted(names)


def test_a_build_that_travels_may_be_run() -> None:
    archive = pack_tar({"builds/x/llama-bench": b"", "request.json": b""})
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        assert {file.name: file.mode for file in files} == {"builds/x/llama-bench": 0o755, "request.json": 0o644}


def test_an_archive_that_does_not_fit_is_a_refusal_and_leaves_nothing(tmp_path: Path) -> None:
    """What is no archive at all stands for an archive that a full disk does not take: tar fails alike."""
    command = command_there(4).replace("/var/tmp", str(tmp_path)) + "; true"
    done = subprocess.run(["sh", "-c", command], input=b"none", capture_output=True, check=False)
    assert json.loads(done.stdout)["refused"].endswith(
        "has no room for 0 MB: make some (`df -h " + str(tmp_path) + "` there), then run again"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["WEIGHT=0.3", "MINUTES=5"], []])
def test_make_tune_hands_on_what_the_command_line_says(words: list[str]) -> None:
    line = ["make", "-n", "tune", "INVENTORY=inventory/boards.py", "LIMIT=kitchen.example", "STOP_SERVING=1", *words]
    said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert "--limit 'kitchen.example'" in said
    assert "--stop-serving" in said
    assert ("--weight '0.3'" in said) == ("--minutes '5'" in said) == bool(words)


@pytest.mark.parametrize(
    ("word", "status"), [("1", 0), ("yes", 0), ("0", 0), ("no", 0), ("", 0), ("maybe", 2), ("1 2", 2)]
)
def test_a_yes_of_make_is_one_word_and_no_other_is_taken_for_a_no(word: str, status: int) -> None:
    line = ["make", "-n", "tune", f"STOP_SERVING={word}"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert ("--stop-serving" in done.stdout) == (word in ("1", "yes"))
    if status:
        assert f"STOP_SERVING={word} says neither yes nor no: write STOP_SERVING=1, or leave it out" in done.stderr
