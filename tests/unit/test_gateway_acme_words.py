"""What a deploy asks an authority for, and what it says of an answer."""

from pathlib import Path
from typing import Any

import pytest

from deploy.errors import BoardllamaError
from deploy.fleet.gateway.acme import (
    ACME_TEXTS,
    ASKED,
    CERTBOT_DROP_IN,
    CHAIN,
    SERVED,
    TIMER,
    ask_authority,
    asked_hash,
    hold_certificate,
    what_went_wrong,
)
from deploy.fleet.gateway.certbot_files import CertbotFiles, forget_command
from deploy.fleet.gateway.gateway_stage import gateway_texts
from deploy.hosts.facts import Text
from deploy.hosts.release import sha256_hex
from deploy.hosts.remote import Remote
from deploy.hosts.snapshot import Snapshot, memory_of
from tests.unit.known_host import KnownHost
from tests.unit.running_gateway import gateway_settings
from tests.unit.test_gateway_acme import ACME

REFUSED = """
Saving debug log to /var/log/letsencrypt/letsencrypt.log
Requesting a certificate for gate.example.org

Certbot failed to authenticate some domains (authenticator: standalone). The Certificate Authority reported these \
problems:
  Domain: gate.example.org
  Type:   connection
  Detail: Get "http://gate.example.org:80/.well-known/acme-challenge/7nzJi": dial tcp 10.99.0.1:80: connection refused

Hint: The Certificate Authority failed to download the challenge files from the temporary standalone webserver started \
by Certbot on 127.0.0.1:11431. Ensure that the listed domains point to this machine.

Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org. See the logfile for more details.
"""


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"gateway_acme_agree": False}, "gateway_acme_agree = True once you have read the terms"),
        ({"gateway_acme_ca": "/nowhere.pem"}, "gateway_acme_ca is '/nowhere.pem': it must be a file that is there"),
        ({"gateway_port": 80}, "gateway_port is 80, where an authority asks for proof"),
        ({"gateway_acme_email": "ann"}, "gateway_acme_email is 'ann': must be an email address"),
        ({"gateway_acme_url": "ftp://x"}, "gateway_acme_url is 'ftp://x': must be an http"),
    ],
)
def test_settings_that_cannot_lead_to_a_certificate_are_refused(
    tmp_path: Path, told: dict[str, Any], said: str
) -> None:
    with pytest.raises(BoardllamaError, match=said):
        gateway_settings(tmp_path, **ACME | told)


def test_a_certificate_is_for_the_names_that_an_authority_can_prove(tmp_path: Path) -> None:
    told = gateway_settings(tmp_path, **ACME | {"gateway_names": "a.example.org 192.0.2.1 b.example.org"})
    assert told.acme_names("gate.lan") == ["a.example.org", "b.example.org"]
    for names, own, bad in (
        ("", "192.0.2.1", "192.0.2.1"),
        ("*.example.org", "x.org", r"\*.example.org"),
    ):
        told = gateway_settings(tmp_path, **ACME | {"gateway_names": names})
        with pytest.raises(BoardllamaError, match=f"name '{bad}': an authority that asks by HTTP"):
            told.acme_names(own)
    told = gateway_settings(tmp_path, **ACME | {"gateway_names": "192.0.2.1"})
    assert told.acme_names("gate.example.org") == ["gate.example.org"]
    assert gateway_settings(tmp_path).acme_names("192.0.2.1") == []


@pytest.fixture(autouse=True)
def no_certbot(monkeypatch: pytest.MonkeyPatch) -> None:
    """certbot of this machine is nobody's business."""
    monkeypatch.setattr(CertbotFiles, "command", lambda *_, **__: "true")


def plans(tmp_path: Path, texts: dict[str, str], **told: Any) -> int:
    """How many steps a run has for the certificate of a gateway with these small files.

    It asks one further question: what of certbot's files is there.
    """
    assert set(ACME_TEXTS) <= set(gateway_texts())
    gateway = KnownHost(Snapshot(texts={path: Text(text.encode(), 0o600, "") for path, text in texts.items()}))
    memory_of(gateway.host).asked.update(gateway_texts())
    settings = gateway_settings(tmp_path, **told)
    return len(gateway.plans(hold_certificate, settings, settings.acme_names("gate.example.org")))


def test_a_run_asks_for_what_it_has_not_got_and_ends_what_nobody_wants(tmp_path: Path) -> None:
    settings = gateway_settings(tmp_path, **ACME)
    has = {CERTBOT_DROP_IN: "", TIMER: "", CHAIN: "chain", ASKED: asked_hash(settings, settings.acme_names(""))}
    has[SERVED] = sha256_hex(b"chain")
    assert plans(tmp_path, has, **ACME) == 0
    assert plans(tmp_path, has, **ACME | {"gateway_names": "other.example.org"}) == 1
    assert plans(tmp_path, has, **ACME | {"gateway_acme_url": "https://other.example.org/directory"}) == 1
    assert plans(tmp_path, has | {SERVED: sha256_hex(b"an older one")}, **ACME) == 1
    assert plans(tmp_path, {path: text for path, text in has.items() if path != TIMER}, **ACME) == 1, "none renews"
    assert plans(tmp_path, {CERTBOT_DROP_IN: ""}, **ACME) == 1
    assert plans(tmp_path, has, gateway_tls="on") == 1 and plans(tmp_path, {}, gateway_tls="on") == 0


def test_a_run_asks_anew_where_certbot_could_not_renew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = gateway_settings(tmp_path, **ACME)
    has = {TIMER: "", CHAIN: "chain", ASKED: asked_hash(settings, settings.acme_names(""))}
    has[SERVED] = sha256_hex(b"chain")
    assert plans(tmp_path, has, **ACME) == 0
    monkeypatch.setattr(CertbotFiles, "command", lambda *_, **__: f"echo link {CHAIN}")
    assert plans(tmp_path, has, **ACME) == 1, "its renewal file is not there"


def test_what_was_damaged_is_said_and_removed_before_certbot_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "pyinfra")
    gateway, done = KnownHost(Snapshot()), []
    monkeypatch.setattr(Remote, "run", lambda _, command: done.append(command))
    settings = gateway_settings(tmp_path, **ACME)
    with gateway.turn(executing=True):
        ask_authority(gateway.remote, settings, ["gate.example.org"], "its file is empty")
    assert done[0] == forget_command(settings.gateway_acme_url)
    assert "certbot.timer" in done[1] and "certbot certonly" in done[2]
    assert "certbot cannot renew the certificate: its file is empty. It asks anew;" in caplog.text


def test_what_certbot_says_went_wrong_is_one_line() -> None:
    assert what_went_wrong(REFUSED) == (
        "Certbot failed to authenticate some domains (authenticator: standalone). The Certificate Authority "
        "reported these problems: Domain: gate.example.org Type: connection Detail: Get "
        '"http://gate.example.org:80/.well-known/acme-challenge/7nzJi": dial tcp 10.99.0.1:80: connection refused '
        "Some challenges have failed"
    )
    assert what_went_wrong("Saving debug log to /var/log/letsencrypt/letsencrypt.log\n") == "nothing in time"
