"""Certificates of a test's own authority, good and bad ones, for servers on the loopback."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Authority:
    """Signs itself what it shows: one certificate, of `names`, good for a year from `days` days after now."""

    folder: Path
    names: tuple[str, ...] = ("127.0.0.1",)
    days: int = -1

    @property
    def pem(self) -> Path:
        """For whoever should trust it."""
        return self.folder / "authority.pem"

    def context(self) -> ssl.SSLContext:
        """For a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"authority in {self.folder.name}"[:64])])
        begin = datetime.now(timezone.utc) + timedelta(days=self.days)
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=365))
        names = [x509.IPAddress(ipaddress.ip_address(name)) for name in self.names]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.pem.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        private = self.folder / "key.pem"
        form = serialization.PrivateFormat.PKCS8
        private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem, private)
        return context
