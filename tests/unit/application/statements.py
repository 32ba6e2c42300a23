"""A house with its reconciliation, and the bills that its Alipay will publish."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from application.close_statement_day import CloseMatchedDays, CloseStatementDay
from application.fetch_statements import FetchDueStatements, FetchStatement
from application.import_statement import ImportStatement
from application.open_statement_days import OpenStatementDays
from application.reconcile import Reconcile
from domain.channels import Channel, Method, Mode
from domain.errors import ChannelRejected
from domain.ledger import Account, AccountKind
from domain.merchants import LatePayment
from domain.numbers import channel_number
from domain.payments import ChannelPayment
from domain.reconciliation import HOLD_DAYS, Discrepancy
from domain.statements import (
    FundLine,
    Line,
    LineKind,
    LineStatus,
    Movement,
    StatementDay,
)
from domain.times import shanghai_day
from tests.fakes.clock import START, FakeClock
from tests.fakes.house import House
from tests.fakes.progress import FakeProgress
from tests.fakes.statements import FakeStatements

ONE = timedelta(days=1)


@dataclass
class Office:
    """A house with its reconciliation, and the bills that its Alipay will publish."""

    clock: FakeClock = field(default_factory=FakeClock)
    hold_days: int = HOLD_DAYS

    def __post_init__(self) -> None:
        self.house = house = House(self.clock)
        self.bills, self.progress = FakeStatements(("BASIC",)), FakeProgress()
        statements = {Channel.ALIPAY: self.bills, Channel.WECHAT: FakeStatements()}
        unit_of_work, clock, ids = house.database.unit_of_work, house.clock, house.ids
        self.open_days = OpenStatementDays(unit_of_work, clock)
        self.import_ = ImportStatement(unit_of_work, statements, clock, ids, self.progress)
        self.reconcile = Reconcile(unit_of_work, clock, ids, self.progress, self.hold_days)
        self.fetch = FetchStatement(unit_of_work, statements, self.import_, self.reconcile, clock)
        self.fetch_due = FetchDueStatements(unit_of_work, self.fetch, clock)
        self.close = CloseStatementDay(unit_of_work, clock, ids)
        self.close_matched = CloseMatchedDays(unit_of_work, self.close)
        self.paid: list[ChannelPayment] = []

    async def trade(self, n: int = 1, *, of_platform: bool = True) -> "Office":
        self.merchant = await self.house.merchant(of_platform=of_platform, late_payment=LatePayment.ACCEPT)
        self.account_id = self.merchant.account_ids[0]
        for no in range(n):
            order = await self.house.paid(self.merchant, Method.ALIPAY_QR, f"A-{no}")
            self.paid += await self.house.payments(order)
        self.day = shanghai_day(self.house.clock.now())
        return self

    def lines(self) -> list[Line]:
        return [line_of(payment, n) for n, payment in enumerate(self.paid, start=1)]

    def flows(self, lines: Sequence[Line], opening: int = 0) -> list[FundLine]:
        flows, balance = list[FundLine](), opening
        for line in lines:
            for movement, amount in ((Movement.PAYMENT, line.received.minor), (Movement.FEE, -line.fee)):
                balance += amount
                flows.append(flow(len(flows) + 1, movement, amount, balance, line.transaction_id))
        return flows

    async def run(
        self, lines: Sequence[Line], flows: Sequence[FundLine] | ChannelRejected | None = None, *, later: int = 0
    ) -> StatementDay:
        """The bills are published and read, ``later`` days are read too, and the day is matched."""
        no_fund_bill = ChannelRejected("not for this account", code="bill_not_permitted")
        self.bills.publish(self.account_id, self.day, lines)
        self.bills.publish(self.account_id, self.day, no_fund_bill if flows is None else flows, fund="BASIC")
        async with self.house.database.unit_of_work() as uow:
            for n in range(later + 1):
                await uow.bills.open_day(
                    StatementDay(account_id=self.account_id, mode=self.mode, day=self.day + n * ONE)
                )
        for n in range(1, later + 1):
            self.bills.publish(self.account_id, self.day + n * ONE, [])
            self.bills.publish(self.account_id, self.day + n * ONE, no_fund_bill, fund="BASIC")
            await self.fetch(self.account_id, self.day + n * ONE)
        return await self.fetch(self.account_id, self.day)

    @property
    def mode(self) -> Mode:
        return self.merchant.endpoint.mode

    async def found(self, day: date | None = None) -> list[Discrepancy]:
        async with self.house.database.unit_of_work() as uow:
            return [one for one in await uow.bills.discrepancies(self.account_id, day or self.day) if one.live]

    async def balance(self, kind: AccountKind, owner: str, fund: str = "") -> int:
        async with self.house.database.unit_of_work() as uow:
            return await uow.ledger.balance(Account(kind, owner, self.mode, "CNY", fund))

    async def receivable(self) -> int:
        return -await self.balance(AccountKind.CHANNEL_RECEIVABLE, self.account_id, "BASIC")


def line_of(payment: ChannelPayment, n: int = 1) -> Line:
    return Line(
        n=n,
        day=payment.channel_date,
        kind=LineKind.PAYMENT,
        number=payment.number,
        payment_number=payment.number,
        transaction_id=payment.transaction_id,
        total=payment.total,
        received=payment.received,
        fee=38,  # 0.38 % of 100.00, as the house's accounts have it
        status=LineStatus.SUCCEEDED,
        at=payment.paid_at,
    )


def flow(n: int, movement: Movement, amount: int, balance: int, transaction_id: str = "") -> FundLine:
    return FundLine(
        n=n,
        fund="BASIC",
        flow_id=f"f{n}",
        transaction_id=transaction_id,
        number="",
        movement=movement,
        amount=amount,
        balance=balance,
        at=START,
    )


NOBODYS = channel_number("01KB5P4Z0W3V7H2M9T8Q6R5N4D")
