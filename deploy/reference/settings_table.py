"""docs/reference/settings.md: a row for each setting, from its comment in deploy/defaults.py and its rule."""

from enum import Enum
from itertools import groupby
from typing import Any, get_args

from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo

from deploy.build.source import source_kinds
from deploy.cpu import CPUS
from deploy.models.catalogue.choice import KINDS
from deploy.onboard.identity.rules import API_KEY_TEXT
from deploy.onboard.server.config_keys import KEYS
from deploy.onboard.service import ROLES
from deploy.reference.default_comments import Explained, explained_settings
from deploy.reference.tables import markdown_table
from deploy.setting_fields import EVERY_FIELD
from deploy.setting_rules import ADDRESS, RULES, SPEED_TEXT, as_setting_rule, config_settings


def settings_tables() -> str:
    """A table for each group of deploy/defaults.py. Raises BoardllamaError for a setting without a comment."""
    head = ("setting", "must be", "default", "what it does", "takes effect")
    return "\n".join(
        f"### {group}\n\n{markdown_table(head, map(setting_row, settings))}"
        for group, settings in groupby(explained_settings(), lambda setting: setting.group)
    )


def setting_row(setting: Explained) -> list[str]:
    default = '""' if setting.default == "" else repr(setting.default).replace("'", '"')
    return [f"`{setting.name}`", rule_text(setting.name), f"`{default}`", setting.text, effect_of(setting)]


def effect_of(setting: Explained) -> str:
    """When a change of the setting is seen on the target; some can also be changed there."""
    keys = [key for key, name in config_settings().items() if name == setting.name]
    edited = f"; as `{keys[0]}` of config.json there: at the next start" if keys else ""
    return f"{setting.effect[0].lower()}{setting.effect[1:]}{edited}"


def rule_text(name: str) -> str:
    """What a value of the setting must be, as the message says that refuses another."""
    if name in RULES:
        return RULES[name].text
    if name in IN_WORDS:
        return IN_WORDS[name]
    for place, setting in config_settings().items():
        section, _, key = place.partition(".")
        if setting == name:
            return with_none(name, as_setting_rule(KEYS[section][key].rule.text))
    return type_text(EVERY_FIELD[name])


def with_none(name: str, text: str) -> str:
    """The rule of a setting that may also be None where its key of config.json may not be null."""
    can_be_none = type(None) in get_args(EVERY_FIELD[name].annotation)
    return f"{text}; or None" if can_be_none and "or None" not in text else text


# Settings whose rule is a table, or a function of several lines.
IN_WORDS = {
    "model": f"{', '.join(KINDS)}, None, or a name that `make models` lists",
    "cpu": f"auto or one of {', '.join(CPUS)}",
    "llama_source": f"one of {source_kinds()}",
    "api_key": f"{API_KEY_TEXT}; or None",
    "server_clients": "IP addresses or networks, with spaces between them",
    "role": f"one of {', '.join(ROLES)}, or None",
    "models": "a list of names, paths and tables",
    "further_files": "a list of tables",
    "ollama_api": "True or False",
    "tune_system": "True or False",
    "node_exporter": "True or False",
    "monitor_host": "an IP address of the monitor, or localhost",
    "monitor_password": "12 to 72 printable characters, or None",
    "monitor_webhook": ADDRESS.text,
    "monitor_email": "email addresses, with commas between them",
    "monitor_email_from": "an email address",
    "monitor_mail_server": "host:port",
    "monitor_mail_user": "a name",
    "monitor_mail_password": "a password, or None",
    "min_tokens_per_second": SPEED_TEXT,
}


def type_text(field: FieldInfo) -> str:
    """What pydantic checks of a number or of a choice."""
    bounds: dict[type, Any] = {type(bound): bound for bound in field.metadata}
    kind = "a whole number" if field.annotation is int else "a number"
    if Gt in bounds:
        return f"{kind} over {bounds[Gt].gt}"
    if Ge in bounds:
        low = bounds[Ge].ge
        return f"{kind} from {low} to {bounds[Le].le}" if Le in bounds else f"{kind}, {low} or more"
    return ", ".join(choice for part in get_args(field.annotation) for choice in choices_of(part))


def choices_of(part: Any) -> list[str]:
    """The values of one member of a union, as an inventory writes them."""
    if isinstance(part, type) and issubclass(part, Enum):
        return [str(member.value) for member in part]
    return ["None"] if part is type(None) else [str(part)]
