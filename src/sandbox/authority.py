"""Alipay's certificate mode (支付宝「公钥证书」): its root, the authority below it, platform and app certificates."""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sandbox.keys import kept_key, kept_text, public_key

Which = Literal["current", "next"]
_RSA = "1.2.840.113549.1.1"
_ROOT, _AUTHORITY = "Ant Financial Certification Authority R1", "Ant Financial Certification Authority Class 2 R1"
_PLATFORM = "支付宝(中国)网络技术有限公司"


def serial(certificate: x509.Certificate) -> str:
    """The SN that goes over the wire: MD5 of the issuer's parts from last to first and the decimal serial number."""
    parts = [f"{part.rfc4514_attribute_name}={part.value!s}" for part in certificate.issuer]
    plain = ",".join(reversed(parts)) + str(certificate.serial_number)
    return hashlib.md5(plain.encode(), usedforsecurity=False).hexdigest()


def read(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


class Authority:
    """Who vouches for whom. Everything is made when it is first wanted, and kept in the directory."""

    def __init__(self, directory: Path | None, platform: rsa.RSAPrivateKey) -> None:
        self._directory, self._platform = directory, platform
        self._made: dict[str, str] = {}

    @cached_property
    def roots_pem(self) -> str:
        """The root file: as the real one it has certificates that RSA clients must pass over."""
        return self._kept("root", lambda: _issue(_ROOT, _ROOT, self._root_key, self._root_key)) + self._kept(
            "root_e1", _elliptic
        )

    @cached_property
    def authority_pem(self) -> str:
        return self._kept("authority", lambda: _issue(_AUTHORITY, _ROOT, self._authority_key, self._root_key))

    def platform_pem(self, which: Which) -> str:
        """A platform certificate and the one above it, in one file."""
        key = self.platform_key(which)
        own = self._kept(f"platform_{which}", lambda: _issue(_PLATFORM, _AUTHORITY, key, self._authority_key))
        return own + self.authority_pem

    def platform_key(self, which: Which) -> rsa.RSAPrivateKey:
        return self._platform if which == "current" else self._next_key

    @cached_property
    def root_serial(self) -> str:
        found = x509.load_pem_x509_certificates(self.roots_pem.encode())
        return "_".join(serial(one) for one in found if one.signature_algorithm_oid.dotted_string.startswith(_RSA))

    def platform_serial(self, which: Which) -> str:
        return serial(read(self.platform_pem(which)))

    def certify(self, app_id: str, public: str) -> str:
        """An application's certificate over its public key. Raises ValueError for text that is no key."""
        return _issue(app_id, _AUTHORITY, public_key(public), self._authority_key)

    def content(self, platform_serial: str) -> str | None:
        """What alipay.open.app.alipaycert.download hands out for an SN."""
        both: tuple[Which, ...] = ("current", "next")
        for which in both:
            if self.platform_serial(which) == platform_serial:
                return base64.b64encode(self.platform_pem(which).encode()).decode()
        return None

    @cached_property
    def _root_key(self) -> rsa.RSAPrivateKey:
        return kept_key(self._directory, "alipay_root")

    @cached_property
    def _authority_key(self) -> rsa.RSAPrivateKey:
        return kept_key(self._directory, "alipay_authority")

    @cached_property
    def _next_key(self) -> rsa.RSAPrivateKey:
        return kept_key(self._directory, "alipay_next")

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        if name not in self._made:
            self._made[name] = kept_text(self._directory, f"alipay_{name}_certificate.pem", make)
        return self._made[name]


def _name(common: str) -> x509.Name:
    parts = [(NameOID.COUNTRY_NAME, "CN"), (NameOID.ORGANIZATION_NAME, "Ant Financial")]
    parts += [(NameOID.ORGANIZATIONAL_UNIT_NAME, "Certification Authority"), (NameOID.COMMON_NAME, common)]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def _draft(subject: str, issuer: str) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=5 * 365))
    )


def _issue(subject: str, issuer: str, key: rsa.RSAPrivateKey | rsa.RSAPublicKey, signer: rsa.RSAPrivateKey) -> str:
    public = key.public_key() if isinstance(key, rsa.RSAPrivateKey) else key
    return _pem(_draft(subject, issuer).public_key(public).sign(signer, SHA256()))


def _elliptic() -> str:
    key, name = ec.generate_private_key(ec.SECP256R1()), "Ant Financial Certification Authority E1"
    return _pem(_draft(name, name).public_key(key.public_key()).sign(key, SHA256()))


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
