"""The certificates of gateways, as clients judge them."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
from cryptography import x509

from deploy.controller import certificates
from deploy.controller.certificates import authority_file, server_certificate
from deploy.errors import BoardllamaError
from deploy.fleet.gateway.haproxy_files import certificate_files
from tests.unit.gateway_board import Board
from tests.unit.running_gateway import gateway_settings, running

NAMES = ("gate.example", "127.0.0.1")


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the controller's keys."""
    folder = tmp_path / "keys"
    monkeypatch.setenv("BOARDLLAMA_KEYS", str(folder))
    return folder


def test_a_client_with_the_authority_s_file_trusts_the_gateway_by_its_names_alone() -> None:
    with running([Board("hall")], gateway_tls="on", gateway_names="gate.example fd00::1") as gateway:
        assert gateway.answered_by("smol", verify=str(authority_file())) == "hall"
        with pytest.raises(requests.exceptions.SSLError):
            gateway.answered_by("smol")
        made = (gateway.places.config / "certificate.pem").read_bytes()
    names = x509.load_pem_x509_certificate(made).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gate.example", "localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "fd00::1"]


def test_a_second_deploy_brings_the_same_certificate(keys: Path) -> None:
    made = server_certificate("gate", NAMES)
    assert server_certificate("gate", NAMES) == made
    assert server_certificate("gate", NAMES[:1]) == made, "a name that has no address today"
    assert server_certificate("other", NAMES) != made
    secrets = [path for path in keys.iterdir() if path.name not in (".lock", authority_file().name)]
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600} and len(secrets) == 3


def test_a_deploy_renews_a_certificate_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "SERVER_DAYS", certificates.LAST_DAYS)
        old = server_certificate("gate", NAMES)
    new = server_certificate("gate", NAMES)
    assert new != old
    end = x509.load_pem_x509_certificate(new).not_valid_after_utc
    assert end - datetime.now(timezone.utc) > timedelta(days=300)


def test_another_name_or_another_authority_means_another_certificate(keys: Path) -> None:
    first = server_certificate("gate", NAMES)
    second = server_certificate("gate", (*NAMES, "fd00::1"))
    assert second != first
    authority_file().unlink()
    assert server_certificate("gate", NAMES) != second


def test_a_file_of_the_operator_s_goes_as_it_is(tmp_path: Path, keys: Path) -> None:
    own = tmp_path / "own.pem"
    own.write_text("a certificate and its key")
    settings = gateway_settings(tmp_path, gateway_tls="on", gateway_certificate=str(own))
    assert certificate_files(settings, NAMES) == {"certificate.pem": own.read_bytes()}
    assert not keys.exists()


def test_keys_that_cannot_be_read_are_named(tmp_path: Path, keys: Path) -> None:
    server_certificate("gate", NAMES)
    authority_file().write_text("nonsense")
    with pytest.raises(BoardllamaError, match=r"gateway-ca.pem: the gateway's certificate cannot be read or made"):
        certificate_files(gateway_settings(tmp_path, gateway_tls="on"), NAMES)
