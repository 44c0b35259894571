"""A certificate authority of the tests, in the form of Amazon's: a root, an issuer that it vouches for, and a signer of SNS."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from .keys import RSA

ISSUER_URL = "http://crt.r2m01.amazontrust.com/r2m01.cer"
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """A root and its issuer; another one is another authority of the same names."""

    def __init__(self) -> None:
        self._root_key, self._issuer_key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
        self.root = self._ca("Amazon Root CA 1", self._root_key, "Amazon Root CA 1", self._root_key)
        self.issuer = self._ca("Amazon RSA 2048 M01", self._issuer_key, "Amazon Root CA 1", self._root_key)

    def _ca(
        self, name: str, key: EllipticCurvePrivateKey, by: str, signer: EllipticCurvePrivateKey
    ) -> x509.Certificate:
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        return (
            x509.CertificateBuilder(_name(by), _name(name), key.public_key(), 7, SINCE, SINCE + timedelta(days=9000))
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .sign(signer, SHA256())
        )

    @property
    def issuer_der(self) -> bytes:
        """The issuer, as it is published."""
        return self.issuer.public_bytes(Encoding.DER)

    def signer(self, name: str = "sns.amazonaws.com", issuer_url: str = ISSUER_URL, days: int = 390) -> str:
        """Return a certificate of the test key, as SNS publishes its own."""
        access = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(issuer_url)
        )
        issuer = self._issuer_key
        built = (
            x509.CertificateBuilder(
                self.issuer.subject, _name(name), RSA.public_key(), 9, SINCE, SINCE + timedelta(days=days)
            )
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
            .add_extension(x509.AuthorityInformationAccess([access]), critical=False)
            .sign(issuer, SHA256())
        )
        return built.public_bytes(Encoding.PEM).decode()


@functools.cache
def authority() -> Authority:
    """Return the authority that tests trust."""
    return Authority()
