"""Everything a host may be told: read from pyinfra's host data, validated once, frozen.

The rules of what llama-server may be told live in deploy/onboard/server/config_keys.py, and the target applies them
at every start; settings are valid when the config.json made from them passes there.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from pydantic import SecretStr, field_validator, model_validator

from deploy import cpu, setting_rules
from deploy.build.source import Source, source_of
from deploy.controller.templates import render_template
from deploy.cpu import Cpu
from deploy.errors import BoardllamaError
from deploy.models.catalogue.choice import AUTO, HUB, advice_of, named_model, require_possible_role
from deploy.models.further_files import with_further_files
from deploy.models.hub.hub_model import HubModel
from deploy.models.model import Model
from deploy.models.model_list import ListedModel, ports_behind, services_behind
from deploy.onboard.identity import rules
from deploy.onboard.json_parts import parse_json
from deploy.onboard.server import config
from deploy.onboard.server.config_keys import KEYS
from deploy.onboard.service import CHAT, FRONT, OLLAMA, OLLAMA_API, Service, broker_service
from deploy.onboard.spelling import printable_text
from deploy.setting_fields import SettingFields, SettingsError, role_settings

# Tokens of a conversation with a model of which nothing is known.
DEFAULT_CONTEXT = KEYS["models"]["default_context_size"].default


# What config.json says of the need of memory.
FITTED = ("context_size", "repack", "batch_size", "parallel", "checkpoints", "kv_cache", "prompt_cache", "speculative")


class Settings(SettingFields):
    """The settings of one host, and what follows from them."""

    @model_validator(mode="after")
    def _parts_are_valid(self) -> "Settings":
        try:
            _ = self.wanted_cpu, self.source, models_of(self)
            require_possible_role(self.chosen, self.role)
            setting_rules.check_networks(self.server_clients)
            setting_rules.check_distribution(self.distribution, self.site_cache)
        except BoardllamaError as error:
            raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _obeys_the_launcher(self) -> "Settings":
        texts = {service: own.config_json(service) for service, own in self.hosted.items()}
        texts |= {service: self.broker_json(service) for service in self.brokers}
        for service, text in texts.items():
            told = parse_json(text)
            if found := config.config_problems(told, service, keyed=self.api_key is not None):
                raise ValueError("; ".join(setting_rules.as_setting_line(line, service.api_key) for line in found))
        return self

    @field_validator("api_key")
    @classmethod
    def _key_obeys_its_rule(cls, key: SecretStr | None) -> SecretStr | None:
        try:
            return key and SecretStr(rules.valid_api_key(key.get_secret_value()))
        except rules.Wrong as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _texts_obey_their_rules(self) -> "Settings":
        """Unused settings too: the fault of a wrong value would otherwise show on the day on which it is used."""
        if found := list(setting_rules.setting_breaches(self.model_dump(include=set(setting_rules.RULES)))):
            raise ValueError("; ".join(found))
        return self

    @property
    def is_auto(self) -> bool:
        """Whether the board's memory is to choose the model."""
        return self.model == AUTO and not self.models

    @property
    def has_front(self) -> bool:
        """Whether a front answers at the address of the settings. One model alone needs none."""
        return len(self.models) > 1 or self.ollama_api

    @property
    def hosted(self) -> dict[Service, "Settings"]:
        """The servers of the host, each with settings of its own; the first has the names that users know.

        Raises BoardllamaError for a model of the list that cannot be served as it is told.
        """
        alone = {name: getattr(self, name) for name in type(self).model_fields} | {"models": [], "ollama_api": False}
        alone |= {"further_files": ()} if self.models else {}
        each = [settings_of_entry(alone, entry) for entry in self.models] or [self]
        if not self.has_front:
            return {replace(OLLAMA, role=each[0].served_role): each[0]}
        names = [one.alias or one.advised["alias"] or one.model_name or "model" for one in each]
        ports = ports_behind(self.server_port, len(each) + self.ollama_api)
        services = services_behind(names, [one.served_role for one in each], ports[: len(each)])
        return {
            service: one.model_copy(
                update={"server_host": "127.0.0.1", "server_port": service.port, "server_clients": ""}
            )
            for service, one in zip(services, each, strict=True)
        }

    @property
    def brokers(self) -> tuple[Service, ...]:
        """The services of the host that have no model, the front last."""
        if not self.has_front:
            return ()
        behind = ports_behind(self.server_port, max(1, len(self.models)) + self.ollama_api)
        ollama = (broker_service(OLLAMA_API, behind[-1]),) if self.ollama_api else ()
        return (*ollama, broker_service(FRONT, self.server_port))

    @property
    def services(self) -> tuple[Service, ...]:
        """All services of the host."""
        return (*self.hosted, *self.brokers)

    def broker_json(self, service: Service) -> str:
        """The text of a broker's config. The front alone is reached from elsewhere."""
        host = self.server_host if service.role == FRONT else "127.0.0.1"
        return render_template("broker.json", **self.model_dump() | {"server_host": host, "server_port": service.port})

    @cached_property
    def chosen(self) -> Model | None:
        """The model that these settings name; None leaves the choice to what lies in the models folder."""
        return with_further_files(named_model(self.model, self.hub_model, self.model_path), self.further_files)

    @property
    def served_role(self) -> str:
        """What the model is there for."""
        return self.role or (self.chosen.role if self.chosen else CHAT)

    def with_model(self, name: str) -> "Settings":
        """These settings, with another model. Raises BoardllamaError when they do not go together."""
        return settings_from({**self.model_dump(), "model": name})

    @property
    def advised(self) -> dict[str, Any]:
        """Values for settings that are None: what the model's publisher recommends, or llama.cpp's own (None)."""
        advice = advice_of(self.chosen, self.reasoning, DEFAULT_CONTEXT)
        return {name: value for name, value in advice.items() if getattr(self, name) is None}

    @property
    def context_tokens(self) -> int:
        """Tokens of a conversation; 0: as many as the model was trained for."""
        context = self.advised.get("context_size", self.context_size)
        assert isinstance(context, int)
        return context

    @property
    def model_name(self) -> str | None:
        """File name of that model on the target."""
        return self.chosen.main_file.name if self.chosen else None

    @property
    def allowed_clients(self) -> list[str]:
        """Who may reach the server, for systemd's IPAddressAllow."""
        return setting_rules.allowed_addresses(self.server_host, self.server_clients.split())

    def config_json(self, service: Service) -> str:
        """The text of the service's config.json."""
        told = {**self.model_dump(), **self.advised}
        return render_template("config.json", models_dir=str(service.models), model_name=self.model_name, **told)

    def with_edits(self, config_json: bytes, service: Service) -> "Settings | None":
        """These settings, with the values of an operator's config.json that decide the need of memory.

        None for a config.json that breaks a rule, as the target will say, or serves another model.
        """
        try:
            told = parse_json(config_json)
        except ValueError:
            return None
        if config.config_problems(told, service, keyed=True):
            return None
        told = config.with_defaults(told, service)
        if (told["models"]["path"], told["models"]["default_model"]) != (str(service.models), self.model_name):
            return None
        places = {name: place.split(".") for place, name in setting_rules.config_settings().items()}
        return self.model_copy(update={name: told[places[name][0]][places[name][1]] for name in FITTED})

    @property
    def speed_floor(self) -> float:
        """Tokens per second that a release must reach; 0: any speed, also of a model that was never tuned."""
        floor, known = self.min_tokens_per_second, {one.model_name for one in self.hosted.values()}
        tuned = setting_rules.TUNED_SHARE * self.tuned_tokens_per_second if self.tuned_model in known else 0.0
        return tuned if floor == setting_rules.TUNED else float(floor)

    @cached_property
    def hub_model(self) -> HubModel | None:
        """The pin of the model on the hub; None for a model that comes from elsewhere."""
        if self.model != HUB:
            return None
        return HubModel(
            repo=self.model_repo,
            file=self.model_file,
            revision=self.model_revision,
            sha256=self.model_sha256,
            size=self.model_size,
        )

    @cached_property
    def source(self) -> Source:
        """Where llama.cpp's source comes from."""
        return source_of({key: value for key, value in self.model_dump().items() if key.startswith("llama_")})

    @cached_property
    def wanted_cpu(self) -> Cpu | None:
        """The CPU to build for; None chooses the best one that the board can run."""
        return None if self.cpu == "auto" else cpu.find_cpu(self.cpu)


def models_of(settings: Settings) -> dict[Service, Model]:
    """The models that these settings have services serve; without the services for which an operator brings one."""
    return {service: model for service, own in settings.hosted.items() if (model := own.chosen)}


def settings_of_entry(alone: Mapping[str, Any], entry: ListedModel) -> Settings:
    """The settings of a host that would serve this model alone; `alone`: those of the host without its list.

    Raises SettingsError, which names the model.
    """
    try:
        return settings_from(dict(alone) | entry.own_settings)
    except SettingsError as error:
        raise SettingsError(f"models, {printable_text(entry.model[:100])}: {error}") from None


def settings_from(data: Mapping[str, Any], foreign: frozenset[str] = frozenset()) -> Settings:
    """The settings of a target: `role_settings` of them."""
    return role_settings(Settings, data, foreign)
