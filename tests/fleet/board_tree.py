"""The root tree that all simulated boards share: Debian for the controller's own processor, which says it is arm64.

With libc of arm64: where the kernel has the emulator of qemu-user, real programs for boards run there, too.
"""

import hashlib
import json
from functools import partial
from pathlib import Path

from deploy.controller.files import sha256_of
from deploy.controller.programs import program_output
from deploy.controller.step_times import StepTimes
from deploy.debian.controller import check_controller
from deploy.debian.staging import ensure_folder
from deploy.debian.tar_files import files_below, write_tar
from deploy.debian.tools import SUITE
from deploy.debian.word_lists import read_words
from deploy.debian.workspace import Workspace
from deploy.paths import cache_dir

HERE = Path(__file__).resolve().parent
FILES, PACKAGES, MASKED = HERE / "root", HERE / "packages.txt", HERE / "masked.txt"
RECIPE_VERSION = 3
# Programs in whose place our files stand: they say what an arm64 system says.
REPLACED = ("uname", "dpkg")


def fleet_folder() -> Path:
    """Where all of the simulated fleet lies. What a run needs for itself is in `run`; the rest is kept."""
    return cache_dir() / "fleet"


def deploys_cache() -> Path:
    """The cache of deploys to the fleet: stand-ins must never lie where somebody else's deploy finds them."""
    return fleet_folder() / "cache"


def ensure_board_tree(suite: str = SUITE) -> Path:
    """The tree of that suite of Debian, unpacked; made first when it is not there: a minute. Raises BoardllamaError."""
    files = {name: sha256_of(path) for path, name in files_below(FILES) if path.is_file()}
    inputs = [RECIPE_VERSION, suite, read_words(PACKAGES), read_words(MASKED), files]
    key = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:16]
    return ensure_folder(fleet_folder() / "trees" / key, "fleet", partial(make_board_tree, suite=suite))


def make_board_tree(new: Path, suite: str) -> None:
    """Unpacks a minbase with our packages and files into new/tree."""
    check_controller()
    workspace, archive, ours = Workspace(new, suite, "fleet", StepTimes.of_run("fleet")), new / "root.tar", new / "ours"
    write_tar(ours, files_below(FILES))
    own = program_output("dpkg", "--print-architecture").decode().strip()
    moved = " && ".join(f'mv "$1/usr/bin/{name}" "$1/usr/bin/{name}.real"' for name in REPLACED)
    masked = " ".join(f"/etc/systemd/system/{unit}" for unit in read_words(MASKED))
    workspace.run_mmdebstrap(
        "packages",
        archive,
        "--variant=minbase",
        f"--architectures={','.join(dict.fromkeys((own, 'arm64')))}",
        f"--include={','.join(read_words(PACKAGES))}",
        f"--customize-hook={moved}",
        f"--customize-hook=tar-in {ours} /",
        f'--customize-hook=for unit in {masked}; do ln -sf /dev/null "$1$unit"; done',
        '--customize-hook=chroot "$1" systemctl disable --quiet haproxy.service',
        '--customize-hook=: >"$1/etc/machine-id"',
    )
    command = ["tar", "--extract", "--same-owner", "--preserve-permissions", "--exclude=./dev/*"]
    workspace.run_step("unpacking", [*command, "--file", str(archive), "--directory", str(new / "tree")])
    workspace.times.keep()
