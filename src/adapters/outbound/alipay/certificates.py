"""Alipay's certificate mode (公钥证书): serials as its documents compute them, and chains that end at its root."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import Certificate, NameAttribute

from adapters.channel_wire import BITS

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_RSA = "1.2.840.113549.1.1"  # PKCS#1: what counts in the root file, which has SM2 and elliptic curves too
_LONGEST_CHAIN = 5


def read(text: str) -> list[Certificate]:
    """The certificates of a PEM file in their order, whatever stands between them. Raises ValueError without any."""
    certificates = [x509.load_pem_x509_certificate(pem.encode()) for pem in _PEM.findall(text)]
    if not certificates:
        raise ValueError("no certificate")
    return certificates


def serial(certificate: Certificate) -> str:
    """The SN of one certificate: MD5 over its issuer, written backwards without blanks, and its decimal serial number.

    As the official SDKs do it (alipay-sdk for Node.js, antcertutil; AntCertificationUtil.getCertSN for Java).
    """
    issuer = ",".join(_written(attribute) for attribute in reversed(list(certificate.issuer)))
    return hashlib.md5(f"{issuer}{certificate.serial_number}".encode(), usedforsecurity=False).hexdigest()


def root_serial(roots: Sequence[Certificate]) -> str:
    """alipay_root_cert_sn: the SNs of the root file's RSA certificates, joined in their order."""
    return "_".join(serial(root) for root in roots if root.signature_algorithm_oid.dotted_string.startswith(_RSA))


def trusted(certificate: Certificate, between: Sequence[Certificate], roots: Sequence[Certificate]) -> bool:
    """Whether a chain of signatures leads from a certificate over intermediate ones to a root.

    Their dates are not looked at: what Alipay signed before an expiry is still what Alipay signed.
    """
    current = certificate
    for _ in range(_LONGEST_CHAIN):
        if any(_issued(current, root) for root in roots):
            return True
        above = next((other for other in between if other != current and _issued(current, other)), None)
        if above is None:
            return False
        current = above
    return False


def in_force(certificate: Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def leaves(certificates: Sequence[Certificate]) -> list[Certificate]:
    """Those of a bundle that issued none of the others: with them one signs, with the others one only vouches."""
    return [
        one for one in certificates if not any(other != one and other.issuer == one.subject for other in certificates)
    ]


def rsa_key(certificate: Certificate) -> RSAPublicKey:
    """Raises ValueError for a key of another kind, or one too short."""
    try:
        key = certificate.public_key()
    except UnsupportedAlgorithm as error:
        raise ValueError("not an RSA certificate") from error
    if not isinstance(key, RSAPublicKey) or key.key_size < BITS:
        raise ValueError(f"not an RSA certificate of at least {BITS} bits")
    return key


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _written(attribute: NameAttribute[str | bytes]) -> str:
    return f"{attribute.rfc4514_attribute_name}={attribute.value!s}"
