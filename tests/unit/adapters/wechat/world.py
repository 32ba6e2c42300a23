"""WeChat Pay in a few lines: its keys and a merchant's, answers and notices signed with them, and an adapter to ask."""

import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from adapters.outbound.wechat import WechatPay
from application.ports.world import account_context, credential_context
from domain.channels import Access, Channel, ChannelAccount, Credential, Method, Mode, Opening, RefundRequest
from domain.money import Money
from domain.numbers import channel_number
from tests.fakes.vault import FakeVault

GATEWAY = "https://wechat.invalid"
APP_ID, MCHID, MCH_SERIAL = "wx0000000000000001", "1900000001", "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
PUBLIC_KEY_ID = "PUB_KEY_ID_0119000000012026112300000000000001"
APIV3 = "0123456789abcdef0123456789ABCDEF"
NUMBER = "PTY01K0000000000000000000000AB"
REFUND_NUMBER = channel_number("01K0000000000000000000000B")
PROVIDER, SUB_MCHID, SUB_APP_ID = "1900000009", "1900000109", "wx0000000000000109"
PAGE, HOST = "https://open.invalid/connect/oauth2/authorize", "https://sns.invalid"
SERIAL = 0x0A1B2C3D4E5F60718293A4B5C6D7E8F901234567  # as a header it begins with a zero
SCHEME = "WECHATPAY2-SHA256-RSA2048"


@lru_cache
def key(name: str) -> rsa.RSAPrivateKey:
    """A key for each name, made once: it takes a while."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(name: str) -> str:
    return key(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(name: str) -> str:
    return key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@lru_cache
def certificate(serial: int = SERIAL, until: datetime = datetime(2126, 1, 1, tzinfo=UTC)) -> str:
    """A platform certificate, over the key called "platform". Valid in these tests' fixed time and in the real one."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tenpay.com sign")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key("platform").public_key())
        .serial_number(serial)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(until)
        .sign(key("platform"), SHA256())
    )
    return built.public_bytes(Encoding.PEM).decode()


def signed(
    body: bytes,
    *,
    at: datetime | None = None,
    by: str = "wechat",
    serial: str = PUBLIC_KEY_ID,
    **changes: str | None,
) -> dict[str, str]:
    """The headers of an answer or a notice; a change of None takes one away."""
    timestamp = str(int((at or datetime.now(UTC)).timestamp()))
    message = f"{timestamp}\nnonce\n".encode() + body + b"\n"
    headers: dict[str, str | None] = {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": "nonce",
        "Wechatpay-Serial": serial,
        "Wechatpay-Signature": base64.b64encode(key(by).sign(message, PKCS1v15(), SHA256())).decode(),
        "Wechatpay-Signature-Type": SCHEME,
    }
    headers |= {f"Wechatpay-{name.title().replace('_', '-')}": value for name, value in changes.items()}
    return {name: value for name, value in headers.items() if value is not None}


@dataclass
class World:
    """What is set up for the merchant, in one vault."""

    vault: FakeVault = field(default_factory=FakeVault)

    def credential(self, public: Any = None, sealed: Any = None, **changes: Any) -> Credential:
        """``public`` and ``sealed`` are changes to good material; None takes a field away."""
        shown = {"mch_serial": MCH_SERIAL, "public_key_id": PUBLIC_KEY_ID, "public_key": public_pem("wechat")}
        secret = {"mch_private_key": private_pem("merchant"), "apiv3_key": APIV3}
        text = sealed if isinstance(sealed, bytes) else json.dumps(_changed(secret, sealed or {})).encode()
        id_ = changes.pop("id", "crd_1")
        return Credential(
            id=id_,
            channel=Channel.WECHAT,
            mode=Mode.TEST,
            app_id=changes.pop("app_id", APP_ID),
            public=_changed(shown, public or {}),
            sealed=self.vault.seal(credential_context(id_), text),
            **changes,
        )

    def access(
        self, credential: Credential | None = None, payee: str = MCHID, mode: Mode = Mode.TEST, **changes: Any
    ) -> Access:
        account = ChannelAccount(
            id="acc_1",
            channel=Channel.WECHAT,
            mode=mode,
            credential_id="crd_1",
            payee=payee,
            methods=frozenset({Method.WECHAT_NATIVE}),
            **changes,
        )
        return Access(account, credential or self.credential())

    def sub_merchant(self, *, app: bool = False, **changes: Any) -> Access:
        """A sub-merchant under a service provider, with an app of its own or without."""
        sealed = self.vault.seal(account_context("acc_1"), b'{"app_secret": "subsecret"}')
        more: dict[str, Any] = {"sub_app_id": SUB_APP_ID, "sealed": sealed} if app else {}
        return self.access(self.credential(provider=PROVIDER, **changes), SUB_MCHID, **more)

    @asynccontextmanager
    async def adapter(self, answer: Callable[[httpx.Request], Any], **options: Any) -> AsyncIterator[WechatPay]:
        """An adapter whose gateway is a function, which may also raise."""

        async def answers(request: httpx.Request) -> httpx.Response:
            response: httpx.Response = answer(request)
            if isinstance(response.stream, httpx.ByteStream):  # already read; from a socket it would not be
                return httpx.Response(response.status_code, headers=response.headers, stream=response.stream)
            return response

        async with httpx.AsyncClient(transport=httpx.MockTransport(answers), trust_env=False) as client:
            pages, hosts = {Mode.TEST: PAGE}, {Mode.TEST: HOST}
            yield WechatPay(self.vault, client, {Mode.TEST: GATEWAY}, pages=pages, hosts=hosts, **options)


def _changed(good: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def opening(**changes: Any) -> Opening:
    asked: dict[str, Any] = {
        "number": NUMBER,
        "method": Method.WECHAT_NATIVE,
        "amount": Money(8888),
        "subject": "火龙果",
        "expires_at": datetime(2026, 11, 23, 16, 30, 5, 999_999, tzinfo=UTC),
        "notice_url": "https://pay.example/notices/wechat/acc_1",
    }
    return Opening(**(asked | changes))


def answer(status: int, content: Any, **how: Any) -> httpx.Response:
    """A signed answer, errors too, as WeChat Pay gives it to a merchant whose signature it could verify."""
    body = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
    return httpx.Response(status, headers={"Content-Type": "application/json"} | signed(body, **how), content=body)


def unsigned(status: int, content: Any) -> httpx.Response:
    return httpx.Response(status, json=content)


def refused(code: str) -> dict[str, str]:
    return {"code": code, "message": "不行"}


def paid(**changes: Any) -> dict[str, Any]:
    """A transaction that was paid with a coupon of each kind."""
    transaction = {
        "appid": APP_ID,
        "mchid": MCHID,
        "out_trade_no": NUMBER,
        "transaction_id": "4200000000202611230000000001",
        "trade_type": "NATIVE",
        "trade_state": "SUCCESS",
        "trade_state_desc": "支付成功",
        "success_time": "2026-11-24T00:10:05+08:00",
        "amount": {"total": 8888, "payer_total": 7550, "currency": "CNY", "payer_currency": "CNY"},
        "promotion_detail": [
            {"coupon_id": "1", "type": "NOCASH", "amount": 888, "merchant_contribute": 888},
            {"coupon_id": "2", "type": "CASH", "amount": 450, "merchant_contribute": 450},
        ],
    }
    return _changed(transaction, changes)


def refund_request(**changes: Any) -> RefundRequest:
    asked: dict[str, Any] = {
        "number": REFUND_NUMBER,
        "payment_number": NUMBER,
        "amount": Money(888),
        "total": Money(8888),
        "reason": "不想要了",
        "notice_url": "https://pay.example/notices/wechat/acc_1",
    }
    return RefundRequest(**(asked | changes))


def refunded(**changes: Any) -> dict[str, Any]:
    """A refund as the answer to a request or a query has it."""
    refund = {
        "refund_id": "50000000382026112300000000001",
        "out_refund_no": REFUND_NUMBER,
        "transaction_id": "4200000000202611230000000001",
        "out_trade_no": NUMBER,
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": "2026-11-24T00:20:05+08:00",
        "status": "PROCESSING",
        "funds_account": "AVAILABLE",
        "amount": {"total": 8888, "refund": 888, "payer_total": 7550, "payer_refund": 755, "currency": "CNY"},
    }
    return _changed(refund, changes)


def seal(plain: bytes, associated_data: str = "transaction", apiv3: str = APIV3) -> dict[str, str]:
    nonce = "0123456789ab"
    sealed = AESGCM(apiv3.encode()).encrypt(nonce.encode(), plain, associated_data.encode())
    return {
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(sealed).decode(),
        "associated_data": associated_data,
        "nonce": nonce,
    }


def refund_envelope(*, event: str = "SUCCESS", original: str = "refund", **changes: Any) -> bytes:
    """The body of a notice of a refund."""
    refund = {
        "mchid": MCHID,
        "out_trade_no": NUMBER,
        "transaction_id": "4200000000202611230000000001",
        "out_refund_no": REFUND_NUMBER,
        "refund_id": "50000000382026112300000000001",
        "refund_status": event,
        "success_time": "2026-11-24T00:25:05+08:00" if event == "SUCCESS" else None,
        "user_received_account": "支付用户零钱",
        "amount": {"total": 8888, "refund": 888, "payer_total": 7550, "payer_refund": 755},
    }
    plain = json.dumps(_changed(refund, changes), ensure_ascii=False).encode()
    sealed = {"original_type": original, **seal(plain, "refund")}
    return envelope(resource=sealed, event_type=f"REFUND.{event}")


def envelope(transaction: Any = None, *, resource: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """A notice's body."""
    plain = json.dumps(paid() if transaction is None else transaction, ensure_ascii=False).encode()
    content = {
        "id": "f7c34059-0f2d-5b32-ba33-a42d00000597",
        "create_time": "2026-11-24T00:10:06+08:00",
        "resource_type": "encrypt-resource",
        "event_type": "TRANSACTION.SUCCESS",
        "summary": "支付成功",
        "resource": {"original_type": "transaction", **seal(plain), **(resource or {})},
    }
    return json.dumps(_changed(content, changes), ensure_ascii=False).encode()


def authorized(request: httpx.Request) -> dict[str, str]:
    """The parts of the Authorization header, its signature verified as WeChat Pay would."""
    scheme, _, rest = request.headers["Authorization"].partition(" ")
    assert scheme == SCHEME
    parts = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    line = request.url.raw_path.decode()
    message = (
        f"{request.method}\n{line}\n{parts['timestamp']}\n{parts['nonce_str']}\n".encode() + request.content + b"\n"
    )
    key("merchant").public_key().verify(base64.b64decode(parts["signature"]), message, PKCS1v15(), SHA256())
    return parts
