"""One image starts from whatever a machine with UEFI has: each first boot is one that ends with a healthy server."""

from itertools import product

import pytest

from deploy.image.assembly import make_image
from deploy.image.board_machine import ATTACHMENTS
from deploy.image.boards import debian_board
from deploy.image.boot_test import Trial
from tests.image.tried_image import TriedImage, unpack_image

TRIALS = [Trial(*row) for row in product(ATTACHMENTS, (1, 4), (1024, 4096))]


@pytest.fixture(scope="module")
def efi(tmp_path_factory: pytest.TempPathFactory) -> TriedImage:
    board, folder = debian_board("efi"), tmp_path_factory.mktemp("efi")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOARDLLAMA_KEYS", str(folder / "keys"))
        return unpack_image(make_image(board, "smoke", None, folder / "dist", boots=False), board, folder)


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: f"{trial.attachment}-{trial.cores}-{trial.memory}")
def test_it_starts(efi: TriedImage, trial: Trial) -> None:
    efi.start_on(trial)


def test_a_missing_root_is_said(efi: TriedImage) -> None:
    """By the kernel on every console, and then the board restarts."""
    assert "disks that are here: nvme0n1. Without it the board restarts" in efi.console_without_root()
