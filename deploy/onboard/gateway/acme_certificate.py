"""Has haproxy serve the certificate that certbot got by ACME: the one that runs, which ends no stream, and its files.

certbot runs this after each certificate that it gets (its deploy hook), a deploy once more after its own.
"""

import sys
import time
from contextlib import suppress

from ..files import sha256_of, write_file
from .gateway_places import ACME, GATEWAY_PLACES, GatewayPlaces
from .rotate import held_alone
from .runtime_api import ask_haproxy

# While a deploy changes the gateway's files, and while a haproxy that was told to reload takes over.
LOCK_SECONDS, RELOAD_SECONDS = 300.0, 3.0


class NotServed(Exception):
    """haproxy did not take the certificate, or its files were not free."""


def serve_certificate(places: GatewayPlaces) -> None:
    """Raises NotServed, and OSError for files that are not there."""
    chain = places.lineage / "fullchain.pem"
    pem = chain.read_text() + (places.lineage / "privkey.pem").read_text()
    places.runtime.mkdir(exist_ok=True)  # where haproxy has not run since the start of the machine
    end = time.monotonic() + LOCK_SECONDS
    while not put_alone(places, pem):
        if time.monotonic() > end:
            raise NotServed(f"a deploy has held {places.lock} for {LOCK_SECONDS:.0f} s")
        time.sleep(0.2)
    await_reload()
    give_to_haproxy(places, pem)
    write_file(places.acme_served, f"{sha256_of(chain)}\n".encode())


def await_reload() -> None:
    """Returns when a haproxy serves that was reloading meanwhile. It may have read the file before it was replaced."""
    time.sleep(RELOAD_SECONDS)


def put_alone(places: GatewayPlaces, pem: str) -> bool:
    """Puts the certificate in its place, unless the gateway serves no such one. Returns False while others load.

    Raises NotServed.
    """
    with held_alone(places) as alone:
        if alone and places.acme_certificate.exists():
            give_to_haproxy(places, pem)
            write_file(places.acme_certificate, pem.encode(), 0o600)
        return alone


def give_to_haproxy(places: GatewayPlaces, pem: str) -> None:
    """Has new connections get the certificate. A haproxy that does not run reads it at its start. Raises NotServed.

    Nothing where the gateway serves no certificate by ACME any more.
    """
    if not places.acme_certificate.exists():
        return
    lines = "".join(f"{line}\n" for line in pem.splitlines() if line)  # an empty line would end what is given
    with suppress(FileNotFoundError, ConnectionRefusedError):
        said = [ask_haproxy(places.worker_socket, f"set ssl cert {ACME} <<\n{lines}")]
        said.append(ask_haproxy(places.worker_socket, f"commit ssl cert {ACME}"))
        if "Success!" not in said[-1]:
            raise NotServed(f"haproxy does not take it: {' '.join(' '.join(said).split())}")


def run_certificate(places: GatewayPlaces = GATEWAY_PLACES) -> int:
    """Serves the certificate. Returns the exit status: 1 after a line that says why not."""
    try:
        serve_certificate(places)
    except (OSError, NotServed) as error:
        print(f"the certificate by ACME is not served: {error}", file=sys.stderr)
        return 1
    return 0
