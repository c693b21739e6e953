"""Debian's pebble, an authority for tests of ACME, which proves names by the servers that it is told, as others do."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from tests.certificates import Authority
from tests.engines import engine

PORT, MANAGEMENT, DNS, DNS_MANAGEMENT = 14000, 15000, 8053, 8055
START_SECONDS = DEADLINE = 120.0
# Days of a certificate. certbot renews one that has less than 30 (2.1), or a third of its time (4.0).
DAYS = 20


class Pebble:
    """One that runs at `address`. `trust`: by which its server is known."""

    def __init__(self, address: str, trust: Path) -> None:
        self.address, self.trust = address, trust
        self.url = f"https://{address}:{PORT}/dir"

    def root(self) -> str:
        """The certificate by which clients know what pebble signs: another one after each start."""
        said = requests.get(f"https://{self.address}:{MANAGEMENT}/roots/0", verify=str(self.trust), timeout=DEADLINE)
        return said.text

    def say_names_are_at(self, address: str) -> None:
        """Where pebble finds every name from now on."""
        url = f"http://127.0.0.1:{DNS_MANAGEMENT}/set-default-ipv4"
        requests.post(url, json={"ip": address}, timeout=DEADLINE).raise_for_status()


@contextmanager
def running_pebble(folder: Path, address: str, names_at: str) -> Iterator[Pebble]:
    """pebble until the end of the block; `names_at`: where it finds every name."""
    authority = Authority(folder, (address,))
    authority.context()
    config = {
        "listenAddress": f"{address}:{PORT}",
        "managementListenAddress": f"{address}:{MANAGEMENT}",
        "certificate": str(authority.pem),
        "privateKey": str(folder / "key.pem"),
        "httpPort": 80,
        "tlsPort": 443,
        "certificateValidityPeriod": DAYS * 86400,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
    words = [engine("pebble"), "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{DNS}"]
    none = [word for kind in ("http01", "https01", "tlsalpn01") for word in (f"-{kind}", "")]
    names = [engine("pebble-challtestsrv"), *none, "-defaultIPv6", "", "-defaultIPv4", names_at]
    names += ["-dns01", f"127.0.0.1:{DNS}", "-management", f"127.0.0.1:{DNS_MANAGEMENT}"]
    # Every name is proven anew, and at once. One request of twenty would be refused as a repeated one: certbot asks a
    # second time and no more, so a certificate of ten requests would fail by chance, one of forty.
    told = {"PEBBLE_AUTHZREUSE": "0", "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    with (folder / "pebble.log").open("ab") as log:
        started = [subprocess.Popen(each, stdout=log, stderr=log, env=told) for each in (words, names)]
        try:
            pebble = Pebble(address, authority.pem)
            await_answer(pebble)
            yield pebble
        finally:
            for process in started:
                process.kill()
                process.wait()


def await_answer(pebble: Pebble) -> None:
    """Returns when pebble and its names answer."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with suppress(requests.RequestException):
            requests.get(f"http://127.0.0.1:{DNS_MANAGEMENT}/", timeout=5)
            requests.get(pebble.url, verify=str(pebble.trust), timeout=5).raise_for_status()
            return
        time.sleep(0.1)
    raise TimeoutError(f"pebble does not answer within {START_SECONDS:.0f} s")
