"""Native stand-ins for the emulated programs that set up packages, as hooks of mmdebstrap (see divert.sh)."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from deploy.debian.controller import Controller
from deploy.debian.tar_files import files_below, write_tar
from deploy.debian.tools import HERE, Tools
from deploy.debian.word_lists import read_words


def with_stand_ins(folder: Path, tools: Tools, hooks: list[str]) -> list[str]:
    """mmdebstrap's options for `hooks`, which run after the stand-ins came into the tree and before they leave it.

    Writes the stand-ins to folder/native.tar. A controller that runs arm64 programs itself needs none.
    """
    controller = Controller.of_this_machine()
    if not controller.needs_emulation:
        return hooks
    native = folder / "native.tar"
    write_tar(native, stand_in_files(tools.folder, controller))
    settings = f"NATIVE={shlex.quote(' '.join(read_words(HERE / 'native.txt')))}\nTRIPLET={controller.triplet}\n"
    return [
        f"--extract-hook=tar-in {shlex.quote(str(native))} /",
        f"--extract-hook={settings}{(HERE / 'divert.sh').read_text()}",
        *hooks,
        f"--customize-hook={settings}{(HERE / 'undivert.sh').read_text()}",
    ]


def stand_in_files(tools: Path, controller: Controller) -> Iterator[tuple[Path, str]]:
    """The programs of native.txt, their loader and their libraries, each with its name in the tree."""
    for program in read_words(HERE / "native.txt"):
        yield (tools / "usr/bin" / program).resolve(), f"usr/lib/native/{program}"
    libraries = files_below(tools / "usr/lib" / controller.triplet, f"usr/lib/{controller.triplet}/")
    # No stand-in loads libkmod, and whatever makes an initrd takes every libkmod that it finds.
    yield from ((path, name) for path, name in libraries if not path.name.startswith("libkmod"))
    yield tools / controller.loader, controller.loader
    yield tools / "lib64", "lib64"
