"""The outcome of a sweep, for people: every way that was tried, the winner, and how near it is to the board's limit."""

from collections.abc import Iterator

from deploy.onboard.release.release_table import aligned_lines
from deploy.tune.outcome import StageOutcome, StageRow, SweepOutcome

WORTH_TELLING = 0.03  # of a speed
NOISY = 0.1  # of a speed: half of what the runs of a way differ by


def outcome_lines(name: str, outcome: SweepOutcome) -> Iterator[str]:
    """The text for one host."""
    yield f"{name}: {outcome.board}, {outcome.model}"
    rows = [table_row(stage, row) for stage in (*outcome.stages, outcome.last) for row in stage.rows]
    yield from (f"  {line}" for line in aligned_lines(rows))
    yield f"  {limit_line(outcome)}"
    yield from (f"  {line}" for line in noise_lines(outcome.row))
    yield from (f"  {line}" for stage in outcome.stages if not stage.applies for line in told_lines(stage))
    yield from (f"  the system takes away: {cost}" for cost in outcome.costs)
    if outcome.hottest is not None:
        yield f"  hottest while measuring: {outcome.hottest:.0f} °C"


def table_row(stage: StageOutcome, row: StageRow) -> dict[str, str]:
    """A row of the table."""
    note = row.note or ("" if row.runs else "not measured: the time was over")
    won = " *" if row.label == stage.winner else ""
    return {
        "question": stage.name,
        "way (* the best)": f"{row.label}{won}",
        "prompt, tokens/s": speed_text(row.prompt, row.prompt_spread),
        "answer, tokens/s": speed_text(row.generation, row.generation_spread),
        "MB": f"{row.memory / 1_000_000:.0f}",
        "runs": str(row.runs),
        "note": note,
    }


def speed_text(median: float, spread: float) -> str:
    """A speed with its spread."""
    return f"{median:.1f} ±{spread / 2:.0%}"


def limit_line(outcome: SweepOutcome) -> str:
    """How near the answers are to what the memory allows."""
    reached, most = outcome.row.generation, outcome.limit
    read, moved = outcome.bytes_per_token / 1_000_000, outcome.bandwidth / 1e9
    why = f"a token reads {read:.0f} MB, the memory moves {moved:.1f} GB/s"
    said = f"answers: {reached:.1f} of at most {most:.1f} tokens/s ({why})"
    return said if reached <= most else f"{said}: the caches hold a part of the weights"


def noise_lines(row: StageRow) -> Iterator[str]:
    """What is said of figures that differ from run to run although nothing was seen to spoil them."""
    noise = max(row.prompt_spread, row.generation_spread) / 2
    if noise > NOISY:
        yield f"runs of one way differ by ±{noise:.0%}, and no smaller gain was chosen: what else works on it?"


def told_lines(stage: StageOutcome) -> Iterator[str]:
    """What a way would change that no setting of the sweep chooses, where it is more than the runs differ."""
    for now, row in ((stage.rows[0], row) for row in stage.rows[1:]):
        changes = {
            "prompts": change_of(now.prompt, row.prompt, max(now.prompt_spread, row.prompt_spread)),
            "answers": change_of(now.generation, row.generation, max(now.generation_spread, row.generation_spread)),
        }
        if any(change > 0 for change in changes.values()):
            yield f"{row.label}: " + ", ".join(f"{what} {change:+.0%}" for what, change in changes.items())


def change_of(before: float, after: float, spread: float) -> float:
    """The change of a speed, as a share; 0 for one that may be chance, or that was not measured."""
    change = after / before - 1 if before and after else 0.0
    return change if abs(change) > max(WORTH_TELLING, spread / 2) else 0.0
