"""Where a gateway keeps things, apart from what Debian's haproxy brings."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GatewayPlaces:
    """Absolute paths; of a test, below a folder. `config`: haproxy.cfg and the files that it names. `programs`: ours.
    `runtime`: sockets, and the boards that are out. `keeper_port`: where haproxy asks the keeper, on this machine.
    `challenge_port`: where an authority asks for proof of a name, which haproxy passes on to certbot at `certbot_port`.
    `acme`: what is known of the certificate by ACME. `lineage`: certbot's folder of it.
    """

    config: Path = Path("/etc/boardllama-gateway")
    programs: Path = Path("/usr/lib/boardllama-gateway")
    runtime: Path = Path("/run/boardllama-gateway")
    keeper_port: int = 11430
    metrics_port: int = 8405
    challenge_port: int = 80
    certbot_port: int = 11431
    acme: Path = Path("/etc/boardllama-acme")
    lineage: Path = Path("/etc/letsencrypt/live/boardllama-gateway")

    @property
    def table(self) -> Path:
        """What the gateway knows of its boards, but for their keys."""
        return self.config / "boards.json"

    @property
    def keys(self) -> Path:
        """The boards' keys: for root alone, as a map of haproxy."""
        return self.config / KEYS_MAP

    @property
    def loaded(self) -> Path:
        """The hash of the files that haproxy has loaded. It is written last, so a deploy that was cut is repeated."""
        return self.config / "loaded"

    @property
    def acme_certificate(self) -> Path:
        """The certificate by ACME with its key, as haproxy serves it; until there is one, what was served before."""
        return self.config / ACME

    @property
    def acme_served(self) -> Path:
        """The hash of the certificate by ACME that haproxy has. It is written last."""
        return self.acme / "served"

    @property
    def worker_socket(self) -> Path:
        """haproxy's runtime API."""
        return self.runtime / "worker.sock"

    @property
    def master_socket(self) -> Path:
        """The same of its master process, which reaches workers of an earlier configuration, too."""
        return self.runtime / "master.sock"

    @property
    def boards_socket(self) -> Path:
        """Where haproxy passes a request on to itself, to give it the key of its board."""
        return self.runtime / "boards.sock"

    @property
    def lock(self) -> Path:
        """Held by whoever changes these files: a deploy that loads, or one that tells what a board has now."""
        return self.runtime / "lock"

    @property
    def leases(self) -> Path:
        """The boards that are out of the rotation."""
        return self.runtime / "out"


KEYS_MAP, WAIT_MAP, ACME = "boards.map", "wait.map", "acme.pem"
# keepalived, and the hash of the file that it has loaded. It is written last, so a deploy that was cut is repeated.
SHARED_UNIT, SHARED_LOADED = "keepalived.service", "/etc/keepalived/boardllama-loaded"
GATEWAY_PLACES = GatewayPlaces()
