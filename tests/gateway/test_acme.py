"""A gateway's certificate by ACME, with each haproxy and certbot that Debian has. As root."""

import pytest

from tests.gateway.simulated import HAPROXY, require_story


@pytest.mark.parametrize("suite", HAPROXY)
def test_a_gateway_s_certificate_comes_is_renewed_and_stays_when_an_authority_refuses(suite: str) -> None:
    require_story("acme_story", suite)
