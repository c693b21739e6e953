"""What a deploy finds wrong with certbot's files of a gateway's certificate, and removes before it asks anew."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.fleet.gateway.acme import SERVE
from deploy.fleet.gateway.certbot_files import LIVE, RENEWAL, CertbotFiles, forget_command, what_is_damaged

URL, ACCOUNT = "https://acme.example.org:14000/dir", "a47d21efd0f1424c299f6e7da0008ffe"
# As certbot 2.1 and 4.0 write it.
CONF = f"""# renew_before_expiry = 30 days
version = 2.1.0
archive_dir = /etc/letsencrypt/archive/boardllama-gateway
cert = /etc/letsencrypt/live/boardllama-gateway/cert.pem
privkey = /etc/letsencrypt/live/boardllama-gateway/privkey.pem
chain = /etc/letsencrypt/live/boardllama-gateway/chain.pem
fullchain = /etc/letsencrypt/live/boardllama-gateway/fullchain.pem

# Options used in the renewal process
[renewalparams]
account = {ACCOUNT}
pref_challs = http-01,
http01_port = 11431
http01_address = 127.0.0.1
server = {URL}
authenticator = standalone
renew_hook = "{SERVE}"
key_type = ecdsa
"""


class Certbot:
    """Its folder, below one of a test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.renewal, self.live = self.at(RENEWAL), self.at(LIVE["cert"]).parent
        self.archive = self.at("/etc/letsencrypt/archive/boardllama-gateway")
        self.account = self.at(f"/etc/letsencrypt/accounts/acme.example.org:14000/dir/{ACCOUNT}")
        for folder in (self.renewal.parent, self.live, self.archive, self.account):
            folder.mkdir(parents=True)

    def at(self, path: str) -> Path:
        """An absolute path, below the folder."""
        return self.root / path.lstrip("/")

    def get(self) -> None:
        """Leaves what certbot does with its first certificate."""
        self.renewal.write_text(CONF)
        (self.live / "README").write_text("of certbot")
        for kind in LIVE:
            (self.archive / f"{kind}1.pem").write_text(kind)
            (self.live / f"{kind}.pem").symlink_to(f"../../archive/boardllama-gateway/{kind}1.pem")
        for name in ("meta.json", "private_key.json", "regr.json"):
            (self.account / name).write_text("{}")

    def sh(self, command: str) -> list[str]:
        """What a command on the gateway prints, with its paths below the folder."""
        moved = command.replace("/etc/letsencrypt", f"{self.root}/etc/letsencrypt")
        said = subprocess.run(["sh", "-c", moved], stdout=subprocess.PIPE, text=True, check=True).stdout
        return said.replace(str(self.root), "").splitlines()

    def damage(self) -> str:
        """What a deploy finds."""
        found = CertbotFiles().process(self.sh(CertbotFiles().command(URL)))
        text = self.renewal.read_bytes() if self.renewal.exists() else b""
        return what_is_damaged(found, text, URL, SERVE)


@pytest.fixture
def certbot(tmp_path: Path) -> Certbot:
    """One that has a certificate."""
    made = Certbot(tmp_path)
    made.get()
    return made


def links_become_files(certbot: Certbot) -> None:
    """As a backup that follows links."""
    for path in certbot.live.glob("*.pem"):
        text = path.read_text()
        path.unlink()
        path.write_text(text)


def second(certbot: Certbot) -> None:
    """As certbot does when it cannot read its file."""
    shutil.copy(certbot.renewal, certbot.renewal.with_name("boardllama-gateway-0001.conf"))


def say(old: str, new: str) -> Callable[[Certbot], object]:
    """Another word in certbot's file."""
    return lambda certbot: certbot.renewal.write_text(CONF.replace(old, new))


DAMAGES: list[tuple[Callable[[Certbot], object], str]] = [
    (lambda one: one.renewal.unlink(), f"{RENEWAL} is not there"),
    (lambda one: one.renewal.write_text(""), f"{RENEWAL} is empty"),
    (lambda one: one.renewal.write_bytes(b"\xdc\x00garbage"), f"{RENEWAL} has nothing for cert, where it needs /etc/"),
    (say(CONF[CONF.index("# Options") :], ""), f"{RENEWAL} has nothing for server, where it needs {URL}"),
    (say(URL, "https://elsewhere/dir"), f"{RENEWAL} has https://elsewhere/dir for server, where it needs {URL}"),
    (say("renew_hook", "hook"), f"{RENEWAL} has nothing for renew_hook, where it needs python3"),
    (lambda one: shutil.rmtree(one.live), f"{LIVE['cert']} is not there"),
    (lambda one: shutil.rmtree(one.archive), f"{LIVE['cert']} is not there"),
    (lambda one: (one.archive / "privkey1.pem").write_text(""), f"{LIVE['privkey']} is empty"),
    (links_become_files, f"{LIVE['cert']} is no link"),
    (second, "it has a second one, boardllama-gateway-0001, which nobody serves"),
    (lambda one: shutil.rmtree(one.account), f"dir/{ACCOUNT}/meta.json is not there"),
    (lambda one: (one.account / "private_key.json").write_text(""), f"dir/{ACCOUNT}/private_key.json is empty"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_what_certbot_could_not_renew_is_found_and_nothing_of_it_is_left_to_stumble_over(
    certbot: Certbot, damage: Callable[[Certbot], object], said: str
) -> None:
    assert certbot.damage() == ""
    damage(certbot)
    assert said in certbot.damage()
    certbot.sh(forget_command(URL))
    assert certbot.damage() == ""
    left = [path for path in certbot.root.rglob("*") if not path.is_dir()]
    assert all(path.parent == certbot.account and path.stat().st_size for path in left), left


def test_nothing_is_wrong_where_there_is_no_certificate_yet(tmp_path: Path) -> None:
    made = Certbot(tmp_path)
    assert made.damage() == ""
    made.sh(forget_command(URL))
    shutil.rmtree(tmp_path / "etc")
    assert made.damage() == ""
    made.sh(forget_command(URL))


def test_certificates_and_accounts_of_others_stay(certbot: Certbot) -> None:
    """Also of a name that begins as ours does."""
    others = [
        certbot.renewal.with_name("boardllama-gateway-east.conf"),
        certbot.live.with_name("other") / "cert.pem",
        certbot.account.parent.parent.with_name("elsewhere") / "dir/1/regr.json",
    ]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert certbot.damage() == ""
    certbot.sh(forget_command(URL))
    assert all(path.exists() for path in others) and not certbot.renewal.exists()


def test_an_account_whose_files_are_empty_goes_too_since_certbot_would_fail_for_it(certbot: Certbot) -> None:
    (certbot.account / "regr.json").write_text("")
    certbot.sh(forget_command(URL))
    assert not certbot.account.exists() and certbot.account.parent.exists()
