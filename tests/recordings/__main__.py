"""`python -m tests.recordings [NAME…]`: runs what the pictures of docs/recordings show, and draws them anew.

Each runs on a VM named `rec`, which is stopped at the end. `flash` needs an image in dist/: make image BOARD=efi.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.paths import REPO, cache_dir, dist_dir
from tests.recordings.picture import picture_of
from tests.recordings.terminal import Typed, record

FOLDER = REPO / "docs/recordings"
os.environ["BOARDLLAMA_VM"] = "rec"
PYTHON = str(REPO / ".venv/bin/python")


def made(text: str, *answers: tuple[str, str]) -> Typed:
    """A line that is typed and run as it stands."""
    return Typed(text, ("sh", "-c", text), answers)


def up() -> list[Typed]:
    """From no VM to the first answer; then nothing is left to do."""
    quietly("make down; rm -rf .vm/rec")
    return [made("make up"), made("make deploy")]


def rollback() -> list[Typed]:
    quietly("make up; .venv/bin/pyinfra -y inventory/qemu.py deploy.py --data context_size=1024")
    return [made("make releases"), made("make rollback"), made("make releases")]


def doctor() -> list[Typed]:
    """A mistake in config.json, as an operator makes it."""
    quietly("make up")
    broken = "sed -i s/port/prot/ /etc/ollama-cpp/config.json; systemctl restart ollama-cpp-server"
    quietly(f"{PYTHON} -m deploy.vm ssh '{broken}'")
    return [Typed("boardllama doctor qemu", (PYTHON, "-m", "deploy.command", "doctor", "qemu"))]


def flash() -> list[Typed]:
    """Into a file in the place of a card."""
    image = next(dist_dir().glob("boardllama-*.img.zst")).relative_to(REPO)
    Path("card.img").unlink(missing_ok=True)
    return [made(f"make flash IMAGE={image} TO_FILE=card.img HOSTNAME=kitchen")]


SCENES: dict[str, Callable[[], list[Typed]]] = {"up": up, "rollback": rollback, "doctor": doctor, "flash": flash}


def quietly(line: str) -> None:
    subprocess.run(["sh", "-c", line], cwd=REPO, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def hidden_texts() -> dict[str, str]:
    """What is this machine's alone, the longest first."""
    paths = {str(cache_dir()): "~/.cache/boardllama", str(REPO): "~/boardllama", str(Path.home()): "~"}
    name = socket.gethostname()
    return paths | ({name: "laptop"} if len(name) > 3 else {})  # shorter ones are words, too


def main(names: list[str]) -> None:
    """Draws the pictures of these names, or all."""
    os.chdir(REPO)
    FOLDER.mkdir(exist_ok=True)
    for name in names or SCENES:
        frames = record(SCENES[name](), hidden_texts())
        (FOLDER / f"{name}.svg").write_text(picture_of(frames, f"{name}: a recording of a terminal"))
        print(f"written: docs/recordings/{name}.svg, {len(frames)} frames")
    quietly("make down")


if __name__ == "__main__":
    main(sys.argv[1:])
