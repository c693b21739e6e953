"""The pin of a model on a hub. No hub client is imported here: every run has a pin, and few runs fetch."""

from dataclasses import dataclass
from pathlib import Path

from deploy.controller.progress import Say
from deploy.errors import BoardllamaError, shown
from deploy.models.receipt import has_receipt
from deploy.paths import cache_dir
from deploy.setting_rules import RULES


@dataclass(frozen=True)
class HubModel:
    """One file of one commit of a hub repository, and what its bytes must be.

    Raises BoardllamaError when a value breaks its rule, naming the value, the rule and the field.
    """

    repo: str  # OWNER/NAME
    file: str  # path inside the repository
    revision: str  # commit, 40 hex digits
    sha256: str  # of the file, 64 hex digits
    size: int  # bytes

    def __post_init__(self) -> None:
        for name in ("repo", "file", "revision", "sha256"):
            value, rule = getattr(self, name), RULES[f"model_{name}"]
            if not isinstance(value, str) or not rule.holds(value):
                raise BoardllamaError(f"model {name} {shown(value)} is not valid: it must be {rule.text}")
        if type(self.size) is not int or self.size <= 0:
            raise BoardllamaError(f"model size {self.size!r} is not valid: it must be the file's bytes, over 0")

    @property
    def pin(self) -> dict[str, str]:
        """The names of the file on the hub."""
        return {"repo": self.repo, "revision": self.revision, "file": self.file}

    @property
    def is_here(self) -> bool:
        """Whether the verified file lies on this controller."""
        return has_receipt(self.path, self.sha256, self.size)

    def fetch_file(self, say: Say) -> Path:
        """The verified file; fetched, with progress through `say`, when it is not there yet. Raises BoardllamaError."""
        from deploy.models.hub import fetch  # its HTTP client takes a quarter of a second, and few runs fetch

        return fetch.fetch_hub_model(self, progress=say)

    @property
    def path(self) -> Path:
        """Where the verified file lies on this controller."""
        return cache_dir() / "models" / self.sha256[:16] / Path(self.file).name

    @property
    def part(self) -> Path:
        """Where the unfinished download lies. Its name holds the sha256: it can only become this model."""
        return self.path.with_name(f"{self.sha256}.part")
