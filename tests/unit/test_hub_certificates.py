"""A hub is trusted by the authorities that the user names, in whichever variable; what is wrong with one is said."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import close_session

from deploy.models.hub.client import AUTHORITIES
from deploy.models.hub.fetch import fetch_hub_model
from tests.answers import answering
from tests.certificates import Authority
from tests.hub_case import CONTENT, failure, hub_environment, silent
from tests.unit.test_hub_network import FILE, MODEL


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with hub_environment(monkeypatch, tmp_path):
        for name in (*AUTHORITIES, "SSL_CERT_DIR"):
            monkeypatch.delenv(name, raising=False)
        yield
    close_session()  # its trust is this test's


@contextmanager
def hub(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> Iterator[str]:
    """One that shows the certificate; its address."""
    with answering(lambda _request: FILE, authority.context()) as server:
        url = server.url.replace("http", "https")
        monkeypatch.setenv("HF_ENDPOINT", url)
        yield url


@pytest.mark.parametrize("variable", AUTHORITIES)
def test_every_variable_that_names_an_authority_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    """Also beside another one: many systems set the first one for all."""
    with hub(monkeypatch, Authority(tmp_path)):
        other = Authority(tmp_path / "other")
        other.folder.mkdir()
        other.context()
        monkeypatch.setenv("SSL_CERT_FILE", str(other.pem))
        monkeypatch.setenv(variable, str(tmp_path / "authority.pem"))
        assert fetch_hub_model(MODEL, silent).read_bytes() == CONTENT


def test_a_certificate_that_nobody_trusts_says_which_variable_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with hub(monkeypatch, Authority(tmp_path)) as url:
        said = failure(MODEL)
    assert f"{url} shows a certificate that is not trusted here (self-signed certificate)" in said
    assert said.endswith("set SSL_CERT_FILE to the PEM file of its authority")


@pytest.mark.parametrize(
    ("names", "days", "words"),
    [
        (
            ("127.0.0.1",),
            -400,
            "a certificate of another time (certificate has expired)",
        ),
        (("127.0.0.1",), 30, "a certificate of another time (certificate is not yet valid)"),
        (("192.0.2.1",), -1, "the certificate of another host (IP address mismatch"),
    ],
)
def test_what_is_wrong_with_a_trusted_certificate_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, names: tuple[str, ...], days: int, words: str
) -> None:
    authority = Authority(tmp_path, names, days)
    with hub(monkeypatch, authority):
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
        assert words in failure(MODEL)


@pytest.mark.parametrize("variable", AUTHORITIES)
@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), (b"no certificate", "holds no certificate")])
def test_a_file_without_certificates_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, content: bytes | None, words: str
) -> None:
    file = tmp_path / "x.pem"
    if content:
        file.write_bytes(content)
    monkeypatch.setenv(variable, str(file))
    said = failure(MODEL)
    assert said.startswith(f"{variable} is '{file}': it {words}")
    assert said.endswith("it must be a PEM file of certificates")


def test_a_hub_that_speaks_no_tls_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(lambda _request: FILE) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url.replace("http", "https"))
        assert "does not answer with TLS" in failure(MODEL)
