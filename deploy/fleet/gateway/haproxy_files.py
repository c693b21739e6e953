"""haproxy's configuration and the files that it reads beside it, as a gateway's settings and its table of boards say.

Which board answers is decided twice. A model's backend has a queue and the board's slots; it sends the request to
haproxy itself, over a socket, where the backend of the one board puts the board's key into it: a server line of haproxy
has no place for a header of its own. Names that come from elsewhere (clients' keys, names of models) are looked up by
their hash, so that no name can be taken for syntax.
"""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from deploy.controller.certificates import authority_file, server_certificate
from deploy.controller.templates import render_template
from deploy.errors import BoardllamaError
from deploy.fleet.gateway.gateway_settings import GatewaySettings
from deploy.hosts.addresses import LOOPBACK
from deploy.hosts.release import sha256_hex
from deploy.onboard.gateway.board_table import BoardEntry, BoardTable, Pool
from deploy.onboard.gateway.gateway_places import ACME, WAIT_MAP, GatewayPlaces
from deploy.onboard.gateway.keeper import FIRST_GUESS
from deploy.onboard.server.config import host_port
from deploy.setting_rules import is_ip

CONFIG, CERTIFICATE = "haproxy.cfg", "certificate.pem"
ANYONE = "anyone"
# Bytes that haproxy keeps free of a request's body, for its head.
HEAD_BYTES = 32_768
# Percent of the average: a board with more gives requests of its sessions to others. With 150, a session whose last
# request was not quite over moved as soon as little else was served.
SPREAD = 400


def haproxy_files(
    settings: GatewaySettings,
    table: BoardTable,
    places: GatewayPlaces,
    names: tuple[str, ...],
    user: str = "haproxy",
    monitors: Collection[str] | None = None,
    others: Collection[str] = (),
) -> dict[str, bytes]:
    """The files by name, but for the keys of boards; `names`: by which the controller reaches the gateway; `user`: the
    account that haproxy's workers have.

    `monitors`: the addresses of other machines that read haproxy's figures; None: nobody does. `others`: the
    addresses of other gateways, which may have asked an authority for a certificate.

    Raises BoardllamaError when two boards would have one name, or a file of the settings cannot be used.
    """
    require_labels(table)
    pools = table.pools
    models = json.dumps(", ".join(pool.model for pool in pools) or "there is none")[1:-1]
    texts = {
        CONFIG: render_config(settings, table, places, user, monitors, others),
        "boards.json": table.to_json(),
        "models.json": model_list_json(pools),
        "clients.map": map_text(settings.client_names),
        "models.map": map_text(pools_by_name(pools)),
        "texts.map": map_text({"models": models}),
        WAIT_MAP: map_text({pool.label: FIRST_GUESS for pool in pools}),
    }
    return {name: text.encode() for name, text in texts.items()} | certificate_files(settings, names)


def render_config(
    settings: GatewaySettings,
    table: BoardTable,
    places: GatewayPlaces,
    user: str,
    monitors: Collection[str] | None,
    others: Collection[str],
) -> str:
    """haproxy.cfg."""
    pools = table.pools
    header = settings.gateway_session_header
    return render_template(
        CONFIG,
        user=user,
        worker_socket=places.worker_socket,
        boards_socket=places.boards_socket,
        keeper_port=places.keeper_port,
        bind=bind_line(settings),
        anyone=[ANYONE] if settings.gateway_allow_unauthenticated else [],
        body_bytes=settings.gateway_body,
        buffer_bytes=settings.gateway_body + HEAD_BYTES,
        queue=settings.gateway_queue,
        queue_seconds=settings.gateway_queue_seconds,
        silence_seconds=settings.gateway_silence_seconds,
        balance=f"hash req.hdr({header})\n    hash-type consistent\n    hash-balance-factor {SPREAD}"
        if header
        else "leastconn",
        only_pool=[pool.label for pool in pools] if len(pools) == 1 else [],
        pools=[pool_values(pool) for pool in pools],
        boards=[{"label": board.label, "place": place_of(board)} for board in table.boards],
        challenges=challenge_values(settings, places, others),
        figures=[] if monitors is None else [figures_values(settings, places.metrics_port, monitors)],
    )


def figures_values(settings: GatewaySettings, port: int, monitors: Collection[str]) -> dict[str, str]:
    """Where haproxy's figures are read, and by whom, as the template names them."""
    everywhere = "::" if settings.gateway_host == "::" else "0.0.0.0"
    bind = bind_place(everywhere if monitors else LOOPBACK, port)
    return {"bind": bind, "readers": " ".join([LOOPBACK, *monitors])}


def challenge_values(
    settings: GatewaySettings, places: GatewayPlaces, others: Collection[str]
) -> list[dict[str, object]]:
    """Where an authority asks for proof, and where certbot gives it, as the template names them."""
    if settings.gateway_tls != "acme":
        return []
    bind = bind_place(settings.gateway_host, places.challenge_port)
    asked = [host_port(address, places.challenge_port) for address in others]
    # Requests at the same time take turns among the gateways: each one may find the same gateway twice.
    return [{"bind": bind, "port": places.certbot_port, "others": asked, "retries": 2 * len(others)}]


def certificate_name(settings: GatewaySettings) -> str:
    """The file of the certificate that haproxy serves. One by ACME is not what a deploy has brought."""
    return ACME if settings.gateway_tls == "acme" else CERTIFICATE


def certificate_files(settings: GatewaySettings, names: tuple[str, ...]) -> dict[str, bytes]:
    """The certificate with its key. Raises BoardllamaError."""
    if settings.gateway_tls == "off":
        return {}
    path = Path(settings.gateway_certificate).expanduser()
    try:
        if settings.gateway_certificate:
            return {certificate_name(settings): path.read_bytes()}
        path = authority_file()
        return {certificate_name(settings): server_certificate(names[0], {*names, *settings.all_names})}
    except (OSError, ValueError) as error:
        raise BoardllamaError(f"{path}: the gateway's certificate cannot be read or made ({error})") from None


def bind_line(settings: GatewaySettings) -> str:
    """Where haproxy listens for clients, and how."""
    tls = f" ssl crt {certificate_name(settings)} alpn h2,http/1.1 ssl-min-ver TLSv1.2"
    tls = "" if settings.gateway_tls == "off" else tls
    return bind_place(settings.gateway_host, settings.gateway_port) + tls


def bind_place(host: str, port: int) -> str:
    """An address and a port to listen at: `::` is every address, also one that comes later (the shared one)."""
    return f"{host_port(host, port)}{' v4v6' if host == '::' else ''}"


def pool_values(pool: Pool) -> dict[str, Any]:
    """A model and its boards, as the template names them."""
    servers = [{"label": board.label, "slots": offer.slots} for board, offer in pool.offers.items()]
    return {"label": pool.label, "comment": re.sub(r"[^ -~]", "?", pool.model), "servers": servers}


def place_of(board: BoardEntry) -> str:
    """The board's address for haproxy. For a name it is the one of haproxy's start: the keeper follows the name."""
    place = host_port(board.address, board.port)
    return place if is_ip(board.address) else f"ipv4@{place}"


def pools_by_name(pools: list[Pool]) -> dict[str, str]:
    """The label of a pool by the hash of each name that a request may give. A file's name yields to a model's."""
    files = {
        sha256_hex(offer.file.encode()): pool.label for pool in pools for offer in pool.offers.values() if offer.file
    }
    return files | {sha256_hex(pool.model.encode()): pool.label for pool in pools}


def model_list_json(pools: list[Pool]) -> str:
    """The answer to GET /v1/models, in the shape of OpenAI's API."""
    data = [{"id": pool.model, "object": "model", "created": 0, "owned_by": "boardllama"} for pool in pools]
    return json.dumps({"object": "list", "data": data}) + "\n"


def map_text(values: Mapping[str, object]) -> str:
    """A map file of haproxy."""
    return "".join(f"{key} {value}\n" for key, value in sorted(values.items()))


def require_labels(table: BoardTable) -> None:
    """Raises BoardllamaError when haproxy could not tell two boards apart."""
    seen: dict[str, str] = {}
    for board in table.boards:
        if seen.setdefault(board.label, board.name) != board.name:
            raise BoardllamaError(
                f"{seen[board.label]} and {board.name} are both {board.label} to haproxy: give one another name"
            )
