"""A gateway's certificate by ACME: Debian's certbot asks for it, and haproxy passes the authority's questions on to it.

Debian has lego and dehydrated, too. certbot alone comes with a timer that renews, and remembers what it asked whom for,
and the hook. Port 80 is haproxy's, and certbot listens on the loopback, while it asks. The hook gives the certificate
to the haproxy that runs, so that neither streams nor the rotation of boards notice.
"""

import json
from functools import partial
from pathlib import Path

from pyinfra import host
from pyinfra.api import operation

from deploy.errors import BoardllamaError
from deploy.fleet.gateway.certbot_files import RENEWAL, CertbotFiles, forget_command, what_is_damaged
from deploy.fleet.gateway.gateway_settings import GatewaySettings
from deploy.hosts.addresses import LOOPBACK
from deploy.hosts.facts.target import shell_words
from deploy.hosts.lock import TargetStep
from deploy.hosts.release import sha256_hex
from deploy.hosts.remote import Commands, Remote, RemoteCommandFailed
from deploy.hosts.snapshot import snapshot_of
from deploy.hosts.text_files import TextFile
from deploy.onboard.gateway.gateway_places import GATEWAY_PLACES as PLACES
from deploy.onboard.removal.traces import CERTBOT_FILES

ACME_PACKAGES = ("certbot",)
# By what certbot knows the authority's server: what Debian trusts, or the operator's file.
TRUSTED, OWN_TRUST = "/etc/ssl/certs/ca-certificates.crt", str(PLACES.acme / "authority.pem")
CERTBOT_DROP_IN = "/etc/systemd/system/certbot.service.d/50-boardllama.conf"
# The link by which systemd begins the timer of renewals.
TIMER = "/etc/systemd/system/timers.target.wants/certbot.timer"
# The hash of what certbot was asked for. It is written after certbot has got it.
ASKED = str(PLACES.acme / "asked")
CHAIN, SERVED = str(PLACES.lineage / "fullchain.pem"), str(PLACES.acme_served)
ACME_TEXTS = (CERTBOT_DROP_IN, TIMER, ASKED, CHAIN, SERVED, RENEWAL)
# Seconds. certbot itself waits 90 for an authority that looks at the names.
DEADLINE = 180
SERVE = f"python3 -IS {PLACES.programs}/boardllama-gateway certificate"
# How lines of certbot begin that do not say what went wrong.
NOISE = ("Saving debug log", "Ask for help", "Requesting", "Renewing", "Account registered", "Hint:", "- - -")


def trust_files(settings: GatewaySettings) -> tuple[TextFile, ...]:
    """By which certificates certbot knows the authority's server, told to the package's renewals by a variable.

    None for a gateway whose certificate is not by ACME.
    """
    if settings.gateway_tls != "acme":
        return ()
    variable = f"[Service]\nEnvironment=REQUESTS_CA_BUNDLE={trusted_file(settings)}\n"
    own = settings.gateway_acme_ca
    files = (TextFile(OWN_TRUST, Path(own).expanduser().read_text()),) if own else ()
    return (*files, TextFile(CERTBOT_DROP_IN, variable))


def trusted_file(settings: GatewaySettings) -> str:
    """The file with these certificates, on the gateway."""
    return OWN_TRUST if settings.gateway_acme_ca else TRUSTED


def certbot_words(settings: GatewaySettings, names: list[str]) -> list[str]:
    """The command that asks for the certificate, and that renewals repeat."""
    email = settings.gateway_acme_email
    return [
        *("certbot", "certonly", "--non-interactive", "--agree-tos", "--server", settings.gateway_acme_url),
        *(("--email", email, "--no-eff-email") if email else ("--register-unsafely-without-email",)),
        *("--standalone", "--preferred-challenges", "http"),
        *("--http-01-address", LOOPBACK, "--http-01-port", str(PLACES.certbot_port)),
        *("--cert-name", PLACES.lineage.name, "--renew-with-new-domains", "--force-renewal", "--deploy-hook", SERVE),
        *(word for name in names for word in ("-d", name)),
    ]


def asked_hash(settings: GatewaySettings, names: list[str]) -> str:
    """By which a deploy knows whether certbot was asked for the same before."""
    return sha256_hex(json.dumps([trusted_file(settings), *certbot_words(settings, names)]).encode())


@operation()
def hold_certificate(settings: GatewaySettings, names: list[str]) -> Commands:
    """Has the gateway serve a certificate by ACME, or hold none. No change when it serves what certbot got last."""
    texts = {path: text.content for path, text in snapshot_of(host, *ACME_TEXTS).texts.items()}
    if settings.gateway_tls != "acme":
        if CERTBOT_DROP_IN in texts:
            yield TargetStep(end_acme)
        return
    damage = damage_there(settings, texts.get(RENEWAL, b""))
    if damage or CHAIN not in texts or texts.get(ASKED, b"").decode().strip() != asked_hash(settings, names):
        yield TargetStep(partial(ask_authority, settings=settings, names=names, damage=damage))
        return
    if texts.get(SERVED, b"").decode().strip() != sha256_hex(texts[CHAIN]):
        yield TargetStep(bring_into_haproxy)
    if TIMER not in texts:
        yield TargetStep(begin_renewals)


def damage_there(settings: GatewaySettings, renewal: bytes) -> str:
    """Why certbot on the gateway could not renew the certificate; "" when it can, or has none. `renewal`: its file."""
    url = settings.gateway_acme_url
    return what_is_damaged(host.get_fact(CertbotFiles, url=url), renewal, url, SERVE)


def ask_authority(remote: Remote, settings: GatewaySettings, names: list[str], damage: str = "") -> None:
    """Has certbot get the certificate, and haproxy serve it. Raises BoardllamaError with what certbot says.

    `damage`: why certbot cannot go on with what it has. All of that is removed first: haproxy has a copy of its own.
    """
    url, words = settings.gateway_acme_url, certbot_words(settings, names)
    if damage:
        remote.say(
            f"certbot cannot renew the certificate: {damage}. It asks anew; haproxy serves the old one until then"
        )
        remote.run(forget_command(url))
    begin_renewals(remote)
    remote.say(f"asks {url} for a certificate: {DEADLINE} s at most")
    ask = f"REQUESTS_CA_BUNDLE={trusted_file(settings)} timeout -k 10 {DEADLINE} {shell_words(words)} >&2"
    try:
        remote.run(ask)
    except RemoteCommandFailed as error:
        raise BoardllamaError(
            f"gateway_acme_url is {url}: no certificate came from there, so the gateway serves the one that it had. "
            f"certbot says: {what_went_wrong(str(error))}. Mend that, have port 80 of the gateway reached by each of "
            "its names, then run again"
        ) from None
    bring_into_haproxy(remote)
    remote.run(f"echo {asked_hash(settings, names)} >{ASKED}")


def what_went_wrong(said: str) -> str:
    """What certbot says of it, in one line."""
    lines = [line.strip() for line in said.splitlines()]
    told = " ".join(line for line in lines if not line.startswith(NOISE))
    return " ".join(told.split()).rstrip(".") or "nothing in time"


def begin_renewals(remote: Remote) -> None:
    """Has the package's timer renew, twice a day, with the trust that it is told. Raises RemoteCommandFailed."""
    remote.run("systemctl daemon-reload && systemctl enable -q --now certbot.timer")


def bring_into_haproxy(remote: Remote) -> None:
    """Has haproxy serve what certbot got. Raises RemoteCommandFailed."""
    remote.run(f"mkdir -p {PLACES.acme} && {SERVE}")


def end_acme(remote: Remote) -> None:
    """Has certbot renew the certificate no more, and trust what it trusts by itself. Raises RemoteCommandFailed."""
    remote.run(f"rm -rf {' '.join(CERTBOT_FILES)} {PLACES.acme} {CERTBOT_DROP_IN}; systemctl daemon-reload")
