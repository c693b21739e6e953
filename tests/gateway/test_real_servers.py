"""Real llama-servers behind a gateway, with each haproxy that Debian has. As root."""

import pytest

from tests.gateway.simulated import HAPROXY, require_story


@pytest.mark.parametrize("suite", HAPROXY)
def test_openai_s_client_finds_every_board_behind_one_address_and_an_upgrade_costs_no_request(suite: str) -> None:
    require_story("real_story", suite)
