"""What is sold in the bench: a merchant, orders whose code is shown, and notices that Alipay would sign for them."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import asyncpg
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from adapters.outbound.sql.migrations import migrate
from application.open_merchant import NewAccount, OpenedMerchant
from bootstrap.container import Container, opened
from bootstrap.embedded import EmbeddedPostgres
from bootstrap.settings import Settings
from domain.attempts import Attempt
from domain.bookkeeping import BASIC
from domain.channels import ActionType, Channel, FundMode, Method, Mode, PayerAction, Terms
from domain.ledger import PLATFORM, Account, AccountKind
from domain.merchants import Merchant as OneMerchant
from domain.money import CNY, FeePlan, Money, Rate
from domain.numbers import channel_number
from domain.orders import Order, OrderRequest
from domain.times import SHANGHAI

FEE_PPM = 6_000
APP_ID, SELLER_ID = "2021000000000001", "2088000000000001"
PEPPER = "a pepper for the bench, at least thirty-two characters"
AMOUNT = Money(1_990)
SUBJECT = "Dragon-fruit coffee"


def environment(database_url: str, redis_url: str, port: int = 9) -> dict[str, str]:
    """The settings of a Pitaya process. Its channel addresses lead nowhere: nothing here asks a channel."""
    return {
        "PITAYA_DATABASE_URL": database_url,
        "PITAYA_DATABASE_ROLE": "pitaya_app",
        "PITAYA_REDIS_URL": redis_url,
        "PITAYA_MASTER_KEYS": f"1:{base64.b64encode(bytes(range(32))).decode()}",
        "PITAYA_KEY_PEPPER": PEPPER,
        "PITAYA_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PITAYA_ALIPAY_TEST_GATEWAY": "http://127.0.0.1:9/gateway.do",
        "PITAYA_ALLOW_PRIVATE_ADDRESSES": "1",
    }


def plain(url: str) -> str:
    """The URL as asyncpg takes it."""
    return url.replace("+asyncpg", "", 1)


async def execute(url: str, *statements: str) -> Any:
    """Run them; the value of the last one."""
    connection = await asyncpg.connect(plain(url))
    try:
        *before, last = statements
        for statement in before:
            await connection.execute(statement)
        return await connection.fetchval(last)
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class Merchant:
    """One merchant that collects through one Alipay account, and the key that Alipay's notices are signed with."""

    opened: OpenedMerchant
    account_id: str
    alipay: rsa.RSAPrivateKey

    def bare(self, database_url: str) -> str:
        """What bare.py is told."""
        mode, merchant = Mode.TEST, self.opened.merchant.id
        accounts = (
            Account(AccountKind.CHANNEL_RECEIVABLE, self.account_id, mode, CNY, BASIC),
            Account(AccountKind.MERCHANT_PENDING, merchant, mode, CNY),
            Account(AccountKind.FEE_INCOME, PLATFORM, mode, CNY),
        )
        public = self.alipay.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        given = {
            "database_url": plain(database_url),
            "pepper": PEPPER,
            "alipay_public_key": public.decode(),
            "accounts": [account.id for account in accounts],
            "app_id": APP_ID,
            "seller_id": SELLER_ID,
            "fee_ppm": FEE_PPM,
        }
        return json.dumps(given)


@dataclass(frozen=True, slots=True)
class Ground:
    """What everything stands on."""

    server: EmbeddedPostgres
    redis_url: str
    merchant: Merchant
    logs: Path


async def prepare(
    server: EmbeddedPostgres, redis_url: str, orders: int, *, many: int, spread: int
) -> tuple[Merchant, list[Attempt], list[Attempt]]:
    """A migrated database "pitaya" with a merchant and that many orders whose Alipay code is shown; and beside it so
    many merchants that collect through the same account, with ``spread`` such orders in turn."""
    await execute(server.url(), "CREATE DATABASE pitaya")
    await migrate(server.url("pitaya"))
    async with opened(Settings.from_environment(environment(server.url("pitaya"), redis_url))) as container:
        merchant = await _merchant(container)
        others = await _merchants(container, many)
        shown = await _attempts(container, merchant, [merchant.opened.merchant.id] * orders)
        return merchant, shown, await _attempts(container, merchant, [others[n % many] for n in range(spread)])


async def _merchant(container: Container) -> Merchant:
    app, alipay = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    private = app.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = alipay.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    account = NewAccount(
        channel=Channel.ALIPAY,
        app_id=APP_ID,
        payee=SELLER_ID,
        methods=frozenset({Method.ALIPAY_QR}),
        public={"alipay_public_key": public},
        secrets={"app_private_key": private},
        of_platform=True,
        cost_rate=Rate(3_800),
    )
    made = await container.open_merchant()("Bench", FeePlan(Rate(FEE_PPM)), Mode.TEST, accounts=[account])
    return Merchant(made, made.account_ids[0], alipay)


async def _merchants(container: Container, count: int) -> list[str]:
    ids, now = container.ids(), datetime.now(UTC)
    found = [ids.new("mch") for _ in range(count)]
    async with container.database().unit_of_work() as uow:
        for n, id_ in enumerate(found):
            await uow.merchants.add(OneMerchant(id=id_, name=f"Bench {n}", created_at=now))
    return found


async def _attempts(container: Container, merchant: Merchant, payees: Sequence[str]) -> list[Attempt]:
    """An attempt for each of them, through the account of ``merchant``."""
    attempts: list[Attempt] = []
    while len(attempts) < len(payees):
        attempts += await _shown(container, merchant.account_id, payees[len(attempts) : len(attempts) + 250])
    return attempts


async def _shown(container: Container, account_id: str, payees: Sequence[str]) -> list[Attempt]:
    ids, now = container.ids(), datetime.now(UTC)
    attempts = []
    async with container.database().unit_of_work() as uow:
        for payee in payees:
            id_ = ids.new("ord")
            order = Order.place(
                OrderRequest(merchant_order_no=id_, amount=AMOUNT, subject=SUBJECT, expires_in=86_400),
                id=id_,
                merchant_id=payee,
                mode=Mode.TEST,
                token=ids.token(27),
                now=now,
                expires_at=now + timedelta(days=1),
            )
            number = channel_number(ids.new("num").removeprefix("num_"))
            attempt = Attempt(
                id=ids.new("att"),
                order_id=id_,
                merchant_id=payee,
                mode=Mode.TEST,
                method=Method.ALIPAY_QR,
                account_id=account_id,
                number=number,
                amount=AMOUNT,
                fund_mode=FundMode.COLLECT,
                terms=Terms(FeePlan(Rate(FEE_PPM)), Rate(3_800)),
                created_at=now,
                expires_at=order.expires_at,
                next_at=order.expires_at,
            ).opened(PayerAction(ActionType.QR_CODE, f"https://qr.alipay.com/{number}"), now)
            await uow.orders.add(order)
            await uow.attempts.add(attempt)
            attempts.append(attempt)
    return attempts


def orders(merchant: Merchant, name: str, count: int) -> list[tuple[bytes, dict[str, str]]]:
    """Bodies and headers that place that many orders, under numbers of their own."""
    headers = {"Authorization": f"Bearer {merchant.opened.api_key}", "Content-Type": "application/json"}
    return [
        (
            json.dumps({"merchant_order_no": f"{name}-{n}", "amount": AMOUNT.minor, "subject": SUBJECT}).encode(),
            headers,
        )
        for n in range(count)
    ]


def notice(merchant: Merchant, attempt: Attempt) -> bytes:
    """The form that Alipay posts when this attempt has been paid, signed with RSA2 (its documents, 270/105902)."""
    now = datetime.now(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    fields = {
        "notify_time": now,
        "notify_type": "trade_status_sync",
        "notify_id": f"notify{attempt.number}",
        "app_id": APP_ID,
        "auth_app_id": APP_ID,
        "charset": "utf-8",
        "version": "1.0",
        "trade_no": f"2026{attempt.number}",
        "out_trade_no": attempt.number,
        "buyer_id": "2088000000000002",
        "buyer_logon_id": "buy***@example.com",
        "seller_id": SELLER_ID,
        "trade_status": "TRADE_SUCCESS",
        "total_amount": AMOUNT.yuan,
        "receipt_amount": AMOUNT.yuan,
        "invoice_amount": AMOUNT.yuan,
        "buyer_pay_amount": AMOUNT.yuan,
        "point_amount": "0.00",
        "subject": SUBJECT,
        "gmt_create": now,
        "gmt_payment": now,
        "fund_bill_list": f'[{{"amount":"{AMOUNT.yuan}","fundChannel":"ALIPAYACCOUNT"}}]',
    }
    signed = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
    signature = merchant.alipay.sign(signed.encode(), PKCS1v15(), SHA256())
    return urlencode({**fields, "sign_type": "RSA2", "sign": base64.b64encode(signature).decode()}).encode()
