"""What was seen on a target, typed."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from tests.faults.target_layout import without_release


@dataclass(frozen=True)
class Served:
    """What a running server is made of: hashes, and its arguments. Equal for equal releases."""

    program: str
    argv: tuple[str, ...]
    model: str
    config: str
    unit: str
    launcher: str

    @staticmethod
    def parse(found: dict[str, Any]) -> "Served":
        """From the JSON of on_target/observe.py, or from `asdict`."""
        values = {field.name: found[field.name] for field in fields(Served)}
        return Served(**{**values, "argv": tuple(without_release(word) for word in values["argv"])})

    def differences(self, other: "Served") -> list[str]:
        """The names of the parts that are not those of the other."""
        return [field.name for field in fields(Served) if getattr(self, field.name) != getattr(other, field.name)]


@dataclass(frozen=True)
class Seen:
    """One look at a target. `used`: bytes on its disk that are boardllama's."""

    state: str
    served: Served | None
    status: int
    answer: str
    leaks: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    used: int = 0
    journal: str = ""
    program_path: str = ""

    @staticmethod
    def parse(found: dict[str, Any]) -> "Seen":
        """From the JSON of on_target/observe.py, or from `asdict`."""
        served = found["served"]
        return Seen(
            found["state"],
            Served.parse(served) if served else None,
            found["status"],
            found["answer"],
            tuple(found["leaks"]),
            tuple(found["unfinished"]),
            found["used"],
            found["journal"],
            str((served or {}).get("program_path") or found.get("program_path", "")),
        )

    @property
    def text(self) -> str:
        """What the completion says; empty when it is none."""
        try:
            return str(json.loads(self.answer)["choices"][0]["text"])
        except (ValueError, LookupError, TypeError):
            return ""

    def as_json(self) -> dict[str, Any]:
        """For `parse`."""
        return asdict(self)
