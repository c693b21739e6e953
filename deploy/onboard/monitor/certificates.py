"""When the certificates of the fleet's gateways end, as lines for Prometheus."""

import json
import socket
import ssl
import subprocess
from collections.abc import Iterable

DEADLINE = 10.0


def certificate_lines(addresses: Iterable[str]) -> list[str]:
    """A line for each address, as host:port, whose certificate can be read: one that is down is told by other means."""
    found = {}
    for address in addresses:
        try:
            found[address] = certificate_end(address)
        except (OSError, ValueError, subprocess.SubprocessError):
            continue
    name = "boardllama_certificate_end_timestamp_seconds"
    return [f"{name}{{address={json.dumps(address)}}} {end:.0f}" for address, end in found.items()]


def certificate_end(address: str) -> float:
    """When the certificate at the address ends, in seconds since 1970. Whoever signed it, it ends.

    Raises OSError, ValueError, subprocess.SubprocessError.
    """
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), DEADLINE) as connection,
        context.wrap_socket(connection, server_hostname=host) as talk,
    ):
        given = talk.getpeercert(binary_form=True) or b""
    # Python reads the fields of a certificate that it has verified alone.
    command = ["openssl", "x509", "-inform", "DER", "-noout", "-enddate"]
    said = subprocess.run(command, input=given, capture_output=True, check=True, timeout=DEADLINE).stdout.decode()
    return float(ssl.cert_time_to_seconds(said.strip().partition("=")[2]))
