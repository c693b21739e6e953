"""What a deploy changes in a target's config.json, said before it happens: no value changes unsaid."""

from pyinfra import host

from deploy.hosts.snapshot import editable_of, snapshot_of
from deploy.onboard.json_parts import parse_json
from deploy.onboard.server.config import with_defaults
from deploy.onboard.server.value_rules import short_json
from deploy.onboard.service import Service


def say_changes(service: Service, wanted: bytes) -> None:
    """Says which values differ between the service's config.json of the committed release and the wanted one."""
    pristine = editable_of(service)[str(service.config)]
    deployed = snapshot_of(host, str(service.config), pristine).texts.get(pristine)
    if deployed and (changes := value_changes(service, deployed.content, wanted)):
        host.log(f"{service.config} changes: {', '.join(changes)}")


def value_changes(service: Service, old: bytes, new: bytes) -> list[str]:
    """A phrase for each value that differs, such as "inference.top_k 40 -> null"; none for a text that is no config."""
    try:
        before, after = (with_defaults(parse_json(text), service) for text in (old, new))
    except (ValueError, AttributeError):
        return []
    return [
        f"{section}.{key} {short_json(before[section][key])} -> {short_json(value)}"
        for section, values in after.items()
        for key, value in values.items()
        if before[section][key] != value
    ]
