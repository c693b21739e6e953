"""`python -m tests.build.record`: what every machine builds of the default source, in SHA256SUMS beside this file.

After a change of anything that names a build. It takes as long as a cold build: the hashes are those of a build in a
folder of its own, with its own toolchain, source and web UI, and without ccache. tests/build compares with them.
"""

import shutil
import sys
from pathlib import Path

from deploy.build.artifact import Build
from deploy.errors import BoardllamaError
from deploy.paths import cache_dir
from tests.build.builds import CPU, recipe, wanted

SUMS = Path(__file__).with_name("SHA256SUMS")
RECORDED = (CPU, "cortex-a72")


def recorded(build: Build) -> dict[str, str]:
    """64 hexadecimal digits by program. Raises BoardllamaError when that build was never recorded."""
    lines = [line.split("  ") for line in SUMS.read_text().splitlines()]
    found = {Path(name).name: digits for digits, name in lines if Path(name).parent.name == build.name}
    if not found:
        raise BoardllamaError(f"{SUMS.name} has no {build.name}: `python -m tests.build.record` writes it")
    return found


def main() -> None:
    """Builds, and writes the file in the form of sha256sum, with names below ~/.cache/boardllama/builds."""
    folder = cache_dir() / "second-build" / "quite" / "another" / "folder"
    shutil.rmtree(folder, ignore_errors=True)
    lines = []
    for build in map(wanted, RECORDED):
        with recipe(build, folder) as running:
            if running.wait():
                raise BoardllamaError(f"the recipe failed, see {folder / 'log'}")
        sums = (folder / "out" / build.name / "SHA256SUMS").read_text().splitlines()
        lines += ["{0}  {2}/{1}".format(*line.split("  "), build.name) for line in sums]
    SUMS.write_text("\n".join(sorted(lines, key=lambda line: line[66:])) + "\n")
    shutil.rmtree(folder)


if __name__ == "__main__":
    try:
        main()
    except BoardllamaError as error:
        sys.exit(str(error))
