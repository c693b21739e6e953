"""What a server is given beside its model and its settings: arguments of llama-server, and prompts to read first."""

from deploy.build.artifact import Build
from deploy.controller.warm_prompts import read_warm_prompts
from deploy.errors import BoardllamaError
from deploy.onboard.json_parts import parse_json
from deploy.onboard.server.config import ConfigError, with_defaults
from deploy.onboard.server.extra_arguments import require_good_arguments
from deploy.onboard.server.start_record import SERVER
from deploy.onboard.service import CHAT, Service
from deploy.setting_rules import as_setting_line
from deploy.settings import Settings


def check_arguments(settings: Settings, service: Service, build: Build) -> None:
    """Raises BoardllamaError for extra arguments that the server of the build does not know, or that undo a promise."""
    if not settings.extra_arguments:
        return
    from deploy.build.proof import emulator_command  # its disassembler takes a while to import

    config = with_defaults(parse_json(settings.config_json(service)), service)
    try:
        require_good_arguments(config, *emulator_command(build.cpu), str(build.artifact_folder / SERVER))
    except ConfigError as error:
        raise BoardllamaError(as_setting_line(str(error), service.api_key)) from None


def prompts_of(settings: Settings, service: Service) -> dict[str, bytes]:
    """The prompts that a chat reads at its start. Raises BoardllamaError, also for more than it can keep."""
    prompts = read_warm_prompts(settings.warm_prompts) if service.role == CHAT else {}
    if len(prompts) > settings.parallel and not settings.prompt_cache:
        raise BoardllamaError(
            f"warm_prompts holds {len(prompts)} prompts: with parallel {settings.parallel} and prompt_cache 0 only the "
            f"last {settings.parallel} would stay; raise one of them"
        )
    return prompts
