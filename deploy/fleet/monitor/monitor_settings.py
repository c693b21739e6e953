"""The settings of a monitor, with the rules that they obey together."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits
from typing import Any

import bcrypt
from pydantic import SecretStr, model_validator

from deploy.errors import shown
from deploy.onboard.server.config import is_local
from deploy.setting_fields import MonitorFields
from deploy.setting_rules import ADDRESS, EMAIL

USER = "fleet"
MAIL_SERVER = re.compile(r"[A-Za-z0-9.-]+:[1-9]\d{0,4}")
SHORTEST, LONGEST = 12, 72  # characters of a password: bcrypt reads 72 bytes
# Prometheus computes the hash of a password once, and remembers it: 0.05 s.
ROUNDS = 10
TO_BCRYPT = str.maketrans(f"{ascii_uppercase}{ascii_lowercase}{digits}+/", f"./{ascii_letters.swapcase()}{digits}")


class MonitorSettings(MonitorFields):
    """The settings of one monitor, and what follows from them."""

    @model_validator(mode="after")
    def _obeys_rules(self) -> "MonitorSettings":
        if found := [*self.address_problems(), *self.receiver_problems()]:
            raise ValueError("; ".join(found))
        return self

    def address_problems(self) -> Iterator[str]:
        """A sentence for each rule that the address and its password break."""
        try:
            local = is_local(self.monitor_host)
        except ValueError:
            yield f"monitor_host is {shown(self.monitor_host)}: must be an IP address of the monitor, or localhost"
            return
        secret, port = self.password, self.monitor_port
        if not local and not secret:
            yield (
                f"monitor_host is {shown(self.monitor_host)}, beyond loopback, and monitor_password is not set: set a "
                f"password, or leave 127.0.0.1 and look through `ssh -L {port}:localhost:{port}`"
            )
        if secret and not (SHORTEST <= len(secret.encode()) <= LONGEST and secret.isprintable()):
            yield f"monitor_password must be {SHORTEST} to {LONGEST} printable characters"

    def receiver_problems(self) -> Iterator[str]:
        """A sentence for each rule that the receivers of alerts break."""
        if self.monitor_webhook and not ADDRESS.holds(self.monitor_webhook):
            yield f"monitor_webhook is {shown(self.monitor_webhook)}: must be {ADDRESS.text}"
        if not self.monitor_email:
            return
        for name, value in (("monitor_email", self.monitor_email), ("monitor_email_from", self.monitor_email_from)):
            if wrong := [one for one in value.split(",") if not EMAIL.holds(one.strip())]:
                yield f"{name} holds {shown(wrong[0])}: must be {EMAIL.text}"
        if not MAIL_SERVER.fullmatch(self.monitor_mail_server):
            yield f"monitor_mail_server is {shown(self.monitor_mail_server)}: must be host:port, for monitor_email"
        if bool(self.monitor_mail_user) != bool(self.monitor_mail_password):
            yield "monitor_mail_user and monitor_mail_password go together: set both, or neither"

    @property
    def password(self) -> str:
        """The page's password; "" for none."""
        return self.monitor_password.get_secret_value() if self.monitor_password else ""

    def password_hash(self, host: str) -> str:
        """The bcrypt hash of the password. The salt comes from the host's name: a second deploy changes nothing."""
        salt = b64encode(hashlib.sha256(f"boardllama monitor {host}".encode()).digest()[:16]).decode()[:22]
        return bcrypt.hashpw(self.password.encode(), f"$2b${ROUNDS}${salt.translate(TO_BCRYPT)}".encode()).decode()

    def receivers(self, mail_password_file: str) -> list[dict[str, Any]]:
        """Alertmanager's list of who is told; the first of them gets every alert."""
        told: dict[str, Any] = {"name": "fleet"}
        if self.monitor_webhook:
            told["webhook_configs"] = [{"url": self.monitor_webhook}]
        if self.monitor_email:
            told["email_configs"] = [self.email_config(mail_password_file)]
        return [told]

    def email_config(self, password_file: str) -> dict[str, Any]:
        """How Alertmanager sends an email."""
        login = {"auth_username": self.monitor_mail_user, "auth_password_file": password_file}
        return {
            "to": self.monitor_email,
            "from": self.monitor_email_from,
            "smarthost": self.monitor_mail_server,
            "send_resolved": True,
            **(login if self.monitor_mail_user else {}),
        }

    @property
    def secrets(self) -> dict[str, SecretStr]:
        """The secrets that lie in files of the monitor, by name."""
        found = {"page-password": self.monitor_password, "mail-password": self.monitor_mail_password}
        return {name: secret for name, secret in found.items() if secret}
