"""Why a hub did not give a file, in one line that names who refused it, the hub or what is on the way, and the cure."""

import ssl
from collections.abc import Iterator
from datetime import datetime, timezone

import httpx2
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from deploy.errors import LOGIN, shown
from deploy.models.hub.client import hub_name, proxy_of, token_source, trusted_authorities
from deploy.models.hub.patience import FAULTS

# X509_V_ERR_… in openssl/x509_vfy.h: a time before or after the certificate's own; another name or address than its.
OF_ANOTHER_TIME, OF_ANOTHER_NAME = (9, 10), (62, 64)
AUTHENTICATE_PROXY, AUTHENTICATE_NETWORK = 407, 511
# As httpx begins what it says of a redirection to what it cannot read; what others cannot read is a ValueError.
BAD_LOCATION = "Invalid URL in location header"


def explain_refusal(repo: str, file: str, revision: str, error: Exception) -> str:
    """One line for what the client raised, the most special cause first."""
    if isinstance(error, HfHubHTTPError):
        return _explain_answer(repo, file, revision, error)
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE was set when the hub client was loaded: unset it and start again"
    if isinstance(error, ValueError) or str(error).startswith(BAD_LOCATION):
        return f"{hub_name()} is no address, or sends to what is none ({one_line(error)}): check HF_ENDPOINT"
    return explain_unreachable(error)


def explain_unreachable(error: Exception) -> str:
    """One line for a connection that could not be made, or broke."""
    url = asked_url(error)
    host, proxy = (url.host if url else ""), (proxy_of(url) if url else "")
    name = _host_shown(host)
    if certificate := bad_certificate(error):
        return _explain_certificate(name, certificate)
    if any(isinstance(cause, ssl.SSLError) for cause in error_causes(error)):
        return f"{name} does not answer with TLS ({one_line(error)}): check HF_ENDPOINT and the proxy settings"
    if isinstance(error, httpx2.ProxyError) and one_line(error).startswith(str(AUTHENTICATE_PROXY)):
        return _proxy_login(proxy)
    if isinstance(error, httpx2.ProxyError):
        return f"the proxy {proxy} refuses to connect to {host} ({one_line(error)}): ask who runs it to allow {host}"
    if proxy and isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return f"the proxy {proxy} cannot be reached ({one_line(error)}): check HTTPS_PROXY, or name {host} in NO_PROXY"
    return f"{name} cannot be reached ({one_line(error)}): check the network and HF_ENDPOINT, or give a local file"


def _explain_answer(repo: str, file: str, revision: str, error: HfHubHTTPError) -> str:
    """One line for an answer that is not the file."""
    hub, response = hub_name(), error.response
    status, host = response.status_code, response.url.host
    if isinstance(error, RevisionNotFoundError):
        return f"{hub} has {repo}, but no revision {revision}: check the model's revision"
    if isinstance(error, RemoteEntryNotFoundError):
        return f"{hub} has {repo} at {revision[:12]}, but no file {file}: check the model's file"
    if status == AUTHENTICATE_PROXY:
        return _proxy_login(proxy_of(response.url))
    if status == AUTHENTICATE_NETWORK:
        return (
            f"the network wants a login before it lets anyone to {host} ({status}): open a web page in a browser there"
        )
    if host != httpx2.URL(hub).host:
        return (
            f"{host}, to which {hub} sends for {file}, refuses it ({status}): does a firewall or proxy of your network "
            f"block {host}? allow it, or give a local file"
        )
    if isinstance(error, RepositoryNotFoundError) and not isinstance(error, GatedRepoError):
        return f"{hub} has no repository {repo}, or it is private: check the name, or set HF_TOKEN"
    if status in (401, 403) or isinstance(error, GatedRepoError):
        return _not_allowed(repo, error, isinstance(error, GatedRepoError))
    passing = status >= 500 or status in FAULTS
    cure = "try again later, or check" if passing else "check the model's repo, file and revision, and"
    return f"{hub} answers {status} for {repo}/{file}: {cure} HF_ENDPOINT"


def _not_allowed(repo: str, error: HfHubHTTPError, gated: bool) -> str:
    hub, token, status = hub_name(), token_source(), error.response.status_code
    if token and status == 401 and not gated:
        return f"{hub} does not know {token} ({status}): mend it; a public model needs none, so unsetting it may do"
    said = error.response.headers.get("X-Error-Message")
    reason = f"{status}: {shown(said)}" if said else str(status)
    account = f"with the account of {token}" if token else "and set HF_TOKEN"
    other = "" if gated or status == 401 else f"; where it has none, does your network block {hub}?"
    return f"{hub} refuses {repo} ({reason}): accept its licence on its page {account}{other}"


def _proxy_login(proxy: str) -> str:
    return (
        f"the proxy {proxy or 'on the way'} wants a login ({AUTHENTICATE_PROXY}): write it into HTTP_PROXY and "
        f"HTTPS_PROXY, as http://USER:PASSWORD@HOST:PORT"
    )


def _explain_certificate(name: str, error: ssl.SSLCertVerificationError) -> str:
    said = error.verify_message or one_line(error)
    if error.verify_code in OF_ANOTHER_TIME:
        today = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
        return (
            f"{name} shows a certificate of another time ({said}); it is {today} on this computer: is its clock right?"
        )
    if error.verify_code in OF_ANOTHER_NAME:
        return f"{name} shows the certificate of another host ({said}): check HF_ENDPOINT, a proxy or a login page"
    named = ", ".join(f"{variable} is {place}" for variable, place in trusted_authorities().items())
    return (
        f"{name} shows a certificate that is not trusted here ({said}): if a proxy of your network makes it, set "
        f"SSL_CERT_FILE to the PEM file of its authority" + (f" ({named})" if named else "")
    )


def _host_shown(host: str) -> str:
    """The hub by its whole address, another host by its name."""
    hub = hub_name()
    return hub if host in ("", httpx2.URL(hub).host) else f"{host}, to which {hub} sends,"


def asked_url(error: Exception) -> httpx2.URL | None:
    """The address of the request that failed, where the client knows it."""
    try:
        return error.request.url if isinstance(error, httpx2.RequestError) else None
    except RuntimeError:  # httpx raises it for an error without a request
        return None


def bad_certificate(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """OpenSSL's error about a certificate, where it is among the causes."""
    return next((cause for cause in error_causes(error) if isinstance(cause, ssl.SSLCertVerificationError)), None)


def error_causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and then the errors that led to it."""
    while error:
        yield error
        error = error.__cause__ or error.__context__


def one_line(error: BaseException) -> str:
    """An exception's own first line without the login of an address, or its class when it has no text."""
    return LOGIN.sub("", (str(error).strip().splitlines() or [type(error).__name__])[0])
