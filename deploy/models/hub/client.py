"""The hub client as this controller's user has set it up: address, token, proxies, certificates.

All of it is read from the environment at each call; huggingface_hub reads much of it once, at import.
"""

import os
import re
import ssl
import urllib.request
from pathlib import Path

import httpx2
from huggingface_hub import constants, get_token, set_client_factory
from huggingface_hub.utils._headers import build_hf_headers  # huggingface_hub.utils only has it at run time
from huggingface_hub.utils._http import hf_request_event_hook

from deploy.errors import BoardllamaError, without_login
from deploy.onboard.files import error_reason

PUBLIC_HUB = "https://huggingface.co"
# Each names a PEM file, or a folder of them. httpx knows only the first; requests, pip and curl have the others.
AUTHORITIES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

# Else the library's first request of a process is for its telemetry, to the hub that it saw at import, without our
# deadline, and it writes the answer into the user's home.
constants.HF_HUB_DISABLE_TELEMETRY = True


def hub_address() -> str:
    """The hub's address without a closing slash: $HF_ENDPOINT, else the public hub. Raises BoardllamaError."""
    address = (os.environ.get("HF_ENDPOINT") or PUBLIC_HUB).strip().rstrip("/")
    try:
        url = httpx2.URL(address)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise BoardllamaError(
            f"{without_login(address)} cannot be reached: HF_ENDPOINT must be an address as {PUBLIC_HUB} is, or not set"
        )
    return address


def hub_name() -> str:
    """The hub's address without a login, for messages. Raises BoardllamaError."""
    return without_login(hub_address())


def is_offline() -> bool:
    """Whether $HF_HUB_OFFLINE forbids the network, now or when the library was imported."""
    asked = os.environ.get("HF_HUB_OFFLINE", "").upper() in constants.ENV_VARS_TRUE_VALUES
    return asked or constants.is_offline_mode()


def hub_headers() -> dict[str, str]:
    """The headers of every request to the hub, with the user's token. Raises BoardllamaError for a malformed token."""
    token = get_token()
    if token and not re.fullmatch(r"[!-~]+", token):
        raise BoardllamaError(f"{token_source()} holds more than the one word that a token is: mend it, or unset it")
    return dict(build_hf_headers(library_name="boardllama"))


def token_source() -> str:
    """Where the token comes from, for messages; "" when there is none."""
    if os.environ.get("HF_TOKEN", "").strip():
        return "HF_TOKEN"
    return f"the token in {constants.HF_TOKEN_PATH}" if get_token() else ""


def proxy_of(url: httpx2.URL) -> str:
    """The proxy that requests for url go through, without its password; "" for none."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all") or ""
    if not proxy or urllib.request.proxy_bypass(url.host):
        return ""
    return without_login(proxy)


def trusted_authorities() -> dict[str, str]:
    """The variables of AUTHORITIES that are set, with their values."""
    return {name: os.environ[name] for name in AUTHORITIES if os.environ.get(name)}


def tls_context() -> ssl.SSLContext:
    """Trusts all authorities that the user names, or the system's where the user names none.

    Raises BoardllamaError for a file that holds no certificate.
    """
    named = trusted_authorities()
    if not named:
        return httpx2.create_ssl_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name, place in named.items():
        try:
            is_folder = Path(place).is_dir()
            context.load_verify_locations(None if is_folder else place, place if is_folder else None)
        except (OSError, ValueError) as error:
            seen = (
                "holds no certificate" if isinstance(error, ssl.SSLError) else f"cannot be read ({error_reason(error)})"
            )
            raise BoardllamaError(f"{name} is {place!r}: it {seen}; it must be a PEM file of certificates") from None
    return context


def make_hub_client() -> httpx2.Client:
    """The HTTP client of huggingface_hub. Raises BoardllamaError for proxy settings that are no addresses."""
    try:
        return httpx2.Client(
            event_hooks={"request": [hf_request_event_hook]}, follow_redirects=True, timeout=None, verify=tls_context()
        )
    except (ImportError, ValueError, httpx2.InvalidURL):  # its words may hold a part of the password
        proxies = urllib.request.getproxies()
        said = [f"{name} {without_login(proxies[name])}" for name in ("http", "https", "all") if name in proxies]
        raise BoardllamaError(
            f"the proxy settings cannot be used ({', '.join(said)}): each must be http://HOST:PORT, or "
            f"http://USER:PASSWORD@HOST:PORT with %40 for an @ in the password, %2F for a /, %3A for a :"
        ) from None


set_client_factory(make_hub_client)
