"""The channels' own keys, and the cryptography that both ends of the wires agree on."""

import base64
import binascii
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Platform:
    """A platform certificate of WeChat Pay and its key."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:040X}"

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


@dataclass(frozen=True)
class Keys:
    """What the channels sign with: Alipay's key, WeChat Pay's public-key pair and its older platform certificates.

    `wechat_next` are the certificates after the first, in the order they were issued.
    """

    alipay: rsa.RSAPrivateKey
    wechat: rsa.RSAPrivateKey
    wechat_key_id: str
    wechat_platform: rsa.RSAPrivateKey
    wechat_certificate: x509.Certificate
    directory: Path | None = None
    wechat_next: list[Platform] = field(default_factory=list)

    @property
    def wechat_serial(self) -> str:
        return self.wechat_platforms[0].serial

    @property
    def wechat_certificate_pem(self) -> str:
        return self.wechat_platforms[0].pem

    @property
    def wechat_platforms(self) -> list[Platform]:
        return [Platform(self.wechat_platform, self.wechat_certificate), *self.wechat_next]

    def issue_platform(self) -> Platform:
        """One more platform certificate."""
        issued = _platform(self.directory, len(self.wechat_platforms) + 1)
        self.wechat_next.append(issued)
        return issued


def load_or_make(directory: Path | None) -> Keys:
    """The keys in a directory, made on first use; without a directory they live as long as the process."""
    alipay, wechat, platform = kept_key(directory, "alipay"), kept_key(directory, "wechat"), _platform(directory, 1)
    key_id = kept_text(directory, "wechat_key_id", lambda: f"PUB_KEY_ID_01{secrets.randbelow(10**32):032d}")
    keys = Keys(alipay, wechat, key_id, platform.key, platform.certificate, directory)
    while directory and (directory / f"wechat_platform_{len(keys.wechat_platforms) + 1}_key.pem").exists():
        keys.issue_platform()
    return keys


def _platform(directory: Path | None, place: int) -> Platform:
    name = "wechat_platform" if place == 1 else f"wechat_platform_{place}"
    key = kept_key(directory, name)
    certificate = kept_text(directory, f"{name}_certificate.pem", lambda: _certificate(key))
    return Platform(key, x509.load_pem_x509_certificate(certificate.encode()))


def kept_key(directory: Path | None, name: str) -> rsa.RSAPrivateKey:
    """A key under its name in the directory, made on first use."""
    pem = kept_text(directory, f"{name}_key.pem", _new_key)
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _new_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def kept_text(directory: Path | None, name: str, make: Callable[[], str]) -> str:
    """A text under its name in the directory, made on first use; without a directory it is new."""
    if directory is None:
        return make()
    file = directory / name
    if not file.exists():
        # Written beside and renamed: a start that is cut short leaves no half key behind.
        draft = directory / f".{name}.new"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(make())
        draft.replace(file)
    return file.read_text()


def _certificate(key: rsa.RSAPrivateKey) -> str:
    def name(common: str, unit: str) -> x509.Name:
        parts = [(NameOID.COUNTRY_NAME, "CN"), (NameOID.ORGANIZATION_NAME, "Tenpay.com")]
        parts += [(NameOID.ORGANIZATIONAL_UNIT_NAME, unit), (NameOID.COMMON_NAME, common)]
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])

    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name("Tenpay.com sign", "MMPay"))
        .issuer_name(name("Tenpay.com Root CA", "Tenpay.com CA Center"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=5 * 365))
        .sign(key, SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def public_pem(key: rsa.RSAPrivateKey | rsa.RSAPublicKey) -> str:
    """The public half as PEM."""
    public = key.public_key() if isinstance(key, rsa.RSAPrivateKey) else key
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.PEM, form).decode()


@lru_cache(maxsize=256)
def public_key(text: str) -> rsa.RSAPublicKey:
    """Reads a merchant's key: PEM, a certificate's PEM, or the bare base64 that Alipay's console shows.

    Parsed once: loading a key costs a hundred times a verification. Raises ValueError for anything else.
    """
    text = text.strip()
    if "BEGIN CERTIFICATE" in text:
        key = x509.load_pem_x509_certificate(text.encode()).public_key()
    elif "BEGIN" in text:
        key = serialization.load_pem_public_key(text.encode())  # type: ignore[assignment]
    else:
        key = serialization.load_der_public_key(base64.b64decode("".join(text.split()), validate=True))  # type: ignore[assignment]
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA public key")  # noqa: TRY004 - the text is wrong, not its type
    return key


def sign(key: rsa.RSAPrivateKey, message: bytes) -> str:
    """RSA2 and WECHATPAY2-SHA256-RSA2048 are the same: PKCS#1 v1.5 over SHA-256, in base64."""
    return base64.b64encode(key.sign(message, PKCS1v15(), SHA256())).decode()


def verified(key: rsa.RSAPublicKey, message: bytes, signature: str) -> bool:
    """Whether the signature is over exactly this message."""
    try:
        key.verify(base64.b64decode(signature, validate=True), message, PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


# 敏感信息加解密: WeChat Pay's documents name SHA-1 for both parts of the padding.
_OAEP = OAEP(mgf=MGF1(SHA1()), algorithm=SHA1(), label=None)  # noqa: S303 - as the documents have it


def hide(key: rsa.RSAPublicKey, plain: str) -> str:
    """A sensitive field as it goes over WeChat Pay's wire."""
    return base64.b64encode(key.encrypt(plain.encode(), _OAEP)).decode()


def uncover(key: rsa.RSAPrivateKey, hidden: str) -> str | None:
    """What a sensitive field says, if it was meant for this key."""
    try:
        return key.decrypt(base64.b64decode(hidden, validate=True), _OAEP).decode()
    except (ValueError, binascii.Error):
        return None


def seal(apiv3_key: str, plain: str, associated_data: str) -> dict[str, str]:
    """A `resource` as WeChat Pay encrypts it; the nonce is twelve characters of text."""
    nonce = secrets.token_hex(6)
    box = AESGCM(apiv3_key.encode()).encrypt(nonce.encode(), plain.encode(), associated_data.encode())
    return {
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(box).decode(),
        "associated_data": associated_data,
        "nonce": nonce,
    }
