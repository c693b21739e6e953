"""A gateway's certificate by ACME, as far as it needs no authority: real haproxy, and what certbot leaves."""

import re
import signal
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.controller.certificates import authority_file, server_certificate
from deploy.fleet.gateway.haproxy_files import CONFIG, haproxy_files
from deploy.hosts.release import sha256_hex
from deploy.onboard.gateway import acme_certificate
from deploy.onboard.gateway.acme_certificate import NotServed, run_certificate, serve_certificate
from deploy.onboard.gateway.board_table import BoardEntry, BoardTable
from deploy.onboard.gateway.gateway_places import GatewayPlaces
from deploy.onboard.gateway.runtime_api import ask_haproxy
from tests.unit import running_gateway
from tests.unit.gateway_board import Board
from tests.unit.gateway_host import GatewayHost, gateway_host
from tests.unit.running_gateway import NAMES, RunningGateway, await_true, chat, running

__all__ = ["gateway_host"]

ACME: dict[str, Any] = {"gateway_tls": "acme", "gateway_acme_agree": True, "gateway_names": "gate.example.org"}
HALL = BoardEntry("hall", "127.0.0.1", 1, "", (chat("smol"),))


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller's keys."""
    monkeypatch.setenv("BOARDLLAMA_KEYS", str(tmp_path / "keys"))
    monkeypatch.setattr(acme_certificate, "await_reload", lambda: None)


def certified(places: GatewayPlaces, pem: bytes) -> str:
    """Leaves a certificate and its key as certbot does. Returns the certificate."""
    chain, mark, key = pem.decode().partition("-----BEGIN PRIVATE KEY-----")
    for folder in (places.lineage, places.acme):
        folder.mkdir(exist_ok=True)
    (places.lineage / "fullchain.pem").write_text(chain)
    (places.lineage / "privkey.pem").write_text(mark + key)
    return chain


def shown(gateway: RunningGateway) -> str:
    """The certificate that a new connection gets."""
    return ssl.get_server_certificate(("127.0.0.1", gateway.port))


def workers(places: GatewayPlaces) -> list[str]:
    """The processes that serve: a reload makes another one."""
    with suppress(OSError):  # while the master begins anew
        return re.findall(r"^(\d+) +worker", ask_haproxy(places.master_socket, "show proc").split("# old")[0], re.M)
    return []


@contextmanager
def certbot_at(port: int, status: int = 200) -> Iterator[None]:
    """What certbot listens with while it asks: it answers 404 when somebody else has asked. 0: it hangs up."""

    class Proof(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not status:
                return
            self.send_response(status)
            self.end_headers()
            self.wfile.write(f"proof of {self.path}".encode())

        def log_message(self, *_words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", port), Proof) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield
        server.shutdown()


def test_an_authority_hears_certbot_and_nobody_else_hears_anything() -> None:
    with running([Board("hall")], **ACME) as gateway:
        url = f"http://127.0.0.1:{gateway.places.challenge_port}"
        asked = "/.well-known/acme-challenge/token"
        assert requests.get(url + asked, timeout=5).status_code == 503, "nothing was asked for"
        with certbot_at(gateway.places.certbot_port):
            assert requests.get(url + asked, timeout=5).text == f"proof of {asked}"
            assert requests.get(f"{url}/v1/models", timeout=5).status_code == 404


def files_beside(*words: Any, port: int) -> dict[str, bytes]:
    """haproxy's files of a gateway beside another one on the same machine, whose port is this one."""
    settings, table, places, names, user = words
    files = haproxy_files(settings, table, places, names, user, others=["127.0.0.1"])
    own, other = (f"server other-1 127.0.0.1:{one}".encode() for one in (places.challenge_port, port))
    return files | {CONFIG: files[CONFIG].replace(own, other)}


@pytest.mark.parametrize("status", [404, 0])
def test_gateways_that_have_a_name_in_common_answer_for_one_another(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """The authority reaches one of them, and another one has asked. The first has asked, too, or is just done."""
    asked = "/.well-known/acme-challenge/token"
    with running([Board("hall")], **ACME) as second:
        port = second.places.challenge_port
        monkeypatch.setattr(running_gateway, "haproxy_files", partial(files_beside, port=port))
        with running([Board("kitchen")], **ACME) as first:
            url = f"http://127.0.0.1:{first.places.challenge_port}{asked}"
            assert requests.get(url, timeout=5).status_code == 503
            ports = [one.places.certbot_port for one in (first, second)]
            for port, other in (ports, reversed(ports)):
                with certbot_at(port), certbot_at(other, status), ThreadPoolExecutor(5) as asking:
                    answers = list(asking.map(lambda _: requests.get(url, timeout=10).text, range(10)))
                    assert set(answers) == {f"proof of {asked}"}


def test_a_new_certificate_is_served_at_once_and_ends_no_stream() -> None:
    board = Board("hall")
    with running([board], **ACME) as gateway:
        first, places = shown(gateway), gateway.places
        board.pause = 0.1
        body = {"model": "smol", "messages": [], "max_tokens": 20, "stream": True}
        with gateway.ask("/v1/chat/completions", body, stream=True, verify=str(authority_file())) as stream:
            lines = stream.iter_lines()
            next(lines)
            before = workers(places)
            chain = certified(places, server_certificate("other", NAMES))
            serve_certificate(places)
            assert shown(gateway).strip() == chain.strip() != first.strip()
            assert b"data: [DONE]" in list(lines)
        assert workers(places) == before
        assert places.acme_certificate.stat().st_mode & 0o777 == 0o600
        assert places.acme_served.read_text().strip() == sha256_hex(chain.encode())


def test_a_haproxy_that_was_reloading_serves_the_new_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has read the file before the file was replaced, and takes over after the earlier one was told."""
    with running([Board("hall")], **ACME) as gateway:
        places, old = gateway.places, gateway.places.acme_certificate.read_bytes()

        def reload() -> None:
            new, before = places.acme_certificate.read_bytes(), workers(places)
            places.acme_certificate.write_bytes(old)
            gateway.processes[0].send_signal(signal.SIGUSR2)
            await_true(lambda: not set(before) & set(workers(places)) and workers(places))
            places.acme_certificate.write_bytes(new)

        monkeypatch.setattr(acme_certificate, "await_reload", reload)
        chain = certified(places, server_certificate("other", NAMES))
        serve_certificate(places)
        assert shown(gateway).strip() == chain.strip()


def test_what_haproxy_does_not_take_replaces_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with running([Board("hall")], **ACME) as gateway:
        before, there = shown(gateway), gateway.places.acme_certificate.read_bytes()
        certified(gateway.places, b"nonsense")
        with pytest.raises(NotServed, match="haproxy does not take it"):
            serve_certificate(gateway.places)
        assert run_certificate(gateway.places) == 1 and "is not served" in capsys.readouterr().err
        assert (shown(gateway), gateway.places.acme_certificate.read_bytes()) == (before, there)
        assert not gateway.places.acme_served.exists(), "the next deploy tries again"


def test_a_haproxy_that_is_away_finds_the_certificate_at_its_start(tmp_path: Path) -> None:
    etc, lib, run, lineage = (tmp_path / name for name in ("etc", "lib", "run", "lineage"))
    places = GatewayPlaces(etc, lib, run, acme=tmp_path, lineage=lineage)
    places.config.mkdir()
    places.acme_certificate.write_text("own")
    chain = certified(places, server_certificate("other", NAMES))
    serve_certificate(places)
    assert places.acme_certificate.read_text().startswith(chain)


def test_a_gateway_serves_what_it_served_until_there_is_a_certificate_by_acme(gateway_host: GatewayHost) -> None:
    """And no deploy takes that one away."""
    table, config = BoardTable((HALL,)), gateway_host.places.config
    own: dict[str, Any] = {"gateway_certificate": str(gateway_host.folder / "own.pem")}
    (gateway_host.folder / "own.pem").write_bytes(server_certificate("bought", NAMES))
    gateway_host.load(gateway_host.files(table, gateway_tls="on", **own))
    gateway_host.load(gateway_host.files(table, **ACME))
    assert (config / "acme.pem").read_bytes() == (gateway_host.folder / "own.pem").read_bytes()
    (config / "acme.pem").write_bytes(server_certificate("by-acme", NAMES))
    gateway_host.load(gateway_host.files(table, gateway_queue=3, **ACME))
    assert (config / "acme.pem").read_bytes() == server_certificate("by-acme", NAMES)
    assert (config / "acme.pem").stat().st_mode & 0o777 == 0o600
