"""What the database contracts stand on: sample objects with every field filled, and their parents already stored."""

import asyncio
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

import pytest_asyncio

from application.listings import NOTICES
from application.ports.balances import AccountQueries
from application.ports.lists import Asked, Finding, Lists
from application.ports.queries import MerchantQueries, PeopleQueries, ReconciliationQueries
from application.ports.reports import Reports
from application.ports.storage import UnitOfWork
from domain.attempts import Attempt
from domain.channels import (
    Channel,
    ChannelAccount,
    Credential,
    EarlierMaterial,
    FundMode,
    Method,
    Mode,
    Receipt,
    Terms,
)
from domain.events import Event
from domain.merchants import BankAccount, Contact, LatePayment, Merchant
from domain.money import FeePlan, Money, Rate
from domain.notifications import Delivery, Endpoint
from domain.numbers import channel_number
from domain.orders import Order, OrderRequest
from domain.payments import ChannelPayment, SuspenseItem, Unattributed, record
from domain.refunds import Draws, Refund, RefundOrigin
from domain.settlements import Settlement, SettlementOrigin
from tests.fakes.ids import FakeIds

T = TypeVar("T")

NOW = datetime(2026, 11, 22, 4, 0, 0, 123456, tzinfo=UTC)
DEADLINE_SECONDS = 20.0


class Database(Protocol):
    """What a subclass supplies: a database with our schema and no rows."""

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]: ...
    @property
    def queries(self) -> MerchantQueries: ...
    @property
    def people(self) -> PeopleQueries: ...
    @property
    def reconciliation(self) -> ReconciliationQueries: ...
    @property
    def lists(self) -> Lists: ...
    @property
    def finding(self) -> Finding: ...
    @property
    def account_queries(self) -> AccountQueries: ...
    @property
    def reports(self) -> Reports: ...


class Stage:
    """One empty database with a merchant and its channel accounts, and makers of more."""

    def __init__(self, database: Database) -> None:
        self.unit_of_work = database.unit_of_work
        self.queries = database.queries
        self.people = database.people
        self.reconciliation = database.reconciliation
        self.account_queries, self.reports = database.account_queries, database.reports
        self.lists, self.finding = database.lists, database.finding
        self.ids = FakeIds(7)
        self.merchant = Merchant(
            id=self.ids.new("mch"),
            name="火龙果水果店",
            created_at=NOW,
            short_name="火龙果",
            contacts=(Contact(name="王丽", role="财务", phone="+86 138 0000 0000", email="finance@shop.example"),),
            late_payment=LatePayment.ACCEPT,
            fund_modes=frozenset({FundMode.DIRECT}),
            networks=("203.0.113.0/24", "2001:db8::/32"),
            orders_per_minute=600,
            payee=BankAccount(holder="火龙果水果店", bank="招商银行", sealed=b"\x01\xfe", last4="6789", changed_at=NOW),
            active=False,
        )
        self.credential = Credential(
            id=self.ids.new("crd"),
            channel=Channel.ALIPAY,
            mode=Mode.TEST,
            app_id="2021000000000001",
            merchant_id=self.merchant.id,
            provider="2088000000000009",
            public={"alipay_public_key": "—", "serial": "01"},
            sealed=b"\x00\xff sealed",
            version=3,
            fingerprints={"app_private_key": "a1b2"},
            previous=EarlierMaterial(public={"serial": "00"}, sealed=b"\xff old", until=NOW + timedelta(days=1)),
        )
        self.account = self.new_account()

    async def set(self) -> "Stage":
        async with self.unit_of_work() as uow:
            await uow.merchants.add(self.merchant)
            await uow.accounts.add_credential(self.credential)
            await uow.accounts.add(self.account)
        return self

    def new_account(self, **changes: Any) -> ChannelAccount:
        account = ChannelAccount(
            id=self.ids.new("cha"),
            channel=Channel.ALIPAY,
            mode=Mode.TEST,
            credential_id=self.credential.id,
            payee=f"2088{self.ids.token(12)}",
            methods=frozenset({Method.ALIPAY_QR, Method.ALIPAY_WAP}),
            sub_app_id="wx0000000000000001",
            sealed=b"\xff\x00 token",
            cost_rate=Rate(3_800),
            cost_rates={Method.ALIPAY_WAP: Rate(6_000)},
            priority=5,
        )
        return replace(account, **changes)

    def new_order(self, number: str = "", *, now: datetime = NOW, mode: Mode = Mode.TEST, **request: Any) -> Order:
        asked = OrderRequest(
            merchant_order_no=number or self.ids.token(12),
            amount=Money(10_000),
            subject="两斤火龙果 & <b>",
            expires_in=900,
            method=Method.ALIPAY_QR,
            return_url="https://shop.example/back?a=1",
            notify_url="https://shop.example/notify",
            payer_ip="2001:db8::1",
            locale="zh-CN",
            metadata={"table": "7", "备注": "不要塑料袋"},
            profit_sharing=True,
        )
        return Order.place(
            replace(asked, **request),
            id=self.ids.new("ord"),
            merchant_id=self.merchant.id,
            mode=mode,
            token=self.ids.token(27),
            now=now,
            expires_at=now + timedelta(seconds=900),
        )

    def new_attempt(self, order: Order, **changes: Any) -> Attempt:
        attempt = Attempt(
            id=self.ids.new("att"),
            order_id=order.id,
            merchant_id=order.merchant_id,
            mode=order.mode,
            method=Method.ALIPAY_QR,
            account_id=self.account.id,
            number=channel_number(self.ids.new("num").removeprefix("num_")),
            amount=order.amount,
            fund_mode=FundMode.COLLECT,
            terms=Terms(FeePlan(Rate(6_000), minimum=1, maximum=5_000, kept=True), Rate(3_800)),
            created_at=NOW,
            expires_at=order.expires_at,
            payer_id="2088000000000001",
            payer_ip="2001:db8::1",
            return_url="https://shop.example/back",
            notify_url="https://shop.example/notify",
            instalments=6,
            shared=True,
            next_at=NOW + timedelta(seconds=5),
        )
        return replace(attempt, **changes)

    def new_payment(
        self, order: Order, attempt: Attempt, transaction: str = "", unattributed: Unattributed | None = None
    ) -> ChannelPayment:
        receipt = Receipt(
            number=attempt.number,
            transaction_id=transaction or self.ids.token(28),
            total=Money(10_000),
            received=Money(9_900),
            payer_paid=Money(9_500),
            paid_at=NOW,
            app_id=self.credential.app_id,
            payee=self.account.payee,
        )
        return record(
            receipt,
            id=self.ids.new("pay"),
            account=self.account,
            order=order,
            attempt=attempt,
            unattributed=unattributed,
            evidence="notice:1",
            now=NOW + timedelta(seconds=1),
        )

    def new_item(self, payment: ChannelPayment, **changes: Any) -> SuspenseItem:
        item = SuspenseItem(
            id=self.ids.new("sus"),
            payment_id=payment.id,
            account_id=payment.account_id,
            mode=payment.mode,
            amount=payment.received,
            reason=payment.unattributed or Unattributed.SECOND,
            created_at=NOW,
        )
        return replace(item, **changes)

    def new_refund(self, payment: ChannelPayment, **changes: Any) -> Refund:
        refund = Refund(
            id=self.ids.new("ref"),
            order_id=payment.order_id,
            payment_id=payment.id,
            item_id=None,
            merchant_id=self.merchant.id,
            mode=payment.mode,
            account_id=payment.account_id,
            fund_mode=payment.fund_mode,
            number=channel_number(self.ids.new("num").removeprefix("num_")),
            payment_number=payment.number,
            total=payment.total,
            amount=Money(4_000),
            debit=Money(3_960),
            share=Money(24),
            reason="退货",
            origin=RefundOrigin.MERCHANT,
            created_at=NOW,
            draws=Draws(pending=Money(3_936)),
            merchant_refund_no=self.ids.token(12),
            notify_url="https://shop.example/notify",
        )
        return replace(refund, **changes)

    def new_settlement(self, **changes: Any) -> Settlement:
        settlement = Settlement(
            id=self.ids.new("stl"),
            merchant_id=self.merchant.id,
            mode=Mode.TEST,
            number=channel_number(self.ids.new("num").removeprefix("num_")),
            origin=SettlementOrigin.AUTOMATIC,
            swept=Money(10_000),
            amount=Money(9_000),
            fee=Money(100),
            lines=3,
            created_at=NOW,
        )
        return replace(settlement, **changes)

    def new_endpoint(self, url: str | None, **changes: Any) -> Endpoint:
        endpoint = Endpoint(
            id=self.ids.new("whe"),
            merchant_id=self.merchant.id,
            mode=Mode.TEST,
            url=url,
            sealed=b"\x00 sealed",
            created_at=NOW,
        )
        return replace(endpoint, **changes)

    def new_delivery(self, event: Event, endpoint: Endpoint, **changes: Any) -> Delivery:
        delivery = Delivery(
            id=self.ids.new("dlv"),
            event_id=event.id,
            endpoint_id=endpoint.id,
            merchant_id=event.merchant_id,
            mode=Mode(event.mode),
            url=endpoint.url or "https://shop.example/notify",
            lane=endpoint.lane(endpoint.url or "https://shop.example/notify"),
            created_at=NOW,
            next_at=NOW,
        )
        return replace(delivery, **changes)

    async def order(self, number: str = "", **rest: Any) -> Order:
        """A stored order, as it is read back."""
        order = self.new_order(number, **rest)
        async with self.unit_of_work() as uow:
            await uow.orders.add(order)
        return replace(order, events=())

    async def attempt(self, order: Order, **changes: Any) -> Attempt:
        attempt = self.new_attempt(order, **changes)
        async with self.unit_of_work() as uow:
            await uow.attempts.add(attempt)
        return replace(attempt, events=())

    async def payment(self, unattributed: Unattributed | None = None) -> ChannelPayment:
        """A stored payment of an order of its own."""
        order = await self.order()
        payment = self.new_payment(order, await self.attempt(order), unattributed=unattributed)
        async with self.unit_of_work() as uow:
            await uow.payments.add(payment)
        return payment

    async def item(self, reason: Unattributed = Unattributed.SECOND) -> tuple[SuspenseItem, ChannelPayment]:
        payment = await self.payment(reason)
        item = self.new_item(payment)
        async with self.unit_of_work() as uow:
            await uow.suspense.add(item)
        return item, payment

    async def refund(self, payment: ChannelPayment | None = None, **changes: Any) -> Refund:
        refund = self.new_refund(payment or await self.payment(), **changes)
        async with self.unit_of_work() as uow:
            await uow.refunds.add(refund)
        return replace(refund, events=())

    async def settlement(self, **changes: Any) -> Settlement:
        settlement = self.new_settlement(**changes)
        async with self.unit_of_work() as uow:
            await uow.settlements.add(settlement)
        return replace(settlement, events=())

    async def notices(self) -> list[tuple[str, str, str]]:
        """What the inbox holds: account, notice and outcome."""
        page = await self.lists.page(NOTICES, Asked.of(NOTICES, {}), cursor=None, limit=100)
        return sorted((str(row["account_id"]), str(row["notice_id"]), str(row["outcome"])) for row in page.rows)

    async def event(self, order: Order) -> Event:
        """A stored event about an order, announced to the merchant: the order is closed."""
        closed = order.close("merchant", now=NOW)
        async with self.unit_of_work() as uow:
            await uow.orders.save(closed)
        return closed.events[-1]

    async def endpoint(self, url: str | None = "https://shop.example/hooks", **changes: Any) -> Endpoint:
        endpoint = self.new_endpoint(url, **changes)
        async with self.unit_of_work() as uow:
            await uow.endpoints.add(endpoint)
        return endpoint


class OnStage:
    """The base of every database contract. ``patience_seconds`` is how long "it still waits" is watched."""

    patience_seconds = 0.2

    @pytest_asyncio.fixture
    async def stage(self, database: Database) -> Stage:
        return await Stage(database).set()

    async def waits(self, task: "asyncio.Task[Any]") -> bool:
        """Whether the task is still held up after our patience has ended. One that is done is not."""
        done, _ = await asyncio.wait({task}, timeout=self.patience_seconds)
        return not done


async def soon(work: Awaitable[T]) -> T:
    """The result, or TimeoutError: a contract that hangs must fail."""
    return await asyncio.wait_for(work, DEADLINE_SECONDS)


async def end(*tasks: "asyncio.Task[Any]") -> list[Any]:
    """The results of all tasks, exceptions among them."""
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), DEADLINE_SECONDS)


def assert_every_field_is_filled(thing: Any, *, but: frozenset[str] = frozenset({"events"})) -> None:
    """A round trip proves nothing about a field at its default. Fails when a noun gets a field that a sample lacks."""
    for field in fields(thing):
        if field.name in but:
            continue
        value = getattr(thing, field.name)
        assert value is not None, f"{field.name} of the sample is empty"
        if field.default is not MISSING:
            assert value != field.default, f"{field.name} of the sample is at its default"
