"""What each host of this run is told and is: its settings, its board, and the build that both lead to."""

from functools import singledispatch

from pyinfra import inventory
from pyinfra.api import DeployError
from pyinfra.api.arguments import AllArguments
from pyinfra.api.host import Host
from pyinfra.connectors.base import BaseConnector

from deploy import cpu
from deploy.build.artifact import Build
from deploy.errors import BoardllamaError
from deploy.hosts.addresses import addresses_of_groups
from deploy.hosts.facts.board import BoardInfo, system_misfit
from deploy.hosts.run_record import record_of
from deploy.hosts.snapshot import snapshot_of
from deploy.setting_fields import Role, role_settings
from deploy.settings import Settings, models_of

# Groups of the inventory whose hosts ask the boards.
ASKERS = ("gateways", "monitors")


def settings_of(host: Host) -> Settings:
    """The settings of a target, validated. Raises DeployError as `role_settings_of`."""
    settings = with_askers(host, role_settings_of(host, Settings))
    record_of(host).model = " ".join(model.name for model in models_of(settings).values())
    return settings


def with_askers(host: Host, settings: Settings) -> Settings:
    """The settings, which let the inventory's gateways and monitors in where they let in some clients alone.

    Raises DeployError for such a host without an address.
    """
    if not settings.server_clients:
        return settings
    try:
        clients = [settings.server_clients, *addresses_of_groups(host, *ASKERS)]
    except BoardllamaError as error:
        raise end_of_run(host, error) from None
    return settings.model_copy(update={"server_clients": " ".join(clients)})


def role_settings_of(host: Host, role: type[Role]) -> Role:
    """The host's settings for a role, validated. Raises DeployError, one line naming the host and every problem."""
    foreign = frozenset(host.connector_cls.data_meta) | frozenset(AllArguments.__annotations__)
    try:
        return role_settings(role, host.data.dict(), foreign)
    except BoardllamaError as error:
        raise end_of_run(host, error) from None


def end_of_run(host: Host, why: BoardllamaError) -> DeployError:
    """What ends a run before any host begins. The host's row of the report says why."""
    record_of(host).note_failure(str(why), "refused")
    return DeployError(f"{host.name}: {why}")


@singledispatch
def board_behind(_connector: BaseConnector, found: BoardInfo) -> BoardInfo:
    """The board that a host is, by its kind of connection: the machine that was found, unless the host is a tree."""
    return found


def board_of(host: Host) -> BoardInfo:
    """The host's board, asked once in a run: no deploy changes it. Raises DeployError."""
    if "boardllama_board" not in host.connector_data:
        try:
            host.connector_data["boardllama_board"] = board_behind(host.connector, snapshot_of(host).board)
        except BoardllamaError as error:
            raise end_of_run(host, error) from None
    board: BoardInfo = host.connector_data["boardllama_board"]
    record_of(host).cpu = cpu.vendor_name(board.part)
    return board


def why_refused(host: Host, settings: Settings) -> str | None:
    """Why the host's board cannot run what the settings ask of it, and what to do; None when it can."""
    board = board_of(host)
    if why := system_misfit(board):
        return why
    if not board.filters_addresses and settings.server_clients:
        return (
            f"server_clients is {settings.server_clients!r}: the kernel of this board has no CONFIG_CGROUP_BPF or no "
            "unified cgroups, so IPAddressAllow= does nothing and everyone would get in; set server_clients to '' and "
            "let a firewall choose, or give the board another kernel"
        )
    return cpu.missing_features(settings.wanted_cpu or cpu.find_cpu("generic"), board.features, board.part)


def build_for(host: Host, settings: Settings) -> Build | None:
    """The build for this host's board; None for a board that is refused."""
    if why_refused(host, settings):
        return None
    board = board_of(host)
    build = Build(settings.source, settings.wanted_cpu or cpu.best_for(board.features, board.part))
    record_of(host).build = build.name
    return build


def builds_wanted() -> list[Build]:
    """Every build that a reachable target of this run needs, or a channel offers, each once."""
    targets = [host for host in inventory.get_active_hosts() if {"targets", "channels"} & {*host.groups}]
    builds = [build_for(host, settings_of(host)) for host in targets]
    return sorted({build.key: build for build in builds if build}.values(), key=lambda build: build.cpu.name)
