"""The settings of a gateway, and what they say together."""

from pathlib import Path

from pydantic import model_validator

from deploy.errors import shown
from deploy.fleet.gateway.client_keys import read_client_keys
from deploy.setting_fields import GatewayFields
from deploy.setting_rules import setting_breaches


class GatewaySettings(GatewayFields):
    """What a gateway is told."""

    @model_validator(mode="after")
    def _texts_obey_their_rules(self) -> "GatewaySettings":
        if found := list(setting_breaches(self.model_dump())):
            raise ValueError("; ".join(found))
        return self

    @model_validator(mode="after")
    def _belong_together(self) -> "GatewaySettings":
        if not self.gateway_clients and not self.gateway_allow_unauthenticated:
            raise ValueError(
                "a gateway needs gateway_clients, a file with a line for each client, its name and its key "
                "(`openssl rand -hex 24` makes one); or gateway_allow_unauthenticated"
            )
        if self.gateway_certificate and not Path(self.gateway_certificate).expanduser().is_file():
            raise ValueError(
                f"gateway_certificate is {shown(self.gateway_certificate)}: it must be a file that is there, or '' for "
                "a certificate by this controller's own authority"
            )
        return self

    @property
    def all_names(self) -> list[str]:
        """Names and addresses for clients, beside those by which the controller reaches the gateway."""
        return [*self.gateway_names.split(), *filter(None, [self.gateway_address])]

    @property
    def client_names(self) -> dict[str, str]:
        """The clients' names by the sha256 of their keys. Raises BoardllamaError."""
        return read_client_keys(Path(self.gateway_clients).expanduser()) if self.gateway_clients else {}
