"""What a board answers to `make tune` (deploy/onboard/tune/sweep.py), and what of it becomes settings."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from deploy.errors import BoardllamaError
from deploy.onboard.release.questions import TOKENS
from deploy.onboard.spelling import printable_text
from deploy.onboard.tune.setup import Setup, core_list

# What the gate's question is to most tokenizers, at most. A board without dot products reads hardly faster than it
# answers: the prompt is a third of the gate's time there.
PROMPT_TOKENS = 8


class Told(BaseModel):
    """A part of the answer."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


# A board may send anything: words are shown in a terminal, and figures are reckoned with.
Words = Annotated[str, AfterValidator(printable_text)]
Figure = Annotated[float, Field(ge=0, le=1e15)]


class StageRow(Told):
    """A way with its medians in tokens per second, their spread as a share, and bytes of memory. `note`: or why not."""

    label: Words
    prompt: Figure
    prompt_spread: Figure
    generation: Figure
    generation_spread: Figure
    memory: Annotated[int, Field(ge=0, le=1 << 50)]
    runs: int
    note: Words


class StageOutcome(Told):
    """A question. `applies`: whether the answer becomes settings. `winner`: a label of its rows, or of two of them."""

    name: Words
    applies: bool
    winner: Words
    rows: list[StageRow]


class SweepOutcome(Told):
    """The sweep of a board. `now`: what is served; `best`: what is fastest. `bandwidth`: bytes per second.

    `hottest`: degrees Celsius; None where no sensor tells. `costs`: what the operating system takes away.
    """

    board: Words
    model: Words
    now: Setup
    best: Setup
    stages: list[StageOutcome]
    last: StageOutcome
    bandwidth: Figure
    bytes_per_token: Annotated[int, Field(gt=0, le=1 << 50)]
    costs: list[Words]
    hottest: float | None

    @model_validator(mode="after")
    def _the_winner_has_a_row(self) -> "SweepOutcome":
        if all(row.label != self.last.winner for row in self.last.rows):
            raise ValueError("what has won has no row")
        return self

    @property
    def limit(self) -> float:
        """Tokens per second that the memory allows, when it does nothing but read weights."""
        return self.bandwidth / self.bytes_per_token

    @property
    def row(self) -> StageRow:
        """The figures of what is fastest, out of the last contest."""
        return next(row for row in self.last.rows if row.label == self.last.winner)

    @property
    def gate_speed(self) -> float:
        """Tokens per second of the gate's question, its prompt included, at the speeds of what is fastest."""
        return TOKENS / (PROMPT_TOKENS / self.row.prompt + TOKENS / self.row.generation)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that differ from what is served, and the speed that they reached."""
        before, after = self.now, self.best
        found: dict[str, Any] = {"cpu": after.build} if after.build != before.build else {}
        if (after.cores, after.threads, after.batch_threads) != (before.cores, before.threads, before.batch_threads):
            found |= {"cores": core_list(after.cores), "threads": after.threads, "batch_threads": after.batch_threads}
        found |= {"repack": after.repack} if after.repack != before.repack else {}
        return found | {"tuned_tokens_per_second": round(self.gate_speed, 1), "tuned_model": self.model}


def require_figures(outcome: SweepOutcome) -> None:
    """Raises BoardllamaError when one of the last contest has no good figure: none of them has won then."""
    if missing := next((row for row in outcome.last.rows if row.runs == 0), None):
        why = missing.note or "the time was over before the last contest"
        raise BoardllamaError(f"nothing was tuned: {why}; MINUTES= gives the sweep more time")
    if min(outcome.row.prompt, outcome.row.generation) <= 0:
        raise BoardllamaError(f"nothing was tuned: {outcome.row.label}, which has won, has no speed; run again")


def common_settings(outcomes: Sequence[SweepOutcome]) -> tuple[dict[str, Any], list[str]]:
    """The settings on which boards of one kind agree, and the names of those on which they do not.

    Of the speeds the lowest counts.
    """
    each = [outcome.settings for outcome in outcomes]
    names = list(dict.fromkeys(name for settings in each for name in settings))
    agreed = {name: each[0][name] for name in names if all(one.get(name) == each[0].get(name) for one in each)}
    if len({outcome.model for outcome in outcomes}) == 1:
        agreed["tuned_tokens_per_second"] = min(one["tuned_tokens_per_second"] for one in each)
    return agreed, [name for name in names if name not in agreed]
