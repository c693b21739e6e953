"""Gateways and a monitor by Debian's own packages, and what is left of them after `uninstall`. As root."""

from tests.gateway.simulated import require_story


def test_gateways_that_share_an_address_and_a_monitor_are_bare_debian_again_in_the_end() -> None:
    require_story("roles_story", "trixie")
