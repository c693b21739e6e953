"""The changes of a target that faults are tried on: a first deploy, other settings, model or build, a rollback."""

import random
from dataclasses import dataclass
from pathlib import Path

from deploy.models import smoke
from tests.faults.controller import Controller, Ended
from tests.faults.lab import Lab
from tests.faults.target_layout import other_release

DEPLOY = "deploy.py"
ROLLBACK = "deploy.stages.activate.rollback"
# As on boards that have a key each: every row also shows that it is not given away.
KEYED = ("api_key=generate",)
BARE, SERVING, UPGRADED = "bare", "serving", "upgraded"
OTHER_MODEL_BYTES = 24_000_000


@dataclass(frozen=True)
class Change:
    """`start` is the snapshot that it begins on; `settings` are given with --data."""

    name: str
    start: str
    settings: tuple[str, ...]
    operation: str = DEPLOY

    def controller(self, lab: Lab, *settings: str, env: dict[str, str] | None = None) -> Controller:
        """The run that makes the change, with more settings."""
        data = [word for setting in (*self.all_settings(lab), *settings) for word in ("--data", setting)]
        return Controller(self.words(lab), lab.environment | (env or {}), tuple(data))

    def run(self, lab: Lab) -> Ended:
        """Makes the change, undisturbed."""
        return self.controller(lab).to_the_end()

    def all_settings(self, lab: Lab) -> tuple[str, ...]:
        """Those of the change, with the model's path filled in."""
        return (*KEYED, *(setting.format(other_model=other_model(lab)) for setting in self.settings))

    def words(self, lab: Lab) -> tuple[str, ...]:
        """What pyinfra is told to do. A rollback names its goal once: to do it again goes to the same release."""
        if self.operation == DEPLOY:
            return (DEPLOY,)
        goal = lab.folder / f"{self.name}.goal"
        if not goal.exists():
            goal.write_text(other_release(lab.run("boardllama releases --json")))
        return (self.operation, f"to={goal.read_text()}")


FIRST = Change("first", BARE, ("threads=1",))
UPGRADE = Change("upgrade", SERVING, ("threads=2",))
MODEL = Change("model", SERVING, ("threads=1", "model=path", "model_path={other_model}"))
# Other programs, of a build that runs on every board.
BUILD = Change("build", SERVING, ("threads=1", "cpu=generic"))
BACK = Change("rollback", UPGRADED, ("threads=2",), ROLLBACK)
CHANGES = (FIRST, UPGRADE, MODEL, BACK)
# How each snapshot is made: from which other one, by which change.
STARTS = {SERVING: FIRST, UPGRADED: UPGRADE}


def other_model(lab: Lab) -> Path:
    """The smoke model made long enough for its transfer to be cut. GGUF allows what follows its tensors."""
    path = lab.folder / "other.gguf"
    if not path.exists():
        content = smoke.smoke_model().read_bytes()
        aside = path.with_suffix(".new")
        aside.write_bytes(content + random.Random(3).randbytes(OTHER_MODEL_BYTES - len(content)))
        aside.rename(path)
    return path
