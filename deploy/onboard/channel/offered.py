"""What a channel offers: the releases in its index, which apt has proven. deploy/fleet/channel writes it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Fields of a release's package beside Debian's own. MODELS: a line for each file, its sha256, size and place.
RELEASE, KIND, CREATED = "Boardllama-Release", "Boardllama-Kind", "Boardllama-Created"
BUILD, MODELS = "Boardllama-Build", "Boardllama-Models"
# Debian's field for updates that come in phases: the share of boards whose turn it is.
SHARE = "Phased-Update-Percentage"
# The program of a release.
PROGRAM = "boardllama"
# What the names of the packages begin with.
BUILD_PACKAGE, RELEASE_PACKAGE = "boardllama-build-", "boardllama-release-"


def package_word(name: str) -> str:
    """The name as a part of a package's name, which has no underscore."""
    return name.lower().replace("_", "-")


@dataclass(frozen=True)
class ModelOffered:
    """A file that lies beside the packages, under its sha256. `size` in bytes; `place`: where a board has it."""

    sha256: str
    size: int
    place: Path


@dataclass(frozen=True)
class Offered:
    """A release. `created`: a time in ISO 8601, UTC; `build`: the package of its programs; `share`: per cent."""

    package: str
    release: str
    created: str
    build: str
    models: tuple[ModelOffered, ...]
    share: int

    @property
    def name(self) -> str:
        """The release as it was published: the same one may be published again."""
        return f"{self.package} {self.created}"

    def is_for(self, board: Callable[[], str] | None) -> bool:
        """Whether it is the turn of the board of that id; None: a canary. A phase's boards are in the next one, too."""
        if board is None or self.share >= 100:
            return True
        import hashlib  # most looks are at what is offered to all

        place = int(hashlib.sha256(f"{self.package} {board()}".encode()).hexdigest()[:8], 16)
        return place % 100 < self.share


def newest_offered(kind: str, board: Callable[[], str] | None, index: Path) -> Offered | None:
    """The newest release in an index whose turn it is on a board of that kind. Raises OSError, KeyError, ValueError."""
    records = [offered_of(one) for one in package_records(index.read_text()) if one.get(KIND) == kind]
    return max((one for one in records if one.is_for(board)), key=lambda one: one.created, default=None)


def package_records(text: str) -> Iterator[dict[str, str]]:
    """The records of an index: fields by name; lines that go on a field are joined by newlines."""
    for paragraph in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in paragraph.splitlines():
            if line.startswith(" "):
                fields[name] = f"{fields.get(name, '')}\n{line.strip()}"
            else:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        if fields:
            yield fields


def offered_of(fields: dict[str, Any]) -> Offered:
    """The release that a record tells of. Raises KeyError, ValueError."""
    rows = [line.split(" ", 2) for line in fields.get(MODELS, "").splitlines() if line]
    return Offered(
        package=fields["Package"],
        release=fields[RELEASE],
        created=fields[CREATED],
        build=fields[BUILD],
        models=tuple(ModelOffered(sha256, int(size), Path(place)) for sha256, size, place in rows),
        share=int(fields.get(SHARE, 100)),
    )
