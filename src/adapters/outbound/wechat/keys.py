"""The keys of a WeChat Pay merchant or service provider: read from a credential or refused by name."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.x509 import load_pem_x509_certificates

from adapters.channel_wire import private_key, public_key, unsealed, unusable
from adapters.outbound.wechat.signatures import Signatures, Signer
from application.ports.world import Vault, account_context
from domain.channels import ChannelAccount, Credential
from domain.errors import InvalidRequest

_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


DOWNLOAD = "download"  # in ``platform_certificates``: fetch them, whatever else is configured


@dataclass(frozen=True, slots=True)
class MerchantKeys:
    """``merchant`` signs what we send under ``merchant_serial``; ``wechat`` verifies what WeChat Pay sends; ``apiv3``
    opens the content of notices and certificates; ``public_key_id`` tells WeChat Pay which of its keys we expect.

    ``downloads``: ``wechat`` is what was configured, and platform certificates are to be fetched besides.
    """

    merchant: RSAPrivateKey
    merchant_serial: str
    public_key_id: str | None
    wechat: Signatures
    apiv3: str = field(repr=False)
    app_secret: str | None = field(default=None, repr=False)
    downloads: bool = False


def load(vault: Vault, credential: Credential, mchid: str) -> MerchantKeys:
    """Raises InvalidRequest, whose code names what cannot be used. Takes about 0.1 s of CPU.

    WeChat Pay is verified by its public key (``public_key``, ``public_key_id``), by platform certificates
    (``platform_certificates``: PEM, or the word "download"), or by both while a merchant moves over. Certificates
    change by themselves, so a merchant without a public key always fetches them, and what is configured is its start.
    """
    public, sealed = credential.public, unsealed(vault, credential)
    identifier({"app_id": credential.app_id}, "app_id")
    identifier({"payee": mchid}, "payee")
    merchant = private_key(sealed, "mch_private_key")
    certificates = public.get("platform_certificates", "").strip()
    by_certificate = bool(certificates) and not public.get("public_key") and not public.get("public_key_id")
    public_key_id, signers = (None, {}) if by_certificate else _public_key(public, merchant)
    if certificates != DOWNLOAD:
        signers |= read_certificates(certificates)
    return MerchantKeys(
        merchant=merchant,
        merchant_serial=identifier(public, "mch_serial"),
        public_key_id=public_key_id,
        wechat=Signatures(signers),
        apiv3=_apiv3_key(sealed),
        app_secret=_app_secret(sealed),
        downloads=by_certificate or certificates == DOWNLOAD,
    )


def account_secret(vault: Vault, account: ChannelAccount) -> str | None:
    """``app_secret`` of a sub-merchant's own app, sealed in its account. Raises InvalidRequest if it does not open."""
    if not account.sealed:
        return None
    try:
        content = json.loads(vault.open(account_context(account.id), account.sealed))
    except ValueError as error:
        raise InvalidRequest("the account's secrets do not open", code="credential_unreadable") from error
    return _app_secret(content if isinstance(content, dict) else {})


def _public_key(public: Mapping[str, str], merchant: RSAPrivateKey) -> tuple[str, dict[str, Signer]]:
    wechat = public_key(public, "public_key")
    if wechat.public_numbers() == merchant.public_key().public_numbers():
        raise unusable("public_key", "this is the merchant's own public key, not WeChat Pay's")
    public_key_id = identifier(public, "public_key_id")
    return public_key_id, {public_key_id: Signer(wechat)}


def read_certificates(pem: str) -> dict[str, Signer]:
    """Platform certificates by serial; none in an empty text. Raises InvalidRequest."""
    name = "platform_certificates"
    if not pem:
        return {}
    try:
        certificates = load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise unusable(name, "not PEM certificates") from error
    signers: dict[str, Signer] = {}
    for certificate in certificates:
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise unusable(name, "not an RSA certificate")
        signers[f"{certificate.serial_number:X}"] = Signer(
            key, certificate.not_valid_before_utc, certificate.not_valid_after_utc
        )
    return signers


def _apiv3_key(sealed: Mapping[str, object]) -> str:
    key = sealed.get("apiv3_key")
    if not isinstance(key, str) or not key.isascii() or len(key) != 32:
        raise unusable("apiv3_key", "it has 32 ASCII characters")
    return key


def _app_secret(sealed: Mapping[str, object]) -> str | None:
    if sealed.get("app_secret") is None:
        return None
    return identifier(sealed, "app_secret")


def identifier(source: Mapping[str, object], name: str) -> str:
    """A text of letters and digits. Raises InvalidRequest."""
    # These go into paths and headers as they are.
    text = source.get(name)
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise unusable(name, "missing, or not letters and digits")
    return text
