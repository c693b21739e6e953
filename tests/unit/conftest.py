"""What all unit tests share: PATH is an ordinary user's."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def ordinary_path() -> Iterator[None]:
    """PATH without the folders of root's programs, as Debian gives it to an ordinary user, whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        folders = os.environ["PATH"].split(os.pathsep)
        patch.setenv("PATH", os.pathsep.join(folder for folder in folders if not folder.endswith("sbin")))
        yield
