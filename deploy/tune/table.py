"""The outcome of a sweep, for people: every way that was tried, the winner, and how near it is to the board's limit."""

from collections.abc import Iterator

from deploy.onboard.release.release_table import aligned_lines
from deploy.tune.outcome import Outcome, StageOutcome, StageRow

WORTH_TELLING = 0.03  # of a speed: less is within the spread


def outcome_lines(name: str, outcome: Outcome) -> Iterator[str]:
    """The text for one host."""
    yield f"{name}: {outcome.board}, {outcome.model}"
    rows = [table_row(stage, row) for stage in (*outcome.stages, outcome.last) for row in stage.rows]
    yield from (f"  {line}" for line in aligned_lines(rows))
    yield f"  {limit_line(outcome)}"
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


def limit_line(outcome: Outcome) -> str:
    """How near the answers are to what the memory allows."""
    reached, most = outcome.row.generation, outcome.limit
    read, moved = outcome.bytes_per_token / 1_000_000, outcome.bandwidth / 1e9
    why = f"a token reads {read:.0f} MB, the memory moves {moved:.1f} GB/s"
    said = f"answers: {reached:.1f} of at most {most:.1f} tokens/s ({why})"
    return said if reached <= most else f"{said}: the caches hold a part of the weights"


def told_lines(stage: StageOutcome) -> Iterator[str]:
    """What a way would change that no setting of the sweep chooses."""
    now, *others = stage.rows
    for row in others:
        gains = {
            what: after / before - 1
            for what, before, after in (
                ("prompts", now.prompt, row.prompt),
                ("answers", now.generation, row.generation),
            )
            if before and after
        }
        if any(gain > WORTH_TELLING for gain in gains.values()):
            yield f"{row.label}: " + ", ".join(f"{what} {gain:+.0%}" for what, gain in gains.items())
