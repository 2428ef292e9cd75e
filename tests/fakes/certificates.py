"""Certificates made on the spot: an authority, and what it signs."""

import datetime as dt
import functools
import ipaddress
import ssl
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Signs certificates; `pem` is its own.

    A `bare` one is as people make them with a few commands of OpenSSL: its certificates have only what nobody works
    without. One that stands `under` another is signed by that.
    """

    def __init__(self, *, bare: bool = False, under: "Authority | None" = None) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._bare = bare
        name = _name("Test authority" if under is None else "Test authority below")
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name if under is None else under._certificate.subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 10 * DAY)
            .not_valid_after(NOW + 10 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        )
        if not bare:
            certificate = self._described(certificate, under)
        self._certificate = certificate.sign(self._key if under is None else under._key, hashes.SHA256())
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)

    def _described(
        self, certificate: x509.CertificateBuilder, under: "Authority | None"
    ) -> x509.CertificateBuilder:
        if under is not None:
            certificate = certificate.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(under._key.public_key()), critical=False
            )
        return certificate.add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        ).add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)

    def sign(self, host: str, *, days: int = 5, client: bool = False) -> bytes:
        """Return a certificate and its key as PEM; negative days make it expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            alternative = x509.DNSName(host)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(host))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 9 * DAY)
            .not_valid_after(NOW + days * DAY)
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        )
        if not self._bare:
            certificate = (
                certificate.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
                .add_extension(
                    x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
                )
            )
        signed = certificate.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@functools.cache
def authority() -> Authority:
    return Authority()


def server_context(identity: bytes, *, client_authority: bytes = b"") -> ssl.SSLContext:
    """Return the TLS settings of a server with this certificate; with an authority, clients must show one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(identity)
        file.flush()
        context.load_cert_chain(file.name)
    if client_authority:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=client_authority.decode())
    return context
