"""Services that no setting offers yet: a second server on the same board."""

from dataclasses import replace

from deploy.onboard.service import Service


def second_service(first: Service) -> Service:
    """A server beside the first one, on the same target, with everything of its own but the account."""
    paths = {name: getattr(first, name).with_name("second") for name in ("models", "state", "runtime")}
    return replace(
        first,
        unit="second.service",
        config=first.config.with_name("second") / "config.json",
        api_key=first.api_key.with_name("second") / "api-key",
        port=first.port + 100,
        key_unit="second-api-key.service",
        folder="second",
        **paths,
    )
