"""The certificate that Amazon SNS signs with: of which name it is, and who vouches for it.

    1 the certificate     fetched from SNS; it comes alone
    2 its issuer          fetched from the address in it, which must be one of Amazon Trust Services
    3 the chain           to one of Amazon's roots in the machine's own store, for one of the names that SNS signs under

The issuer comes over plain HTTP, as RFC 5280 has it: the chain vouches for it. No root stands in this code.

Source: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html and
https://www.amazontrust.com/repository/ (read 2026-11-30).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from ...core.errors import Unavailable
from .key_addresses import ISSUER

ROOTS = (b"Amazon Root CA ", b"Starfield Services Root Certificate Authority")
"""Names of the roots that Amazon's certificates lead to."""


def roots_of(context: ssl.SSLContext) -> list[x509.Certificate]:
    """Return Amazon's roots among those that TLS connections trust."""
    trusted = context.get_ca_certs(binary_form=True)
    return [x509.load_der_x509_certificate(one) for one in trusted if any(name in one for name in ROOTS)]


def checked(
    content: bytes,
    names: Iterable[str],
    now: datetime,
    fetch: Callable[[str], bytes],
    roots: Callable[[], list[x509.Certificate]],
) -> str:
    """Return a fetched certificate as PEM, if it is one of SNS.

    Args:
        names: those that it may be of.
        fetch: returns the body at an address.

    Raises:
        Unavailable: it is no certificate, of another name, or nobody trusted vouches for it. What a request named may be
            wrong for a moment, so the platform posts again.
    """
    try:
        leaf = x509.load_pem_x509_certificate(content)
        store = Store(roots())
        issuer = x509.load_der_x509_certificate(fetch(_issuer_url(leaf)))
    except (ValueError, x509.ExtensionNotFound):
        raise Unavailable("the platform's published document is no certificate that can be checked") from None
    for name in names:
        verifier = PolicyBuilder().store(store).time(now).build_server_verifier(x509.DNSName(name))
        try:
            verifier.verify(leaf, [issuer])
        except VerificationError:
            continue
        return content.decode("ascii", "replace")
    raise Unavailable("the platform's certificate is of another name, or nobody trusted vouches for it")


def _issuer_url(leaf: x509.Certificate) -> str:
    access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    for one in access:
        if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS and ISSUER.fullmatch(
            one.access_location.value
        ):
            return str(one.access_location.value)
    raise ValueError
