"""The list of architectures that models are checked against is that of the source which is built."""

import re

import pytest

from deploy.models.architectures import ARCHITECTURES, PIN
from deploy.paths import cache_dir
from tests.build.builds import wanted


def test_the_list_is_of_the_default_source() -> None:
    assert wanted("generic").source.pin == PIN


def test_the_list_is_the_sources() -> None:
    source = cache_dir() / "builder" / "work" / wanted("generic").base / "src" / "src" / "llama-arch.cpp"
    if not source.exists():
        pytest.skip(f"no unpacked source of the default build in {cache_dir() / 'builder'}: a build leaves one")
    table = re.search(r"LLM_ARCH_NAMES = \{(.*?)\n\};", source.read_text(), re.DOTALL)
    assert table
    names = set(re.findall(r'\{ *LLM_ARCH_\w+, *"([^"]+)" *\}', table[1]))
    assert names - {"clip", "(unknown)"} == ARCHITECTURES
