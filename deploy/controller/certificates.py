"""Certificates by an authority of this controller's own, for servers whose clients get the authority's certificate.

The authority is made on first use, beside the keys that sign images and channels. Each server's certificate and key lie
there, too: a deploy that changes nothing brings nothing, and one in its last months makes a new one.
"""

import ipaddress
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.controller.files import folder_lock
from deploy.controller.signing import keys_dir
from deploy.onboard.files import write_file

Key = ec.EllipticCurvePrivateKey
AUTHORITY, AUTHORITY_KEY = "gateway-ca.pem", "gateway-ca.key"
# An authority is for as long as a fleet may live: whoever trusts it has its file. Of a server's certificate the last
# days are for deploys, some of which may be months apart.
AUTHORITY_DAYS, SERVER_DAYS, LAST_DAYS = 20 * 365, 397, 120


def authority_file() -> Path:
    """The authority's certificate, for clients."""
    return keys_dir() / AUTHORITY


def server_certificate(owner: str, names: Collection[str]) -> bytes:
    """A certificate for these names and addresses, and its key (PEM): what was made for the owner before, or a new one.

    Raises OSError; ValueError for files that are no keys and certificates.
    """
    folder = keys_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder_lock(folder, "certificates of gateways"):
        authority, key = read_authority(folder)
        path = folder / f"gateway-{owner.replace('/', '-')}.pem"
        made = path.read_bytes() if path.exists() else b""
        if not made or not is_good(x509.load_pem_x509_certificate(made), authority, names):
            made = make_server_certificate(authority, key, names)
            write_file(path, made, 0o600)
    return made


def read_authority(folder: Path) -> tuple[x509.Certificate, Key]:
    """The authority, made unless it is there. The certificate gets its name last, so where it is the key is, too."""
    if not (folder / AUTHORITY).exists():
        key, name = new_key(), common_name("boardllama gateways")
        usage = key_usage(signs_certificates=True)
        builder = new_builder(name, name, key, AUTHORITY_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        made = builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())
        write_file(folder / AUTHORITY_KEY, private_pem(key), 0o600)
        write_file(folder / AUTHORITY, made.public_bytes(serialization.Encoding.PEM))
    private = serialization.load_pem_private_key((folder / AUTHORITY_KEY).read_bytes(), None)
    assert isinstance(private, Key)
    return x509.load_pem_x509_certificate((folder / AUTHORITY).read_bytes()), private


def make_server_certificate(authority: x509.Certificate, authority_key: Key, names: Collection[str]) -> bytes:
    """A new certificate with a new key, as PEM."""
    key = new_key()
    builder = new_builder(common_name("boardllama gateway"), authority.subject, key, SERVER_DAYS)
    extensions: dict[x509.ExtensionType, bool] = {
        x509.SubjectAlternativeName([alternative_name(name) for name in sorted(names)]): False,
        x509.BasicConstraints(ca=False, path_length=None): True,
        key_usage(signs_certificates=False): True,
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]): False,
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()): False,
    }
    for extension, critical in extensions.items():
        builder = builder.add_extension(extension, critical)
    made = builder.sign(authority_key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM) + private_pem(key)


def is_good(made: x509.Certificate, authority: x509.Certificate, names: Collection[str]) -> bool:
    """Whether a certificate is the authority's, is for all these names, and has more than its last days."""
    with suppress(ValueError, TypeError, InvalidSignature):
        made.verify_directly_issued_by(authority)
        own = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        left = made.not_valid_after_utc - datetime.now(timezone.utc)
        return left > timedelta(days=LAST_DAYS) and {alternative_name(name) for name in names} <= set(own)
    return False


def new_builder(name: x509.Name, issuer: x509.Name, key: Key, days: int) -> x509.CertificateBuilder:
    """A certificate from yesterday on: clocks differ."""
    now, public = datetime.now(timezone.utc), key.public_key()
    builder = x509.CertificateBuilder(issuer, name, public, x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=days))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: Key) -> bytes:
    """The key without a password: it lies in files of one user."""
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, none)


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def key_usage(signs_certificates: bool) -> x509.KeyUsage:
    """For an authority, or for a server."""
    signs, serves = signs_certificates, not signs_certificates
    return x509.KeyUsage(serves, False, False, False, False, signs, signs, False, False)


def alternative_name(name: str) -> x509.GeneralName:
    """A host's name, or its IP address."""
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)
