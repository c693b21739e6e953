"""The data files of boards, profiles/NAME.json, and their names.

`make help` runs this module before the project's packages are there, so that it imports the standard library alone.
"""

from pathlib import Path
from typing import Any

from deploy.onboard.json_parts import parse_json

PROFILES = Path(__file__).resolve().parent / "profiles"


def profile_names() -> list[str]:
    """The names of all boards, sorted."""
    return sorted(path.stem for path in PROFILES.glob("*.json"))


def told_profile(name: str) -> dict[str, Any]:
    """What a board's data file says. `like` in it names the board whose values hold where the file has none."""
    told: dict[str, Any] = parse_json((PROFILES / f"{name}.json").read_text())
    shared = told_profile(told.pop("like")) if "like" in told else {}
    return {**shared, **told, "name": name}


def boards_lines() -> str:
    """All names and short names, for `make help`: the boards with an image of their own, and those that need a base."""
    told = [told_profile(name) for name in profile_names()]
    names = {each["name"]: f"{each['name']} ({each['alias']})" if "alias" in each else each["name"] for each in told}
    own = [names[board["name"]] for board in told if "kernel" in board]
    based = [names[board["name"]] for board in told if "kernel" not in board]
    return f"BOARD: {', '.join(own)}\n  BOARD with BASE=, its vendor's image: {', '.join(based)}"


if __name__ == "__main__":
    print(boards_lines())
