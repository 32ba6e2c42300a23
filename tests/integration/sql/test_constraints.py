"""Every constraint by name, each seen to refuse: what must hold is held by the database too."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from sqlalchemy import CheckConstraint, UniqueConstraint

from adapters.outbound.sql import create_engine
from adapters.outbound.sql.migrations import APPLICATION_ROLE
from adapters.outbound.sql.tables import metadata
from application.ports.storage import UnitOfWork
from domain.bookkeeping import payment_received
from domain.channels import Channel, ChannelNotice, Method, Mode
from domain.idempotency import IdempotencyKey
from domain.kept_notices import RefusedNotice
from domain.limits import Limit
from domain.merchants import ApiKey
from domain.money import FeePlan, Money, Rate
from domain.notifications import Answer
from domain.payments import SuspenseItem, SuspenseStatus, Unattributed
from domain.products import Binding, Product, ProductVersion, RateOverride
from domain.refunds import Draws, RefundOrigin
from tests.contracts.stage import NOW, Stage
from tests.integration.sql import refused as others
from tests.integration.sql.conftest import Stored

Owner = Any  # asyncpg's connection, generic only in its stubs

OTHER_REFUND = {"merchant_refund_no": "other", "number": "other", "item_id": None, "from_pending": 9_900}

# constraint: (table, what makes a copy of a good row bad). A copy gets an id of its own, and other keys of its own.
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "ck_merchant_late_payment": ("merchant", {"late_payment": "keep"}),
    "ck_merchant_orders_per_minute": ("merchant", {"orders_per_minute": 0}),
    "ck_merchant_payee": ("merchant", {"payee_last4": None}),
    "ck_credential_previous": ("credential", {"previous_until": None}),
    "ck_account_health_method": ("account_health", {"method": "cash"}),
    "ck_rate_override_method": ("rate_override", {"method": "cash"}),
    "ck_method_limit_method": ("method_limit", {"method": "cash"}),
    "ck_method_limit_above_zero": ("method_limit", {"method": "alipay_app", "single": 0}),
    "ck_daily_amount_mode": ("daily_amount", {"mode": "x"}),
    "ck_daily_amount_method": ("daily_amount", {"method": "cash"}),
    "ck_daily_amount_amount": ("daily_amount", {"method": "alipay_app", "amount": -1}),
    "fk_account_health_account_id": ("account_health", {"account_id": "x"}),
    "fk_product_version_product_id": ("product_version", {"product_id": "x"}),
    "fk_product_binding_merchant_id": ("product_binding", {"merchant_id": "x"}),
    "fk_product_binding_product_id": ("product_binding", {"product_id": "x"}),
    "fk_rate_override_merchant_id": ("rate_override", {"merchant_id": "x"}),
    "fk_method_limit_merchant_id": ("method_limit", {"merchant_id": "x"}),
    "uq_api_key_digest": ("api_key", {}),
    "ck_api_key_mode": ("api_key", {"mode": "Test", "digest": "\\x02"}),
    "ck_credential_channel": ("credential", {"channel": "paypal"}),
    "ck_credential_mode": ("credential", {"mode": ""}),
    "ck_channel_account_channel": ("channel_account", {"channel": "unionpay"}),
    "ck_channel_account_mode": ("channel_account", {"mode": "LIVE"}),
    "ck_channel_account_cost_ppm": ("channel_account", {"cost_ppm": -1}),
    "uq_order_merchant_order_no": ("payment_order", {"cashier_token": "other"}),
    "uq_order_cashier_token": ("payment_order", {"merchant_order_no": "other"}),
    "ck_payment_order_mode": ("payment_order", {"mode": "both"}),
    "ck_payment_order_status": ("payment_order", {"status": "gone", "paid": 0}),
    "ck_payment_order_method": ("payment_order", {"method": "cash"}),
    "ck_payment_order_paid_method": ("payment_order", {"paid_method": "cash"}),
    "ck_payment_order_amount": ("payment_order", {"amount": 0}),
    "ck_payment_order_not_negative": ("payment_order", {"refunded": -1}),
    "ck_payment_order_refunds": ("payment_order", {"refunded": 9_999, "refunding": 2}),
    "ck_payment_order_paid": ("payment_order", {"status": "closed"}),
    "uq_attempt_number": ("attempt", {}),
    "ck_attempt_mode": ("attempt", {"mode": "x"}),
    "ck_attempt_method": ("attempt", {"method": "wechat"}),
    "ck_attempt_fund_mode": ("attempt", {"fund_mode": "escrow"}),
    "ck_attempt_status": ("attempt", {"status": "lost"}),
    "ck_attempt_amount": ("attempt", {"amount": -100}),
    "ck_attempt_action": ("attempt", {"action_type": "qr_code"}),
    "uq_channel_payment_transaction": ("channel_payment", {"unattributed": "second"}),
    "uq_channel_payment_effective": ("channel_payment", {"transaction_id": "other", "unattributed": None}),
    "ck_channel_payment_mode": ("channel_payment", {"mode": "x"}),
    "ck_channel_payment_fund_mode": ("channel_payment", {"fund_mode": "x"}),
    "ck_channel_payment_unattributed": ("channel_payment", {"unattributed": "odd"}),
    "ck_channel_payment_amounts": ("channel_payment", {"fee": 9_901}),
    "uq_suspense_item_payment": ("suspense_item", {}),
    "ck_suspense_item_mode": ("suspense_item", {"mode": "x"}),
    "ck_suspense_item_reason": ("suspense_item", {"reason": "x"}),
    "ck_suspense_item_status": ("suspense_item", {"status": "x", "order_id": None}),
    "ck_suspense_item_attributed": ("suspense_item", {"order_id": None}),
    "ck_suspense_item_fee": ("suspense_item", {"fee": -1}),
    "uq_suspense_item_attributed": ("suspense_item", {"payment_id": "pay_1"}),
    "uq_refund_merchant_refund_no": ("refund", {}),
    "uq_refund_number": ("refund", {"merchant_refund_no": "other"}),
    "uq_refund_item": ("refund", {"merchant_refund_no": "other", "number": "other"}),
    "ck_refund_mode": ("refund", {"mode": "x"}),
    "ck_refund_fund_mode": ("refund", {"fund_mode": "x"}),
    "ck_refund_origin": ("refund", {"origin": "x"}),
    "ck_refund_destination": ("refund", {"destination": "x"}),
    "ck_refund_status": ("refund", {"status": "x"}),
    "ck_refund_amount": ("refund", {"amount": 10_001}),
    "ck_refund_parts": ("refund", {"share": 9_901}),
    "ck_refund_not_negative": ("refund", {"from_pending": -1, "from_available": 1}),
    "ck_refund_draws": ("refund", {"from_pending": 1}),
    "ck_suspense_item_amount": ("suspense_item", {"amount": 0}),
    "ck_idempotency_mode": ("idempotency", {"mode": "x"}),
    "ck_idempotency_answer": ("idempotency", {"key": "other", "status": 200}),
    "uq_ledger_account_identity": ("ledger_account", {}),
    "ck_ledger_account_kind": ("ledger_account", {"kind": "CASH"}),
    "ck_ledger_account_mode": ("ledger_account", {"mode": "x"}),
    "uq_transfer_idem_key": ("transfer", {}),
    "ck_transfer_mode": ("transfer", {"mode": "x"}),
    "ck_transfer_amount": ("transfer", {"amount": 0}),
    "ck_transfer_two_ends": ("transfer", {"debit_account": 1, "credit_account": 1}),
    "ck_event_mode": ("event", {"mode": "x"}),
    "uq_webhook_endpoint_url": ("webhook_endpoint", {}),
    "ck_webhook_endpoint_mode": ("webhook_endpoint", {"mode": "x"}),
    "uq_delivery_event_endpoint": ("delivery", {}),
    "ck_delivery_mode": ("delivery", {"mode": "x"}),
    "ck_delivery_status": ("delivery", {"status": "x"}),
    "pk_notice": ("notice", {}),
    "ck_refused_notice_channel": ("refused_notice", {"channel": "x"}),
    "pk_idempotency": ("idempotency", {}),
    "fk_api_key_merchant_id": ("api_key", {"merchant_id": "x", "digest": "\\x02"}),
    "fk_channel_account_credential_id": ("channel_account", {"credential_id": "x"}),
    "fk_attempt_order_id": ("attempt", {"order_id": "x", "number": "other"}),
    "fk_channel_payment_order_id": ("channel_payment", {"order_id": "x", "transaction_id": "other"}),
    "fk_channel_payment_attempt_id": (
        "channel_payment",
        {"attempt_id": "x", "transaction_id": "other", "unattributed": "second"},
    ),
    "fk_suspense_item_payment_id": ("suspense_item", {"payment_id": "x", "order_id": None, "status": "open"}),
    "fk_suspense_item_order_id": ("suspense_item", {"payment_id": "pay_1", "order_id": "x"}),
    "fk_refund_order_id": ("refund", OTHER_REFUND | {"order_id": "x"}),
    "fk_refund_payment_id": ("refund", OTHER_REFUND | {"payment_id": "x"}),
    "fk_refund_item_id": ("refund", OTHER_REFUND | {"item_id": "x", "from_pending": 0}),
    "fk_outbox_event_id": ("outbox", {"event_id": "x"}),
    "fk_delivery_event_id": ("delivery", {"event_id": "x"}),
    "fk_delivery_endpoint_id": ("delivery", {"endpoint_id": "x", "event_id": "x"}),
    "fk_delivery_try_delivery_id": ("delivery_try", {"delivery_id": "x"}),
}
TEXT_KEYS = {
    "refused_notice",
    "merchant", "api_key", "credential", "channel_account", "payment_order", "attempt", "channel_payment",
    "suspense_item", "refund", "event", "webhook_endpoint", "delivery", "product", "product_binding", "rate_override",
}  # fmt: skip
NUMBERED = {"transfer": "id", "event": "n", "outbox": "n", "delivery_try": "id"}
REFUSED |= others.REFUSED
TEXT_KEYS |= others.TEXT_KEYS
NUMBERED |= others.NUMBERED


def test_no_named_constraint_is_missing_here() -> None:
    named = set()
    for table in metadata.tables.values():
        named |= {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint | UniqueConstraint)}
        named |= {str(c.name) for c in table.foreign_key_constraints}
        named |= {str(index.name) for index in table.indexes if index.unique}
    assert named == {name for name in REFUSED if not name.startswith("pk_")}


@pytest.fixture(scope="module")
def rows(module_database_url: str) -> None:
    """At least one row in every table: a paid order, a held second payment, a delivered event."""

    async def fill() -> None:
        engine = create_engine(module_database_url, pool_size=1, role=APPLICATION_ROLE)
        await _live_a_little(await Stage(Stored(engine)).set())
        await engine.dispose()
        owner = await asyncpg.connect(module_database_url.replace("+asyncpg", "", 1))
        await owner.execute(others.GOOD_ROWS)
        await owner.close()

    asyncio.run(fill())


@pytest.fixture
async def owner(module_database_url: str, rows: None) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """The owner of those rows, whose changes are taken back after each test."""
    connection = await asyncpg.connect(module_database_url.replace("+asyncpg", "", 1))
    await connection.execute("BEGIN")
    yield connection
    await connection.close()


async def _live_a_little(stage: Stage) -> None:
    order = await stage.order()
    attempt, endpoint = await stage.attempt(order), await stage.endpoint()
    payment, second = stage.new_payment(order, attempt), stage.new_payment(order, attempt, "", Unattributed.SECOND)
    payment = replace(payment, id="pay_1")
    whole: dict[str, Any] = {
        "debit": second.received,
        "share": Money(0),
        "amount": second.total,
        "draws": Draws(),
        "item_id": "sus_1",
        "origin": RefundOrigin.SUSPENSE,
    }
    async with stage.unit_of_work() as uow:
        key = ApiKey(
            id="key_1", merchant_id=stage.merchant.id, mode=Mode.TEST, digest=b"\x01", last4="abcd", created_at=NOW
        )
        await uow.keys.add(key)
        await _price(stage, uow)
        locked = await uow.orders.lock(order.id)
        paid = locked.pay(payment.total, method=attempt.method, paid_at=NOW, now=NOW)
        await uow.payments.add(payment)
        await uow.payments.add(second)
        await uow.suspense.add(
            SuspenseItem(
                id="sus_1",
                payment_id=second.id,
                account_id=second.account_id,
                mode=second.mode,
                amount=second.received,
                reason=Unattributed.SECOND,
                created_at=NOW,
                status=SuspenseStatus.ATTRIBUTED,
                order_id=order.id,
            )
        )
        await uow.refunds.add(stage.new_refund(second, **whole))
        await uow.ledger.post(payment_received(payment))
        await uow.orders.save(paid)
        notice = ChannelNotice("n-1", "payment", None)
        refused = RefusedNotice.of(
            Channel.ALIPAY, stage.account.id, {}, b"", id="ntc_1", reason="signature_invalid", now=NOW
        )
        await uow.notices.refuse(refused)
        await uow.notices.add(stage.account.id, notice, body=b"", outcome="confirmed", received_at=NOW)
        call = IdempotencyKey(merchant_id=stage.merchant.id, mode=Mode.TEST, key="k", fingerprint=b"1")
        await uow.idempotency.claim(call, now=NOW)
        delivery = stage.new_delivery(paid.events[-1], endpoint)
        await uow.deliveries.add(delivery)
        await uow.deliveries.save(delivery, Answer(status_code=500), NOW)


async def _price(stage: Stage, uow: UnitOfWork) -> None:
    plan, whose, since = FeePlan(Rate(0)), stage.merchant.id, {"valid_from": NOW, "created_at": NOW}
    await uow.products.add(Product(id="prd_1", name="p", created_at=NOW))
    await uow.products.add_version(ProductVersion(product_id="prd_1", n=1, plans={}, **since))
    await uow.pricings.bind(Binding(id="bnd_1", merchant_id=whose, product_id="prd_1", **since))
    await uow.pricings.override(
        RateOverride(id="rov_1", merchant_id=whose, method=Method.ALIPAY_QR, plan=plan, **since)
    )
    await uow.limits.set(whose, Limit(Method.ALIPAY_QR, single=1))
    counted = stage.new_attempt(stage.new_order(), counted_on=NOW.date())
    await uow.limits.reserve(counted, 10**9)
    await uow.health.lock(stage.account.id, Method.ALIPAY_QR, NOW)


async def copy_of_a_row(owner: Owner, table: str, changes: dict[str, Any]) -> None:
    unlike = dict(changes)
    if table in TEXT_KEYS:
        unlike.setdefault("id", "other")
    if table == "ledger_account":
        unlike.setdefault("id", 1)
    if table in NUMBERED:
        unlike[NUMBERED[table]] = 10**9
    await owner.execute(
        f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(t, $1::text::jsonb)).*"
        f" FROM {table} t WHERE ctid = (SELECT ctid FROM {table} ORDER BY 1 DESC LIMIT 1)",
        json.dumps(unlike),
    )


@pytest.mark.parametrize("constraint", REFUSED)
async def test_the_database_refuses_what_breaks(constraint: str, owner: Owner) -> None:
    table, changes = REFUSED[constraint]
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
        await copy_of_a_row(owner, table, changes)
        await owner.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert refused.value.constraint_name == constraint


async def test_the_rows_that_are_spoilt_here_are_otherwise_good(owner: Owner) -> None:
    await copy_of_a_row(owner, "payment_order", {"merchant_order_no": "other", "cashier_token": "other"})
    await copy_of_a_row(owner, "attempt", {"number": "other"})
    await copy_of_a_row(owner, "transfer", {"idem_key": "other"})
    await copy_of_a_row(owner, "webhook_endpoint", {"url": None})


async def test_one_endpoint_of_a_merchant_and_mode_may_be_without_an_address(owner: Owner) -> None:
    await copy_of_a_row(owner, "webhook_endpoint", {"url": None})
    await copy_of_a_row(owner, "webhook_endpoint", {"id": "third", "url": None, "mode": "live"})
    with pytest.raises(asyncpg.UniqueViolationError, match="uq_webhook_endpoint_url"):
        await copy_of_a_row(owner, "webhook_endpoint", {"id": "fourth", "url": None, "mode": "test"})


async def test_what_the_database_fills_in_is_right(owner: Owner) -> None:
    """The posting date is the day in Shanghai, whatever the session's zone."""
    await owner.execute("SET timezone = 'America/Los_Angeles'")
    await copy_of_a_row(owner, "transfer", {"idem_key": "other"})
    days = await owner.fetchrow(
        "SELECT DISTINCT posting_date, (now() AT TIME ZONE 'Asia/Shanghai')::date, xid IS NULL FROM transfer"
    )
    assert days[0] == days[1]
    assert days[2] is False
