"""`python -m deploy.fleet.bundle FILE`: what a bundle holds goes into this controller's cache, proven."""

import sys
from pathlib import Path

from deploy.errors import BoardllamaError
from deploy.fleet.bundle.bundle_file import unpack_bundle
from deploy.paths import cache_dir, user_path


def main(words: list[str]) -> int:
    """Unpacks, and says what was lacking. Returns the exit status."""
    if len(words) != 1:
        print("python -m deploy.fleet.bundle FILE", file=sys.stderr)
        return 2
    path: Path = user_path("BUNDLE", words[0])
    brought = unpack_bundle(path, cache_dir())
    print(f"{path}: {len(brought)} files brought into {cache_dir()}" if brought else f"{path}: all of it is here")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (BoardllamaError, OSError) as error:
        sys.exit(f"FAIL: {error}")
