"""The settings of a gateway, and what they say together."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import model_validator

from deploy.errors import BoardllamaError, shown
from deploy.fleet.gateway.client_keys import read_client_keys
from deploy.onboard.gateway.gateway_places import GATEWAY_PLACES
from deploy.setting_fields import GatewayFields
from deploy.setting_rules import is_ip, setting_breaches


class GatewaySettings(GatewayFields):
    """What a gateway is told."""

    @model_validator(mode="after")
    def _texts_obey_their_rules(self) -> "GatewaySettings":
        if found := list(setting_breaches(self.model_dump())):
            raise ValueError("; ".join(found))
        return self

    @model_validator(mode="after")
    def _belong_together(self) -> "GatewaySettings":
        if found := [*self.own_problems(), *(self.acme_problems() if self.gateway_tls == "acme" else ())]:
            raise ValueError("; ".join(found))
        return self

    def own_problems(self) -> Iterator[str]:
        """A sentence for each rule that clients and certificate break."""
        if not self.gateway_clients and not self.gateway_allow_unauthenticated:
            yield (
                "a gateway needs gateway_clients, a file with a line for each client, its name and its key "
                "(`openssl rand -hex 24` makes one); or gateway_allow_unauthenticated"
            )
        if self.gateway_certificate and not Path(self.gateway_certificate).expanduser().is_file():
            yield (
                f"gateway_certificate is {shown(self.gateway_certificate)}: it must be a file that is there, or '' for "
                "a certificate by this controller's own authority"
            )

    def acme_problems(self) -> Iterator[str]:
        """A sentence for each rule that a certificate by ACME breaks."""
        if not self.gateway_acme_url or not self.gateway_acme_agree:
            yield (
                'gateway_tls is "acme": it needs gateway_acme_url, and gateway_acme_agree = True once you have read '
                "the terms of that authority"
            )
        if self.gateway_acme_ca and not Path(self.gateway_acme_ca).expanduser().is_file():
            yield f"gateway_acme_ca is {shown(self.gateway_acme_ca)}: it must be a file that is there, or ''"
        if self.gateway_port == GATEWAY_PLACES.challenge_port:
            yield f"gateway_port is {self.gateway_port}, where an authority asks for proof: choose another, such as 443"

    def acme_names(self, own: str) -> list[str]:
        """The names of a certificate by ACME; none without one. `own`: by which the controller reaches the gateway.

        Raises BoardllamaError for names that no authority proves by HTTP.
        """
        if self.gateway_tls != "acme":
            return []
        names = [name for name in self.gateway_names.split() if not is_ip(name)] or [own]
        if bad := [name for name in names if is_ip(name) or "*" in name]:
            raise BoardllamaError(
                f'gateway_tls is "acme", and the gateway has the name {shown(bad[0])}: an authority that asks by HTTP '
                "certifies no addresses and no names with *; set gateway_names to names, such as gateway.example.org"
            )
        return names

    @property
    def all_names(self) -> list[str]:
        """Names and addresses for clients, beside those by which the controller reaches the gateway."""
        return [*self.gateway_names.split(), *filter(None, [self.gateway_address])]

    @property
    def client_names(self) -> dict[str, str]:
        """The clients' names by the sha256 of their keys. Raises BoardllamaError."""
        return read_client_keys(Path(self.gateway_clients).expanduser()) if self.gateway_clients else {}
