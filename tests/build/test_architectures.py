"""The list of architectures that models are checked against is that of the source which is built."""

import re

from deploy.models.architectures import ARCHITECTURES, PIN
from tests.build.builds import CPU, Make, wanted, workspace


def test_the_list_is_of_the_default_source() -> None:
    assert wanted("generic").source.pin == PIN


def test_the_list_is_the_sources(built: Make) -> None:
    source = workspace(built(CPU)) / "src" / "src" / "llama-arch.cpp"
    table = re.search(r"LLM_ARCH_NAMES = \{(.*?)\n\};", source.read_text(), re.DOTALL)
    assert table
    names = set(re.findall(r'\{ *LLM_ARCH_\w+, *"([^"]+)" *\}', table[1]))
    assert names - {"clip", "(unknown)"} == ARCHITECTURES
