"""The settings by name and type. Every default and every pin is in deploy/defaults.py, none here."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from deploy import defaults, setting_rules
from deploy.errors import BoardllamaError
from deploy.models.further_files import FurtherFile
from deploy.models.model_list import ListedModel
from deploy.onboard.spelling import printable_text


class SettingsError(BoardllamaError):
    """A setting that the table does not know, or a value that breaks its rule."""


class RoleFields(BaseModel):
    """What a host may be told for one of its roles, which are groups of the inventory."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SettingFields(RoleFields):
    """What a host of the group `targets` may be told. deploy/settings.py has the rules that settings obey together."""

    cpu: str
    llama_source: str
    llama_commit: str
    llama_pypi_version: str
    llama_pypi_url: str
    llama_pypi_sha256: str
    llama_git_url: str
    llama_archive_url: str
    llama_archive_sha256: str
    llama_path: str

    model: str | None
    model_repo: str
    model_file: str
    model_revision: str
    model_sha256: str
    model_size: int = Field(gt=0)
    model_path: str
    further_files: tuple[FurtherFile, ...]
    role: Literal["chat", "embed", "rerank"] | None
    models: list[ListedModel]
    ollama_api: bool

    server_host: str
    server_port: int
    server_timeout: int
    server_clients: str
    server_address: str
    allow_unauthenticated: bool
    api_key: SecretStr | None
    context_size: int | None
    cores: str
    threads: int
    batch_threads: int
    gpu_layers: int
    repack: bool
    batch_size: int
    parallel: int
    checkpoints: int
    kv_cache: str
    prompt_cache: int
    speculative: str
    image_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    repeat_penalty: float | None
    presence_penalty: float | None
    max_tokens: int | None
    reasoning: str | None
    reasoning_budget: int | None
    alias: str | None
    chat_template: str | None
    sleep_after: int
    warm_prompts: str
    extra_arguments: list[str]
    log_level: str
    log_format: str

    config_conflict: Literal["keep", "overwrite"]
    health_deadline: int = Field(ge=0, le=3600)
    min_tokens_per_second: Annotated[float | Literal["tuned"], PlainValidator(setting_rules.speed_floor)]
    tuned_tokens_per_second: float = Field(ge=0, le=10_000)
    tuned_model: str
    tune_system: bool
    tune_minutes: float = Field(ge=1, le=600)
    tune_prompt_weight: float = Field(ge=0, le=1)
    releases_kept: int = Field(ge=2, le=100)
    canary: int = Field(ge=0)
    node_exporter: bool
    distribution: Literal["controller", "peers", "site"]
    site_cache: str
    bandwidth: float = Field(ge=0, le=100_000)
    model_parallel: int = Field(ge=0)
    report_json: str
    report_junit: str

    channel_url: str
    channel_kind: str
    channel_canary: bool
    channel_minutes: int = Field(ge=1, le=10_080)
    channel_report: str
    channel_older: bool


class GatewayFields(RoleFields):
    """What a host of the group `gateways` may be told. deploy/fleet/gateway/gateway_settings.py: what goes together."""

    gateway_host: str
    gateway_port: int = Field(ge=1, le=65535)
    gateway_tls: Literal["on", "acme", "off"]
    gateway_certificate: str
    gateway_names: str
    gateway_acme_url: str
    gateway_acme_ca: str
    gateway_acme_email: str
    gateway_acme_agree: bool
    gateway_address: str
    gateway_clients: str
    gateway_allow_unauthenticated: bool
    gateway_session_header: str
    gateway_queue: int = Field(ge=0, le=10_000)
    gateway_queue_seconds: int = Field(ge=1, le=3600)
    gateway_silence_seconds: int = Field(ge=60, le=86_400)
    gateway_body: int = Field(ge=65_536, le=16_777_216)
    gateway_ask_seconds: int = Field(ge=0, le=86_400)
    gateway_out_share: float = Field(gt=0, le=1)
    gateway_drain_seconds: int = Field(ge=0, le=3000)
    config_conflict: Literal["keep", "overwrite"]


class MonitorFields(RoleFields):
    """What a host of the group `monitors` may be told. deploy/fleet/monitor/settings.py has the rules."""

    monitor_host: str
    monitor_port: int = Field(ge=1, le=65535)
    monitor_password: SecretStr | None
    monitor_days: int = Field(ge=1, le=3650)
    monitor_webhook: str
    monitor_email: str
    monitor_email_from: str
    monitor_mail_server: str
    monitor_mail_user: str
    monitor_mail_password: SecretStr | None
    config_conflict: Literal["keep", "overwrite"]


class ChannelFields(RoleFields):
    """What a host of the group `channels` may be told."""

    channel_dest: str
    channel_phases: tuple[Annotated[int, Field(ge=0, le=100)], ...] = Field(min_length=1)
    channel_canaries: int = Field(ge=0, le=100_000)
    channel_soak_hours: float = Field(ge=0, le=1000)
    channel_bad_percent: float = Field(ge=0, le=100)
    channel_reports: str
    channel_resume: bool
    channel_valid_days: float = Field(gt=0, le=3650)
    channel_bundle: str

    def share_of(self, phase: int) -> int:
        """Per cent of the boards that a phase is for. After the last one a release is for all."""
        return self.channel_phases[phase] if phase < len(self.channel_phases) else 100


# A host has one set of data for all of its roles: what belongs to another role is no unknown setting.
EVERY_FIELD: dict[str, FieldInfo] = {
    name: field
    for role in (SettingFields, GatewayFields, MonitorFields, ChannelFields)
    for name, field in role.model_fields.items()
}
Role = TypeVar("Role", bound=RoleFields)


def defaults_of(role: type[RoleFields]) -> dict[str, Any]:
    """The defaults of a role, by setting."""
    return {name: getattr(defaults, name) for name in role.model_fields}


def role_settings(role: type[Role], data: Mapping[str, Any], foreign: frozenset[str] = frozenset()) -> Role:
    """Validates host data for a role; what they do not say is as deploy/defaults.py has it.

    `foreign` names keys that belong to pyinfra or its connector, not to us.

    Raises SettingsError: one line with every problem.
    """
    foreign |= EVERY_FIELD.keys() - role.model_fields.keys()
    ours = {key: value for key, value in data.items() if key not in foreign and not key.startswith("_")}
    try:
        return role(**defaults_of(role) | ours)
    except ValidationError as error:
        fields = EVERY_FIELD | ListedModel.model_fields
        said = (setting_rules.problem_sentence(problem, fields) for problem in error.errors())
        raise SettingsError(printable_text("; ".join(said))) from None
