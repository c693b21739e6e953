"""Real llama-servers behind Debian 13's haproxy; behind Debian 12's: `python -m tests.gateway.real_story bookworm`."""

from tests.gateway.simulated import require_story


def test_openai_s_client_finds_every_board_behind_one_address_and_an_upgrade_costs_no_request() -> None:
    """As root, some two minutes."""
    require_story("real_story", "trixie")
