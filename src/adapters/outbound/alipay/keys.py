"""The keys of an Alipay application, read from a credential or refused by name."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.x509 import Certificate

from adapters.channel_wire import private_key, public_key, unsealed, unusable
from adapters.outbound.alipay import certificates
from application.ports.world import Vault, account_context
from domain.channels import ChannelAccount, Credential
from domain.errors import ChannelUnavailable, InvalidRequest

_ID = re.compile(r"[0-9A-Za-z_-]{1,32}")


@dataclass(frozen=True, slots=True)
class Certified:
    """Certificate mode: who we say that we are, and what we hold of Alipay to believe it."""

    app_serial: str
    root_serial: str
    roots: tuple[Certificate, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AppKeys:
    """``app`` signs what we send, ``alipay`` verifies what Alipay sends to this application.

    In key mode ``certified`` is None and Alipay has one key, under the serial "". In certificate mode it has one for
    each platform certificate, under its SN: two during a rotation.
    """

    app: RSAPrivateKey
    alipay: Mapping[str, RSAPublicKey]
    certified: Certified | None = None


def load(vault: Vault, credential: Credential, payee: str) -> AppKeys:
    """Raises InvalidRequest, whose code names what cannot be used. Takes about 0.1 s of CPU.

    An ``app_certificate`` in the credential's public part makes it certificate mode: ``alipay_certificate`` (one PEM
    or several, intermediate ones included) and ``alipay_root_certificate`` then stand for ``alipay_public_key``.
    """
    if not _ID.fullmatch(credential.app_id):
        raise InvalidRequest("not an Alipay app id", code="app_id_invalid", pointer="/app_id")
    if not _ID.fullmatch(payee):
        raise InvalidRequest("not an Alipay seller id", code="payee_invalid", pointer="/payee")
    app = private_key(unsealed(vault, credential), "app_private_key")
    if credential.public.get("app_certificate"):
        return _certified(app, credential.public)
    alipay = public_key(credential.public, "alipay_public_key")
    if alipay.public_numbers() == app.public_key().public_numbers():
        # The console shows the application's own public key beside Alipay's, and they look alike.
        raise unusable("alipay_public_key", "this is the application's own public key, not Alipay's")
    return AppKeys(app, {"": alipay})


def app_auth_token(vault: Vault, account: ChannelAccount) -> str | None:
    """What a merchant authorised a service provider with, from the account's sealed part; None where it has none.

    Raises ChannelUnavailable for one that does not open: nothing has been sent, and it is our fault.
    """
    if not account.sealed:
        return None
    try:
        content = json.loads(vault.open(account_context(account.id), account.sealed))
        token = content.get("app_auth_token") if isinstance(content, dict) else 0
    except ValueError as error:
        raise ChannelUnavailable("the account's sealed part does not open", code="account_unreadable") from error
    if token is not None and not (isinstance(token, str) and token):
        raise ChannelUnavailable("the account's app_auth_token is not a text", code="account_unreadable")
    return token


def _certified(app: RSAPrivateKey, public: Mapping[str, str]) -> AppKeys:
    own = certificates.leaves(_read(public, "app_certificate"))[0]
    if _key(own, "app_certificate").public_numbers() != app.public_key().public_numbers():
        raise unusable("app_certificate", "it certifies another key than app_private_key")
    roots, platform = _read(public, "alipay_root_certificate"), _read(public, "alipay_certificate")
    alipay = {}
    for leaf in certificates.leaves(platform):
        if not certificates.trusted(leaf, platform, roots):
            raise unusable("alipay_certificate", "no chain leads from it to the root certificate")
        alipay[certificates.serial(leaf)] = _key(leaf, "alipay_certificate")
    if certificates.serial(own) in alipay:
        raise unusable("alipay_certificate", "this is the application's own certificate, not Alipay's")
    return AppKeys(app, alipay, Certified(certificates.serial(own), certificates.root_serial(roots), tuple(roots)))


def _read(public: Mapping[str, str], name: str) -> list[Certificate]:
    try:
        return certificates.read(public.get(name) or "")
    except (ValueError, TypeError) as error:
        raise unusable(name, "not a certificate in PEM") from error


def _key(certificate: Certificate, name: str) -> RSAPublicKey:
    try:
        return certificates.rsa_key(certificate)
    except ValueError as error:
        raise unusable(name, str(error)) from error
