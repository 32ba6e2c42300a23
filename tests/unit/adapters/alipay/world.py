"""Alipay in a few lines: its key and an application's, answers and notices signed with them, and an adapter to ask."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from adapters.outbound.alipay import Alipay
from application.ports.world import account_context, credential_context
from domain.channels import Access, Channel, ChannelAccount, Credential, Method, Mode, Opening
from domain.money import Money
from tests.fakes.vault import FakeVault

GATEWAY = "https://alipay.invalid/gateway.do"
APP_ID, SELLER = "2021000000000001", "2088000000000001"
NUMBER = "PTY01K0000000000000000000000AB"


@lru_cache
def key(name: str) -> rsa.RSAPrivateKey:
    """A key for each name, made once: it takes a while."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(name: str) -> str:
    return key(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(name: str) -> str:
    return key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def sign(text: str, name: str = "alipay") -> str:
    return base64.b64encode(key(name).sign(text.encode(), PKCS1v15(), SHA256())).decode()


@dataclass
class World:
    """What is set up for the application, in one vault."""

    vault: FakeVault = field(default_factory=FakeVault)

    def credential(self, public: dict[str, str] | None = None, sealed: object = None, **changes: Any) -> Credential:
        public = {"alipay_public_key": public_pem("alipay")} if public is None else public
        secret = {"app_private_key": private_pem("app")} if sealed is None else sealed
        id_ = changes.pop("id", "crd_1")
        text = secret if isinstance(secret, bytes) else json.dumps(secret).encode()
        return Credential(
            id=id_,
            channel=Channel.ALIPAY,
            mode=changes.pop("mode", Mode.TEST),
            app_id=changes.pop("app_id", APP_ID),
            public=public,
            sealed=self.vault.seal(credential_context(id_), text),
            **changes,
        )

    def access(
        self, credential: Credential | None = None, payee: str = SELLER, mode: Mode = Mode.TEST, sealed: object = None
    ) -> Access:
        account = ChannelAccount(
            id="acc_1",
            channel=Channel.ALIPAY,
            mode=mode,
            credential_id="crd_1",
            payee=payee,
            methods=frozenset({Method.ALIPAY_QR}),
            sealed=self.vault.seal(account_context("acc_1"), json.dumps(sealed).encode()) if sealed else b"",
        )
        return Access(account, credential or self.credential())

    def provider(self) -> Access:
        """A service provider, acting for a merchant that authorised it."""
        return self.access(self.credential(provider="2088999999999999"), sealed={"app_auth_token": "202611BBtoken"})

    @asynccontextmanager
    async def adapter(self, answer: Callable[[httpx.Request], Any], **options: Any) -> AsyncIterator[Alipay]:
        """An adapter whose gateway is a function, which may also raise."""

        async def answers(request: httpx.Request) -> httpx.Response:
            said = answer(request)
            response = said if isinstance(said, httpx.Response) else httpx.Response(200, content=said)
            if isinstance(response.stream, httpx.ByteStream):  # already read; from a socket it would not be
                return httpx.Response(response.status_code, headers=response.headers, stream=response.stream)
            return response

        async with httpx.AsyncClient(transport=httpx.MockTransport(answers), trust_env=False) as client:
            yield Alipay(self.vault, client, {Mode.TEST: GATEWAY}, **options)


def opening(**changes: Any) -> Opening:
    asked: dict[str, Any] = {
        "number": NUMBER,
        "method": Method.ALIPAY_QR,
        "amount": Money(8888),
        "subject": "火龙果 a/b=c&d",
        "expires_at": datetime(2026, 11, 23, 16, 30, 5, 999_999, tzinfo=UTC),
        "notice_url": "https://pay.example/notices/alipay/acc_1?a=1&b=%2F",
    }
    return Opening(**(asked | changes))


async def call(
    world: World, said: Any, ask: Callable[[Alipay, Access], Any], access: Access | None = None, **options: Any
) -> tuple[Any, list[dict[str, Any]]]:
    """What one call of the adapter came to, and what it asked. ``said`` has a node, raw bytes, or whatever raises for
    each method, or one for all."""
    heard: list[dict[str, Any]] = []

    def gateway(request: httpx.Request) -> Any:
        sent = asked(request)
        heard.append(sent)
        node = said.get(sent["method"]) if isinstance(said, dict) and sent["method"] in said else said
        if callable(node):
            return node(request)
        return answer(sent["method"], node) if isinstance(node, dict) else node

    async with world.adapter(gateway, **options) as alipay:
        return await ask(alipay, access or world.access()), heard


def asked(request: httpx.Request) -> dict[str, Any]:
    """The parameters of a request, biz_content read."""
    fields = dict(parse_qsl(request.content.decode(), keep_blank_values=True, strict_parsing=True))
    return fields | {"biz_content": json.loads(fields["biz_content"])}


def answer(method: str, node: object, *, signed: bool = True, by: str = "alipay", over: str | None = None) -> bytes:
    """An answer as the gateway writes it: the signature is over the node's text, exactly as sent."""
    text = node if isinstance(node, str) else json.dumps(node, ensure_ascii=False, separators=(",", ":"))
    name = method.replace(".", "_") + "_response"
    tail = f',"sign":"{sign(text if over is None else over, by)}"' if signed else ""
    return f'{{"{name}":{text}{tail}}}'.encode()


def good(**fields: Any) -> dict[str, Any]:
    return {"code": "10000", "msg": "Success", "out_trade_no": NUMBER, **fields}


def refused(sub_code: str, code: str = "40004") -> dict[str, Any]:
    return {"code": code, "msg": "Business Failed", "sub_code": sub_code, "sub_msg": "不行"}


def paid(**changes: Any) -> dict[str, Any]:
    """A query's answer for a trade that was paid with a discount of each kind."""
    trade = {
        "trade_no": "2026112322001400000000000001",
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "88.88",
        "receipt_amount": "80.00",
        "buyer_pay_amount": "75.50",
        "send_pay_date": "2026-11-24 00:10:05",
    }
    return {name: value for name, value in (good(**trade) | changes).items() if value is not None}


def notice_fields(**changes: str | None) -> dict[str, str]:
    fields: dict[str, str | None] = {
        "notify_id": "2026112300222000000000000000000001",
        "notify_type": "trade_status_sync",
        "notify_time": "2026-11-24 00:10:08",
        "charset": "utf-8",
        "version": "1.0",
        "app_id": APP_ID,
        "auth_app_id": APP_ID,
        "seller_id": SELLER,
        "out_trade_no": NUMBER,
        "trade_no": "2026112322001400000000000001",
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "88.88",
        "receipt_amount": "80.00",
        "buyer_pay_amount": "75.50",
        "gmt_payment": "2026-11-24 00:10:05",
        "subject": "火龙果 + 100% a=b&c",
        "fund_bill_list": '[{"amount":"75.50","fundChannel":"ALIPAYACCOUNT"}]',
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def signed_notice(fields: dict[str, str], *, by: str = "alipay", sign_type: str = "RSA2") -> dict[str, str]:
    text = "&".join(f"{name}={value}" for name, value in sorted(fields.items()))
    return fields | {"sign_type": sign_type, "sign": sign(text, by)}


def form(fields: dict[str, str]) -> bytes:
    return urlencode(fields).encode()
