"""What follows a sale, wired on a House: days close, payments are released, settlements made, and people decide."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from application.approve_settlement import ApproveSettlement, DeclineSettlement
from application.book_entries import APPROVE as APPROVES_ENTRIES
from application.book_entries import BOOK, BookEntry, FreezeBalance, KeepBooks, ProposeEntry
from application.close_day import CloseDay, ProveDays
from application.close_statement_day import CloseMatchedDays, CloseStatementDay
from application.keep_invoices import APPROVE as APPROVES_INVOICES
from application.keep_invoices import SETTLE_INVOICE, IssueInvoices, ProposeInvoiceEnd, SettleInvoice
from application.keep_settlement_rules import KeepHolds, KeepSettlementRules
from application.manual_payouts import APPROVES as APPROVES_PAYOUTS
from application.manual_payouts import RECORD_PAYOUT, ProposePayoutEnd, RecordPayoutEnd
from application.open_merchant import OpenedMerchant
from application.ports.promises import Breach
from application.propose import DecideProposal, Executors, ExpireProposals, Propose
from application.release_payments import ReleaseDuePayments, ReleasePayment, ScheduleReleases
from application.resolve_discrepancy import APPROVE as APPROVES_DAYS
from application.resolve_discrepancy import CLOSE_DAY, RESOLVE, ProposeRemedy, ResolveDiscrepancy
from application.settle import APPROVE_SETTLEMENT, APPROVES, Settle, SettleDueMerchants
from application.settle_held_money import APPROVE as APPROVES_ITEMS
from application.settle_held_money import SETTLE, ProposeSettlement, SettleHeldMoney
from domain.actors import SYSTEM, Actor, ActorKind
from domain.channels import Mode
from domain.ledger import PLATFORM, Account, AccountKind, Transfer
from domain.merchants import BankAccount
from domain.money import Money
from domain.proposals import Proposal, ProposalStatus
from domain.releases import Release
from domain.settlement_rules import SettlementRule
from domain.settlements import Settlement, SettlementOrigin
from domain.statements import DayStatus, StatementDay
from domain.times import shanghai_day
from tests.fakes.clock import FakeClock
from tests.fakes.closings import FakeRoots
from tests.fakes.house import House
from tests.fakes.promises import FakePromises
from tests.fakes.releases import FakeWorkdays

_APPROVES = frozenset({APPROVES, APPROVES_PAYOUTS, APPROVES_ENTRIES, APPROVES_ITEMS, APPROVES_INVOICES, APPROVES_DAYS})


def person(name: str) -> Actor:
    return Actor(kind=ActorKind.OPERATOR, id=f"opr_{name}", name=name, permissions=_APPROVES)


@dataclass
class Treasury:
    """``mina`` asks, ``chen`` approves."""

    house: House
    roots: FakeRoots = field(default_factory=FakeRoots)

    def __post_init__(self) -> None:
        house = self.house
        unit_of_work, clock, ids = house.database.unit_of_work, house.clock, house.ids
        self.workdays = FakeWorkdays()
        keep_books = KeepBooks(clock, ids)
        self.close = CloseStatementDay(unit_of_work, clock, ids)
        resolve = ResolveDiscrepancy(house.confirm, house.confirm_refund, self.close, clock, ids)
        executors: Executors = {
            APPROVE_SETTLEMENT: ApproveSettlement(clock, ids),
            RECORD_PAYOUT: RecordPayoutEnd(house.confirm_payout),
            BOOK: BookEntry(keep_books),
            RESOLVE: resolve,
            CLOSE_DAY: resolve.close_day,
            SETTLE: SettleHeldMoney(clock, ids),
            SETTLE_INVOICE: SettleInvoice(clock),
        }
        decliners = {APPROVE_SETTLEMENT: DeclineSettlement(clock)}
        propose = Propose(unit_of_work, executors, clock, ids)
        self.schedule = ScheduleReleases(unit_of_work, self.workdays, clock)
        self.release = ReleasePayment(unit_of_work, self.workdays, clock)
        self.release_due = ReleaseDuePayments(unit_of_work, self.release, clock)
        self.settle = Settle(unit_of_work, propose, clock, ids)
        self.settle_due = SettleDueMerchants(unit_of_work, self.settle, self.workdays, clock)
        self.decide = DecideProposal(unit_of_work, executors, clock, ids, decliners)
        self.expire = ExpireProposals(unit_of_work, clock, ids, decliners)
        self.rules = KeepSettlementRules(unit_of_work, house.rails, self.workdays, clock, ids)
        self.holds = KeepHolds(unit_of_work, clock, ids)
        self.propose_remedy = ProposeRemedy(unit_of_work, propose)
        self.close_matched = CloseMatchedDays(unit_of_work, self.close)
        self.close_days = CloseDay(unit_of_work, self.roots, clock)
        self.prove_days = ProveDays(unit_of_work, self.roots)
        self.freeze = FreezeBalance(unit_of_work, keep_books)
        self.propose_entry = ProposeEntry(unit_of_work, propose)
        self.propose_payout_end = ProposePayoutEnd(unit_of_work, propose)
        self.propose_item = ProposeSettlement(unit_of_work, propose)
        self.issue_invoices = IssueInvoices(unit_of_work, clock, ids)
        self.propose_invoice_end = ProposeInvoiceEnd(unit_of_work, propose)
        self.mina, self.chen = person("mina"), person("chen")

    async def rule(self, merchant: OpenedMerchant, **changes: Any) -> SettlementRule:
        return await self.rules.set(self.mina, SettlementRule(merchant_id=merchant.merchant.id, **changes))

    async def close_day(self, day: date) -> None:
        """Of every channel account, as if its bills had come and matched."""
        for account in list(self.house.database.tables.accounts.committed.values()):
            await self.close_one(account.id, account.mode, day)

    async def close_one(self, account_id: str, mode: Mode, day: date) -> None:
        """Its bills have come and match."""
        async with self.house.database.unit_of_work() as uow:
            await uow.bills.open_day(StatementDay(account_id=account_id, mode=mode, day=day, status=DayStatus.MATCHED))
        await self.close(SYSTEM, account_id, day)

    async def next_days(self, n: int) -> None:
        """So many days later: each day closed, and what is due released."""
        clock = self.house.clock
        assert isinstance(clock, FakeClock)
        for _ in range(n):
            today = shanghai_day(clock.now())
            clock.advance(86_400)
            await self.close_day(today)
            await self.sweep()

    async def sweep(self) -> None:
        while await self.schedule():
            pass
        while await self.release_due():
            pass

    async def payee(self, merchant: OpenedMerchant) -> None:
        """One that was approved long ago."""
        async with self.house.database.unit_of_work() as uow:
            found = await uow.merchants.lock(merchant.merchant.id)
            since = self.house.clock.now() - timedelta(days=30)
            payee = BankAccount(holder="Café", bank="招商银行", sealed=b"\x01", last4="6789", changed_at=since)
            await uow.merchants.save(replace(found, payee=payee))

    async def adjusted(self, merchant: OpenedMerchant, minor: int, key: str) -> None:
        """So much is available, whatever for."""
        ends = (AccountKind.ADJUSTMENT, PLATFORM), (AccountKind.MERCHANT_AVAILABLE, merchant.merchant.id)
        debit, credit = (Account(kind, owner, Mode.TEST, "CNY") for kind, owner in ends)
        transfer = Transfer(
            idem_key=f"adjusted:{key}",
            fact="given",
            debit=debit,
            credit=credit,
            amount=Money(minor),
            about=merchant.merchant.id,
            channel_date=shanghai_day(self.house.clock.now()),
        )
        async with self.house.database.unit_of_work() as uow:
            await uow.ledger.post([transfer])

    async def settled(self, merchant: OpenedMerchant) -> Settlement:
        return await self.settle(self.mina, merchant.merchant.id, Mode.TEST, SettlementOrigin.OPERATOR)

    async def proposal(self, settlement: Settlement) -> Proposal:
        rows = self.house.database.tables.proposals.committed.values()
        return next(each for each in rows if each.payload["settlement_id"] == settlement.id)

    async def approved(self, settlement: Settlement) -> Settlement:
        await self.decide.approve(self.chen, (await self.proposal(settlement)).id)
        return await self.now(settlement)

    async def now(self, settlement: Settlement) -> Settlement:
        async with self.house.database.unit_of_work() as uow:
            return await uow.settlements.get(settlement.id)

    def open_proposals(self) -> Sequence[Proposal]:
        rows = self.house.database.tables.proposals.committed.values()
        return [each for each in rows if each.status is ProposalStatus.PROPOSED]

    def releases(self) -> Sequence[Release]:
        return list(self.house.database.tables.releases.committed.values())

    async def wrong(self) -> list[Breach]:
        """The promises about money that are broken. (Nobody delivers here, so the others are.)"""
        breaches = await FakePromises(self.house.database.tables, self.house.clock).broken()
        return [each for each in breaches if each.promise.startswith(("M", "R"))]
