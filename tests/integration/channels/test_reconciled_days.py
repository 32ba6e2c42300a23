"""A day of real wire traffic, reconciled: the sandbox's bills through the real adapters against PostgreSQL."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
import pytest_asyncio

from adapters.outbound.alipay import Alipay
from adapters.outbound.sql import SqlDatabase, create_engine
from adapters.outbound.wechat import WechatPay
from application.confirm_attempt import ConfirmAttempt
from application.confirm_refund import ConfirmRefund
from application.fetch_statements import FetchStatement
from application.import_statement import ImportStatement
from application.ports.channels import Statements
from application.reconcile import Reconcile
from domain.channels import Access, Channel, RefundReport, RefundRequest
from domain.ledger import Account, AccountKind
from domain.money import Money, Rate
from domain.payments import ChannelPayment
from domain.reconciliation import DifferenceKind
from domain.statements import DayStatus, StatementDay
from domain.times import shanghai_day
from tests.fakes.clock import FakeClock
from tests.fakes.ids import FakeIds
from tests.fakes.progress import FakeProgress
from tests.integration.channels.conftest import NOWHERE, Sandbox, Side

TORN = {Channel.ALIPAY: ("bill", "bill_truncated"), Channel.WECHAT: ("bill_file", "torn")}


@pytest.fixture(autouse=True)
def _bills_at_once(side: Side, sandbox: Sandbox) -> Any:
    sandbox.post("reset")
    sandbox.post("settings", wechat_bills="now", alipay_bills="now", wechat_refund_gap=0)
    yield
    sandbox.post("settings", wechat_bills="clock", alipay_bills="clock", wechat_refund_gap=60)


class Desk:
    """Reconciliation on a database of its own, for one account of one channel."""

    def __init__(self, database: SqlDatabase, side: Side, access: Access) -> None:
        clock = FakeClock(datetime.now(UTC))
        ids = FakeIds(1, clock)
        self.side, self.clock, self.access, self.unit_of_work = side, clock, access, database.unit_of_work
        self.confirm, self.confirm_refund = ConfirmAttempt(clock, ids), ConfirmRefund(clock, ids)
        self.reconcile = Reconcile(self.unit_of_work, clock, ids, FakeProgress(), hold_days=0)
        assert isinstance(side.adapter, Alipay | WechatPay)
        statements: Mapping[Channel, Statements] = {side.channel: side.adapter}
        import_ = ImportStatement(self.unit_of_work, statements, clock, ids, FakeProgress())
        self.fetch = FetchStatement(self.unit_of_work, statements, import_, self.reconcile, clock)

    @property
    def today(self) -> date:
        return shanghai_day(self.clock.now())

    async def open(self) -> None:
        async with self.unit_of_work() as uow:
            await uow.accounts.add_credential(self.access.credential)
            await uow.accounts.add(self.access.account)
            account = self.access.account
            await uow.bills.open_day(StatementDay(account_id=account.id, mode=account.mode, day=self.today))

    async def paid(self, count: int) -> list[str]:
        """Payments at the channel, of which nobody has told us: their numbers."""
        numbers = []
        for _ in range(count):
            opening = self.side.opening()
            await self.side.adapter.open(self.access, opening)
            self.side.pay(opening)
            numbers.append(opening.number)
        return numbers

    async def take(self, number: str) -> ChannelPayment:
        """What the channel says of this number goes into the records and the books."""
        report = await self.side.adapter.query(self.access, number)
        async with self.unit_of_work() as uow:
            await self.confirm(uow, self.access, report, evidence="query")
        async with self.unit_of_work() as uow:
            payment = await uow.payments.unknown(self.access.account.id, number)
        assert payment is not None
        return payment

    async def refund(self, number: str, fen: int) -> RefundReport:
        """Money goes back at the channel, of which nobody has told us: the channel's word on it."""
        request = RefundRequest(
            number=self.side.opening().number,
            payment_number=number,
            amount=Money(fen),
            total=Money(8888),
            reason="",
            notice_url=NOWHERE,
        )
        return await self.side.adapter.refund(self.access, request)

    async def take_refund(self, report: RefundReport) -> None:
        async with self.unit_of_work() as uow:
            await self.confirm_refund(uow, self.access, report, evidence="query")

    async def run(self) -> StatementDay:
        return await self.fetch(self.access.account.id, self.today)

    async def receivable(self) -> int:
        account = self.access.account
        async with self.unit_of_work() as uow:
            held = Account(AccountKind.CHANNEL_RECEIVABLE, account.id, account.mode, "CNY", "BASIC")
            return -await uow.ledger.balance(held)

    async def found(self) -> set[tuple[DifferenceKind, str]]:
        async with self.unit_of_work() as uow:
            every = await uow.bills.discrepancies(self.access.account.id, self.today)
        return {(one.kind, one.number) for one in every}


@pytest_asyncio.fixture
async def desk(side: Side, database_url: str) -> AsyncIterator[Desk]:
    account = replace(side.access.account, cost_rate=Rate(3_800))
    engine = create_engine(database_url, pool_size=2)
    desk = Desk(SqlDatabase(engine), side, replace(side.access, account=account))
    await desk.open()
    yield desk
    await engine.dispose()


async def test_a_day_whose_records_agree_with_both_bills_is_matched_to_the_fen(desk: Desk) -> None:
    payments = [await desk.take(number) for number in await desk.paid(3)]
    day = await desk.run()
    assert (day.status, day.matched, day.differences, day.held) == (DayStatus.MATCHED, 3, 0, 0), day.note
    assert {"trade", "fund:BASIC"} <= set(day.files)
    received = sum(payment.received.minor for payment in payments)
    fees = sum(Rate(3_800).of(payment.received).minor for payment in payments)
    assert await desk.receivable() == received - fees


async def test_a_day_with_refunds_in_parts_and_in_full_is_matched_to_the_fen(desk: Desk) -> None:
    parts, whole = await desk.paid(2)
    for number in (parts, whole):
        await desk.take(number)
    for number, fen in ((parts, 1_234), (parts, 777), (whole, 8_888)):
        await desk.take_refund(await desk.refund(number, fen))
    day = await desk.run()
    assert (day.status, day.matched, day.differences, day.held) == (DayStatus.MATCHED, 5, 0, 0), await desk.found()
    kept = 8_888 - 1_234 - 777
    assert await desk.receivable() == kept - Rate(3_800).of(Money(kept)).minor
    assert await desk.run() == day


async def test_a_refund_of_which_nobody_told_us_is_found(desk: Desk) -> None:
    (number,) = await desk.paid(1)
    await desk.take(number)
    lost = await desk.refund(number, 888)
    day = await desk.run()
    assert (day.status, await desk.found()) == (
        DayStatus.WITH_DIFFERENCES,
        {(DifferenceKind.MISSING_HERE, lost.number)},
    )
    await desk.take_refund(lost)
    day = await desk.reconcile(desk.access.account.id, desk.today)
    assert (day.status, day.matched, day.differences) == (DayStatus.MATCHED, 2, 0)


async def test_a_payment_of_which_nobody_told_us_is_found_and_one_that_the_bill_tells_otherwise(desk: Desk) -> None:
    told, lost = await desk.paid(2)
    await desk.take(told)
    desk.side.fault("bill", "bill_differs")  # lines of payments say one fen more
    day = await desk.run()
    assert day.status is DayStatus.WITH_DIFFERENCES
    expected, found = {(DifferenceKind.MISSING_HERE, lost), (DifferenceKind.AMOUNT, told)}, await desk.found()
    assert expected <= found
    assert found - expected <= {(DifferenceKind.UNMOVED, number) for number in (told, lost)}  # the fund bill is true


async def test_a_torn_file_leaves_the_day_open_and_says_so(desk: Desk) -> None:
    (number,) = await desk.paid(1)
    await desk.take(number)
    desk.side.fault(*TORN[desk.side.channel])
    day = await desk.run()
    assert not day.read
    assert (day.next_at is not None, day.matched) == (True, 0)
    desk.side.sandbox.clear_faults()
    day = await desk.run()
    assert (day.status, day.matched) == (DayStatus.MATCHED, 1)
