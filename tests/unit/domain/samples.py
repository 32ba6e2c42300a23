"""Sample nouns, each with what a test does not care about filled in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.attempts import Attempt
from domain.channels import Channel, ChannelAccount, FundMode, Method, Mode, Receipt, Terms
from domain.money import FeePlan, Money, Rate
from domain.numbers import channel_number
from domain.orders import Order, OrderRequest
from domain.payments import ChannelPayment, Unattributed, record

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
ULID = "01KAMVF6R0ABCDEFGHJKMNPQRS"


def account(owner: str | None = None) -> ChannelAccount:
    """The platform's, or with an owner a merchant's own."""
    return ChannelAccount(
        id="cha_1",
        channel=Channel.ALIPAY,
        mode=Mode.TEST,
        credential_id="crd_1",
        payee="2088000000000001",
        methods=frozenset({Method.ALIPAY_QR}),
        merchant_id=owner,
    )


def order(amount: int = 10_000, **changes: Any) -> Order:
    placed = Order.place(
        OrderRequest(merchant_order_no="A-1", amount=Money(amount), subject="火龙果", expires_in=900),
        id=f"ord_{ULID}",
        merchant_id="mch_1",
        mode=Mode.TEST,
        token="t" * 27,
        now=NOW,
        expires_at=NOW + timedelta(seconds=900),
    )
    return replace(placed, events=(), **changes)


def attempt(amount: int = 10_000, plan: FeePlan | None = None, **changes: Any) -> Attempt:
    started = Attempt(
        id=f"att_{ULID}",
        order_id=f"ord_{ULID}",
        merchant_id="mch_1",
        mode=Mode.TEST,
        method=Method.ALIPAY_QR,
        account_id="cha_1",
        number=channel_number(ULID),
        amount=Money(amount),
        fund_mode=FundMode.COLLECT,
        terms=Terms(plan or FeePlan(Rate(6_000)), Rate(3_800)),
        created_at=NOW,
        expires_at=NOW + timedelta(seconds=900),
        next_at=NOW + timedelta(seconds=5),
    )
    return replace(started, **changes)


def receipt(total: int = 10_000, received: int | None = None) -> Receipt:
    return Receipt(
        number=channel_number(ULID),
        transaction_id="2026112222001",
        total=Money(total),
        received=Money(total if received is None else received),
        payer_paid=Money(total),
        paid_at=NOW,
        app_id="2021000000000001",
        payee="2088000000000001",
    )


def payment(
    total: int = 10_000,
    *,
    received: int | None = None,
    plan: FeePlan | None = None,
    direct: bool = False,
    unattributed: Unattributed | None = None,
) -> ChannelPayment:
    return record(
        receipt(total, received),
        id="pay_1",
        account=account("mch_1" if direct else None),
        order=order(total),
        attempt=attempt(total, plan, fund_mode=FundMode.DIRECT if direct else FundMode.COLLECT),
        unattributed=unattributed,
        evidence="notice:1",
        now=NOW,
    )
