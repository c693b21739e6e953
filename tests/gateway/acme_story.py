"""A gateway with a certificate by ACME, from its first deploy to its last: `python -m tests.gateway.acme_story trixie`.

Real systemd, SSH, haproxy and certbot, and pebble as the authority. llama-server is a stand-in.
"""

import os
import re
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
import urllib3

from deploy.controller.certificates import authority_file
from deploy.controller.progress import say_line
from deploy.fleet.gateway.acme import OWN_TRUST
from deploy.onboard.gateway.runtime_api import ask_haproxy
from tests.build.builds import wanted
from tests.engines import engine
from tests.fleet.apart import run_folder
from tests.fleet.board_tree import deploys_cache
from tests.fleet.boards import CONTROLLER, Board
from tests.fleet.inventories import pyinfra_inventory
from tests.fleet.measure import measure_command
from tests.fleet.run import BOARD_CPU
from tests.fleet.stand_ins import ensure_stand_ins
from tests.fleet.tools import invoke_deploy
from tests.fleet.under_load import BOARD_DATA, CLIENT_KEY, GATEWAY, PORT, gateway_places
from tests.gateway.pebble import PORT as PEBBLE_PORT
from tests.gateway.pebble import Pebble, running_pebble
from tests.gateway.simulated import run_story, simulated_boards

NAME, SECOND = "gate.example.org", "second.example.org"
RENEWAL = "etc/letsencrypt/renewal/boardllama-gateway.conf"
UNCHANGED = re.compile(r"Have a certificate by ACME\s+No changes: gateway")
DIRECTORY = f"https://{CONTROLLER}:{PEBBLE_PORT}/dir"
WORDS, LIVE_SECONDS = 36_000, 2.0  # of a stream, which takes an hour; and to see that it goes on
DEADLINE = 120.0


@dataclass(frozen=True)
class AcmeGateway:
    """The gateway and its boards. `told`: its settings, beside those of its clients."""

    boards: list[Board]
    told: dict[str, Any] = field(default_factory=dict)

    def deploy(self, **told: Any) -> tuple[bool, str]:
        """Deploys, with these settings of the gateway in addition. Whether it succeeded, and what it said."""
        (run_folder() / "clients").write_text(f"ann {CLIENT_KEY}\n")
        own = GATEWAY.host_data() | {"gateway_clients": str(run_folder() / "clients"), "gateway_port": PORT}
        hosts = {board.title: board.host_data() | BOARD_DATA for board in self.boards}
        inventory = pyinfra_inventory(hosts, {GATEWAY.title: own | self.told | told})
        called = invoke_deploy(inventory, {"model": "smoke"}, deploys_cache())
        log = run_folder() / "acme.log"
        costs = measure_command(called.command, self.boards, log, called.cwd, called.env)
        return costs.status == 0, log.read_text(errors="replace")

    def shown(self, trust: str, name: str = NAME) -> str:
        """The certificate that a client gets who asks for that name, and trusts these authorities.

        Raises ssl.SSLError for a client who does not trust the certificate.
        """
        context = ssl.create_default_context(cadata=trust)
        with (
            socket.create_connection((GATEWAY.address, PORT), DEADLINE) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True) or b"")

    @property
    def workers(self) -> list[str]:
        """haproxy's processes that serve: a reload makes another one."""
        said = ask_haproxy(gateway_places().master_socket, "show proc")
        return re.findall(r"^(\d+) +worker", said.split("# old")[0], re.MULTILINE)

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """An answer is on its way during the block, and after it. Raises AssertionError when it was ended."""
        body = {"model": "boardllama-smoke.gguf", "messages": [], "max_tokens": WORDS, "stream": True}
        url, key = f"https://{GATEWAY.address}:{PORT}/v1/chat/completions", {"Authorization": f"Bearer {CLIENT_KEY}"}
        with requests.post(url, json=body, headers=key, stream=True, verify=False, timeout=DEADLINE) as answer:
            assert answer.status_code == 200, answer.text
            lines = answer.iter_lines()
            next(lines)
            yield
            end = time.monotonic() + LIVE_SECONDS
            while time.monotonic() < end:  # what has come meanwhile is read at once, then what comes
                assert next(lines, b"data: [DONE]") != b"data: [DONE]", "the stream was ended"


def tell(suite: str) -> None:
    """The story. Raises AssertionError, BoardllamaError."""
    urllib3.disable_warnings()  # of streams, whose certificate is looked at apart
    os.environ["BOARDLLAMA_KEYS"] = str(run_folder() / "keys")
    with simulated_boards(suite, 1) as fleet:
        boards = [board for board in fleet.boards if board is not GATEWAY]
        acme = {"gateway_tls": "acme", "gateway_names": NAME, "gateway_acme_url": DIRECTORY}
        gateway = AcmeGateway(boards, acme | {"gateway_acme_agree": True})
        folder = run_folder() / "pebble"
        folder.mkdir()
        with running_pebble(folder, CONTROLLER, GATEWAY.address):
            pass  # so that its certificate is there
        gateway.told["gateway_acme_ca"] = str(folder / "authority.pem")
        tell_without_authority(gateway)
        with running_pebble(folder, CONTROLLER, GATEWAY.address) as pebble:
            certificate = tell_first(gateway, pebble)
            certificate = tell_renewal(gateway, pebble, certificate)
            certificate = tell_damage(gateway, pebble, certificate)
            tell_refusal(gateway, pebble, certificate)
        tell_end(gateway)


def tell_without_authority(gateway: AcmeGateway) -> None:
    """The first deploy finds no authority: it says so, and the gateway serves by the controller's own authority."""
    good, said = gateway.deploy()
    assert not good and f"gateway_acme_url is {DIRECTORY}: no certificate came from there" in said, said
    assert gateway.shown(authority_file().read_text())
    with gateway.streaming():
        say_line(f"acme: without an authority: {message(said)}")


def tell_first(gateway: AcmeGateway, pebble: Pebble) -> str:
    """The authority gives a certificate, and a second deploy asks for no other one. Returns it."""
    with gateway.streaming():
        before = gateway.workers
        good, said = gateway.deploy()
        assert good, said
        certificate = gateway.shown(pebble.root())
        assert gateway.workers == before, "it came into the haproxy that ran"
    good, said = gateway.deploy()
    assert good and UNCHANGED.search(said), said
    assert gateway.shown(pebble.root()) == certificate
    for place in ("etc/letsencrypt/accounts", "etc/letsencrypt/archive", "etc/boardllama-gateway"):
        folder = (GATEWAY.root / place).stat()
        assert (folder.st_uid, folder.st_mode & 0o077) == (0, 0), f"{place} is root's alone"
    say_line("acme: a certificate came, and a second deploy changes nothing")
    return certificate


def tell_renewal(gateway: AcmeGateway, pebble: Pebble, certificate: str) -> str:
    """The package's own unit renews: nobody notices but those who connect from then on. Returns the new certificate."""
    GATEWAY.run("systemctl", "disable", "-q", "--now", "certbot.timer")
    good, said = gateway.deploy()
    assert good and GATEWAY.run("systemctl", "is-active", "certbot.timer").strip() == "active", said
    before = gateway.workers
    with gateway.streaming():
        is_due()
        GATEWAY.run("systemctl", "start", "certbot.service")
        renewed = gateway.shown(pebble.root())
    assert renewed != certificate, GATEWAY.run("journalctl", "-u", "certbot", "--no-pager")
    assert gateway.workers == before
    good, said = gateway.deploy(gateway_queue=63)
    assert good and gateway.shown(pebble.root()) == renewed, said  # other files of haproxy, and the same certificate
    say_line("acme: renewed by certbot.service, with no stream ended")
    return renewed


def is_due() -> None:
    """Has certbot take the certificate for one that soon ends."""
    conf = GATEWAY.root / RENEWAL
    told, line = conf.read_text(), "renew_before_expiry = 3000 days\n"
    conf.write_text(told if line in told else line + told)


def tell_damage(gateway: AcmeGateway, pebble: Pebble, certificate: str) -> str:
    """certbot's file is lost, and whoever asks certbot then has two certificates: a deploy leaves one, which renews.

    Returns the new certificate.
    """
    conf = GATEWAY.root / RENEWAL
    asked = f"certbot certonly -n --standalone --http-01-port 11431 --server {DIRECTORY} -d {NAME} --cert-name"
    with gateway.streaming():
        conf.write_text("")
        GATEWAY.run("sh", "-c", "! systemctl start certbot.service")
        GATEWAY.run("env", f"REQUESTS_CA_BUNDLE={OWN_TRUST}", *asked.split(), conf.stem)
        assert (again := conf.with_name(f"{conf.stem}-0001.conf")).exists()
        assert gateway.shown(pebble.root()) == certificate
        good, said = gateway.deploy()
        assert good and f"it has a second one, {again.stem}, which nobody serves" in said, said
        mended = gateway.shown(pebble.root())
        assert mended != certificate and not again.exists()
        conf.unlink()
        good, said = gateway.deploy()
        assert good and f"certbot cannot renew the certificate: /{RENEWAL} is not there" in said, said
        is_due()
        GATEWAY.run("systemctl", "start", "certbot.service")
        renewed = gateway.shown(pebble.root())
        assert renewed not in (mended, certificate), "what renews is what is served"
    good, said = gateway.deploy()
    assert good and UNCHANGED.search(said), said
    say_line("acme: damaged, and mended by the next deploy")
    return renewed


def tell_refusal(gateway: AcmeGateway, pebble: Pebble, certificate: str) -> None:
    """The authority finds the names elsewhere, where nobody answers: the old certificate stays, by deploy and timer."""
    pebble.say_names_are_at(CONTROLLER)
    with gateway.streaming():
        good, said = gateway.deploy(gateway_names=f"{NAME} {SECOND}", gateway_queue=63)
        assert not good and "certbot says: " in said and CONTROLLER in message(said), said
        is_due()
        GATEWAY.run("sh", "-c", "! systemctl start certbot.service")
        assert gateway.shown(pebble.root()) == certificate
        (GATEWAY.root / RENEWAL).write_text("")
        good, said = gateway.deploy()
        assert not good and f"/{RENEWAL} is empty" in said and CONTROLLER in message(said), said
        assert gateway.shown(pebble.root()) == certificate
    say_line(f"acme: refused: {message(said)}")
    pebble.say_names_are_at(GATEWAY.address)
    good, said = gateway.deploy(gateway_names=f"{NAME} {SECOND}")
    assert good and gateway.shown(pebble.root(), SECOND) != certificate, said
    say_line("acme: another name, another certificate")


def tell_end(gateway: AcmeGateway) -> None:
    """A gateway that is to have its certificate otherwise asks no authority any more."""
    good, said = gateway.deploy(gateway_tls="on")
    assert good, said
    assert gateway.shown(authority_file().read_text())
    assert not (GATEWAY.root / RENEWAL).exists()
    good, said = gateway.deploy(gateway_tls="on")
    assert good and UNCHANGED.search(said), said
    say_line("acme: ended")


def message(said: str) -> str:
    """What a deploy said of the authority."""
    return next(line for line in said.splitlines() if "gateway_acme_url is" in line)


def prepare() -> None:
    """What takes a network."""
    ensure_stand_ins(wanted(BOARD_CPU), deploys_cache())
    engine("pebble")


if __name__ == "__main__":
    sys.exit(run_story("tests.gateway.acme_story", prepare, tell))
