"""Certificates for tests: authorities, and what they issue; with any name, any dates, any use."""

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.identity.certificate import Certificate, certificate_of

DAY = timedelta(days=1)
BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


def a_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key; ``chain`` stands behind it in the file."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def known_as(self) -> Certificate:
        return certificate_of(self.certificate.public_bytes(Encoding.DER))

    @property
    def pem(self) -> bytes:
        return b"".join(each.public_bytes(Encoding.PEM) for each in (self.certificate, *self.chain))

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def put(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write both; return the files."""
        certificate, key = folder / f"{name}.crt", folder / f"{name}.pem"
        certificate.write_bytes(self.pem)
        key.write_bytes(self.key_pem)
        key.chmod(0o600)
        return certificate, key


@dataclass(frozen=True)
class Authority:
    """Issues certificates under a name."""

    name: str = "Test Authority"
    key: ec.EllipticCurvePrivateKey = field(default_factory=a_key, repr=False)

    @cached_property
    def certificate(self) -> x509.Certificate:
        return (
            _unsigned(named(self.name), named(self.name), self.key, -DAY, 3650 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        name: str | x509.Name,
        *,
        begins: timedelta = -DAY,
        ends: timedelta = 90 * DAY,
        uses: tuple[x509.ObjectIdentifier, ...] = BOTH,
        chain: tuple[x509.Certificate, ...] = (),
    ) -> Issued:
        """Return a certificate for this machine's address, from now + ``begins`` to now + ``ends``."""
        key = a_key()
        subject = named(name) if isinstance(name, str) else name
        builder = _unsigned(subject, named(self.name), key, begins, ends)
        certificate = (
            builder.add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
            )
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return Issued(certificate, key, chain)

    def trusted(self, shown: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """Return a client's context that trusts this authority alone, and shows a certificate."""
        context = ssl.create_default_context(cadata=self.pem.decode("ascii"))
        if shown is not None:
            context.load_cert_chain(*shown)
        return context


def of_version(authority: Authority, issued: Issued, version: int) -> bytes:
    """Return the certificate (DER) under another version, signed anew; X.509 knows 1, 2 and 3."""
    content = bytearray(issued.certificate.tbs_certificate_bytes)
    at = bytes(content).index(bytes.fromhex("a003020102"))
    content[at + 4] = version - 1
    signed = authority.key.sign(bytes(content), ec.ECDSA(hashes.SHA256()))
    return _tlv(0x30, bytes(content) + bytes.fromhex("300a06082a8648ce3d040302") + _tlv(3, b"\0" + signed))


def pem_of(der: bytes) -> bytes:
    """Return the bytes of a certificate as PEM."""
    return ssl.DER_cert_to_PEM_cert(der).encode("ascii")


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 0x80 else size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (length if size < 0x80 else bytes([0x80 | len(length)]) + length) + content


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: timedelta, ends: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )
