"""Whether certbot can renew a gateway's certificate, by its files: certbot itself tells its log alone, twice a day.

Where it cannot read what it has, certbot (2.1, 4.0) either makes a second certificate beside it, as NAME-0001, which
haproxy would not follow, or fails each time that it is asked.
"""

import configparser
import re
import shlex
from urllib.parse import urlsplit

from pyinfra.api import FactBase

from deploy.hosts.addresses import LOOPBACK
from deploy.onboard.gateway.gateway_places import GATEWAY_PLACES as PLACES
from deploy.onboard.removal.traces import CERTBOT_FILES

FOLDER, NAME = PLACES.lineage.parent.parent, PLACES.lineage.name
RENEWAL = f"{FOLDER}/renewal/{NAME}.conf"
LIVE = {kind: f"{PLACES.lineage}/{kind}.pem" for kind in ("cert", "privkey", "chain", "fullchain")}
ACCOUNT_FILES = ("meta.json", "private_key.json", "regr.json")
# What CertbotFiles says of a path.
LINK, FILE, EMPTY = "link", "file", "empty"


def accounts_of(url: str) -> str:
    """Where certbot keeps its accounts at the authority of that directory."""
    parts = urlsplit(url)
    return f"{FOLDER}/accounts/{parts.netloc}{parts.path}"


class CertbotFiles(FactBase[dict[str, str]]):
    """certbot's files of the certificate and of accounts, links followed: {"/etc/…/privkey.pem": "link"}."""

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def command(self, url: str) -> str:
        kinds = rf"-size 0 -printf '{EMPTY} %p\n' -o -xtype l -printf '{LINK} %p\n' -o -printf '{FILE} %p\n'"
        places = f"{' '.join(CERTBOT_FILES)} {shlex.quote(accounts_of(url))}"
        return f"find -L {places} -type f \\( {kinds} \\) 2>/dev/null; true"

    def process(self, output: list[str]) -> dict[str, str]:
        rows = [line.split(" ", 1) for line in output]
        return {path: kind for kind, path in rows}


def what_is_damaged(found: dict[str, str], renewal: bytes, url: str, hook: str) -> str:
    """Why certbot could not renew the certificate; "" when it can, or has none. `renewal`: the content of RENEWAL.

    `hook`: what certbot runs with a new certificate.
    """
    accounts = accounts_of(url)
    own = {path for path in found if not path.startswith(f"{accounts}/")}
    if not own:
        return ""
    if again := re.search(rf"{NAME}-\d+", " ".join(sorted(own))):
        return f"it has a second one, {again[0]}, which nobody serves"
    if found.get(RENEWAL) != FILE:
        return f"{RENEWAL} {state_of(found, RENEWAL)}"
    told = told_in(renewal)
    for key, value in wanted_in_renewal(url, hook).items():
        if told.get(key) != value:
            return f"{RENEWAL} has {told.get(key) or 'nothing'} for {key}, where it needs {value}"
    for path in LIVE.values():
        if found.get(path) != LINK:
            return f"{path} {'is no link' if found.get(path) == FILE else state_of(found, path)}"
    files = [f"{accounts}/{told.get('account', '')}/{name}" for name in ACCOUNT_FILES]
    return next((f"{path} {state_of(found, path)}" for path in files if found.get(path, EMPTY) == EMPTY), "")


def state_of(found: dict[str, str], path: str) -> str:
    """What is wrong with a file that is to have content."""
    return "is empty" if path in found else "is not there"


def told_in(renewal: bytes) -> dict[str, str]:
    """The values of RENEWAL by their keys; none of a file that has another form."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(f"[files]\n{renewal.decode(errors='replace')}")
    except configparser.Error:
        return {}
    return {key: value.strip("\"'") for part in parser.values() for key, value in part.items()}


def wanted_in_renewal(url: str, hook: str) -> dict[str, str]:
    """What RENEWAL must say, so that a renewal asks whom a deploy has asked, its way, and haproxy gets the answer."""
    port = str(PLACES.certbot_port)
    asked = {"server": url, "authenticator": "standalone", "http01_address": LOOPBACK, "http01_port": port}
    return {**LIVE, **asked, "renew_hook": hook}


def forget_command(url: str) -> str:
    """Removes all that certbot has of the certificate, and accounts whose files are empty, for which it would fail."""
    accounts = shlex.quote(accounts_of(url))
    empty = rf"find -L {accounts} -name '*.json' -size 0 -printf '%h\0' 2>/dev/null | xargs -0r rm -rf"
    return f"rm -rf {' '.join(CERTBOT_FILES)}; {empty}"
