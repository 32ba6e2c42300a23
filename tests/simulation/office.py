"""The operators: mina asks, chen and noah decide. What gets no answer they ask again; much is done by two at once."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Any, TypeVar

from application.book_entries import EntryWish
from application.keep_invoices import InvoiceEnd
from application.open_merchant import OpenedMerchant
from application.ports.world import payee_context
from application.settle_held_money import Settlement as ItemEnd
from domain.account_entries import ALONE, FROM_THE_BANK, EntryKind
from domain.actors import Actor, ActorKind
from domain.channels import Channel
from domain.errors import Conflict, PitayaError
from domain.invoices import InvoiceStatus
from domain.ledger import Account, AccountKind
from domain.merchants import BankAccount
from domain.money import CNY, Money
from domain.orders import OrderStatus
from domain.payments import SuspenseStatus
from domain.payouts import PayeeKind, PayoutState
from domain.proposals import Proposal, ProposalStatus
from domain.reconciliation import Difference, DifferenceKind, Discrepancy, Remedy
from domain.settlement_rules import Cycle, SettlementRule
from domain.settlements import Rail, Settlement, SettlementOrigin, SettlementStatus, Source
from domain.statements import DayStatus, StatementDay
from domain.times import shanghai_day
from tests.fakes.treasury import Treasury, person
from tests.simulation.backoffice import BackOffice
from tests.simulation.payees import Payees
from tests.simulation.world import Lost, World

T = TypeVar("T")

MINA, CHEN, NOAH = person("mina"), person("chen"), person("noah")
_KINDS = {Rail.MANUAL: PayeeKind.BANK, Rail.ALIPAY: PayeeKind.ALIPAY_USER, Rail.WECHAT: PayeeKind.WECHAT_OPENID}
_REPAYING = (EntryKind.TOP_UP, EntryKind.CREDIT)
_OPEN = (SettlementStatus.APPROVED, SettlementStatus.PAYING, SettlementStatus.AWAITING_PAYEE)


class Office:
    """Every call goes to one of our web processes, and may be lost on either way."""

    def __init__(self, world: World, payees: Payees, merchants: Sequence[OpenedMerchant]) -> None:
        self._world, self._payees, self._chance = world, payees, world.chance
        self._tables = world.database.tables
        self.merchants = merchants

    # ── Long before, and at night ────────────────────────────────────────────────────────────────────────────────────

    async def agree(self, merchant: OpenedMerchant) -> None:
        """How a merchant is settled and whom its money goes to."""
        chance, house, id_ = self._chance, self._world.house, merchant.merchant.id
        accounts = {self._tables.accounts.committed[each].channel: each for each in merchant.account_ids}
        rail = chance.choice(tuple(Rail))
        channel = None if rail is Rail.MANUAL else Channel(rail)
        fund = house.channels[channel].payouts.fund if channel else ""
        fee = chance.choice((Money(0), Money(0), Money(100)))
        rule = SettlementRule(
            merchant_id=id_,
            cycle=chance.choice((Cycle.MANUAL, Cycle.DAILY)),
            minimum=fee + Money(1),
            maximum=chance.choice((None, None, Money(5_000))),
            fee=fee,
            risk_days=chance.choice((0, 0, 1)),
            source=Source(rail, accounts[channel], fund) if channel else Source(),
        )
        await house.treasury.rules.set(MINA, rule)
        async with house.database.unit_of_work() as uow:
            found = await uow.merchants.lock(id_)
            payee = BankAccount(
                holder="Café",
                bank="招商银行",
                sealed=house.vault.seal(payee_context(id_), b"6225000000006789"),
                last4="6789",
                changed_at=house.clock.now() - timedelta(days=30),
                kind=_KINDS[rail],
            )
            await uow.merchants.save(replace(found, payee=payee))

    async def bills(self, *, late: float = 0.0) -> None:
        """The bills of days that are over have come, some a night later: most match, in some a payment is not there."""
        today, chance = shanghai_day(self._world.clock.now()), self._chance
        days = {(each.account_id, each.channel_date, each.mode) for each in self._tables.payments.committed.values()}
        for account_id, day, mode in sorted(days):
            if day >= today or (account_id, day) in self._tables.days.committed or chance.random() < late:
                continue
            differences = int(chance.random() < 0.3)
            status = DayStatus.WITH_DIFFERENCES if differences else DayStatus.MATCHED
            read = StatementDay(account_id=account_id, mode=mode, day=day, status=status, differences=differences)
            async with self._world.database.unit_of_work() as uow:
                await uow.bills.open_day(read)
                if differences:
                    await uow.bills.add_discrepancy(self._difference(read))

    def _difference(self, day: StatementDay) -> Discrepancy:
        found = Difference(key="missing:1", kind=DifferenceKind.MISSING_THERE, amount=-self._chance.randint(1, 900))
        id_, now = self._world.house.ids.new("dsc"), self._world.clock.now()
        return Discrepancy.of(found, id=id_, account_id=day.account_id, mode=day.mode, day=day.day, now=now)

    async def look_after_days(self) -> None:
        """A difference is written off or put up with, or its day is to be closed in spite of it; somebody tries that
        alone."""
        for each in [one for one in self._tables.discrepancies.committed.values() if one.live]:
            id_, account_id, day = each.id, each.account_id, each.day
            if self._chance.random() < 0.5:
                remedy = self._chance.choice((Remedy.WRITE_OFF, Remedy.ACCEPT_OURS))
                await self._both(partial(_propose_remedy, discrepancy_id=id_, remedy=remedy))
            else:
                await self._both(partial(_propose_closing, account_id=account_id, day=day))
        for row in [one for one in self._tables.days.committed.values() if one.status is DayStatus.WITH_DIFFERENCES]:
            await self._both(partial(_close, account_id=row.account_id, day=row.day))

    async def close_the_books(self) -> None:
        await self._both(lambda treasury: treasury.close_days.sweep())

    async def roll_up(self) -> None:
        await self._do(lambda house: house.roll_up())

    async def automatic_no_more(self) -> None:
        for rule in list(self._tables.settlement_rules.committed.values()):
            await self._world.house.treasury.rules.set(MINA, replace(rule, cycle=Cycle.MANUAL))

    # ── What they ask for ────────────────────────────────────────────────────────────────────────────────────────────

    async def settle(self, merchant: OpenedMerchant) -> None:
        """The merchant or an operator wants it now, and maybe both do."""
        id_, mode = merchant.merchant.id, merchant.endpoint.mode
        own = Actor(kind=ActorKind.MERCHANT_KEY, id="key", name="key", merchant_id=id_)
        asked = ((MINA, SettlementOrigin.OPERATOR), (own, SettlementOrigin.MERCHANT))
        calls = [
            self._ask(partial(_settle, actor=actor, merchant_id=id_, mode=mode, origin=origin))
            for actor, origin in self._chance.choice((asked, asked, asked[:1], asked[1:]))
        ]
        await asyncio.gather(*calls)

    async def book(self, merchant: OpenedMerchant) -> None:
        """Somebody sets an amount aside or wants one booked; a bank's line is entered by two, now and then."""
        chance, owes = self._chance, self._balance(merchant, AccountKind.MERCHANT_DEBT) < 0
        kind = chance.choice(_REPAYING if owes and chance.random() < 0.6 else tuple(EntryKind))
        all_ = max(self._balance(merchant, AccountKind.MERCHANT_AVAILABLE), 1)
        wish = EntryWish(
            kind=kind,
            mode=merchant.endpoint.mode,
            amount=Money(chance.choice((all_, chance.randint(1, 3_000), chance.randint(1, 30_000)))),
            reason="as agreed",
            merchant_id=None if kind is EntryKind.BANK_ARRIVAL else merchant.merchant.id,
            bank_reference=f"IN-{chance.getrandbits(40)}" if kind in FROM_THE_BANK else None,
        )
        if kind in ALONE:
            await self._both(lambda treasury: treasury.freeze(MINA, wish))
        else:
            await self._both(lambda treasury: treasury.propose_entry(MINA, wish))

    def _balance(self, merchant: OpenedMerchant, kind: AccountKind) -> int:
        account = Account(kind, merchant.merchant.id, merchant.endpoint.mode, CNY)
        rows = (row.transfer for row in self._tables.transfers.committed.values())
        return sum(each.amount.minor * ((each.credit == account) - (each.debit == account)) for each in rows)

    async def look_after_items(self) -> None:
        """Held money pays an order after all, goes back, or is written off."""
        for item in list(self._tables.suspense.committed.values()):
            if item.status is not SuspenseStatus.OPEN or self._chance.random() < 0.3:
                continue
            end = self._chance.choice(tuple(ItemEnd))
            payment = self._tables.payments.committed[item.payment_id]
            unpaid = sorted(
                row.order.id
                for row in self._tables.orders.committed.values()
                if row.order.status is OrderStatus.CLOSED and row.order.merchant_id == payment.merchant_id
            )
            order_id = self._chance.choice(unpaid) if end is ItemEnd.ATTRIBUTE and unpaid else None
            if end is not ItemEnd.ATTRIBUTE or order_id is not None:
                await self._ask(partial(_propose_item, item_id=item.id, end=end, order_id=order_id))

    async def issue_invoices(self) -> None:
        await self._both(lambda treasury: treasury.issue_invoices())

    async def end_invoices(self) -> None:
        """What merchants owe for direct payments is paid, or written off; entered by two, now and then."""
        for each in list(self._tables.invoices.committed.values()):
            if each.status is InvoiceStatus.ISSUED:
                end = self._chance.choice(tuple(InvoiceEnd))
                await self._both(partial(_end_invoice, invoice_id=each.id, end=end))

    async def hold(self, merchant: OpenedMerchant) -> None:
        """A merchant is looked into for a while."""
        placed = await self._ask(
            lambda treasury: treasury.holds.place(MINA, merchant.merchant.id, None, "looked into"), times=1
        )
        await self._world.sleep(self._chance.uniform(1, 90))
        if placed is not None:
            await self._ask(lambda treasury: treasury.holds.lift(MINA, placed.id, "nothing found"))

    async def lift_all(self) -> None:
        for hold in list(self._tables.holds.committed.values()):
            if hold.lifted_at is None:
                await self._world.house.treasury.holds.lift(MINA, hold.id, "the end")

    async def take_back(self) -> None:
        """Somebody has second thoughts about a payout."""
        for each in self._settlements(*_OPEN):
            if self._chance.random() < 0.2:
                id_ = each.id
                await self._do(partial(_cancel, settlement_id=id_), times=2)

    # ── What they decide, and what they do with the bank ─────────────────────────────────────────────────────────────

    async def decide(self, *, all_: bool = False) -> None:
        """Whatever waits: most is approved, some not; sometimes two decide, and not the same."""
        waiting = [each for each in self._tables.proposals.committed.values() if each.status is ProposalStatus.PROPOSED]
        await asyncio.gather(*(self._decide(each, all_=all_) for each in waiting))

    async def _decide(self, proposal: Proposal, *, all_: bool) -> None:
        id_, draw = proposal.id, 0.0 if all_ else self._chance.random()
        approve = self._ask(lambda treasury: treasury.decide.approve(CHEN, id_))
        if draw < 0.6:
            await approve
        elif draw < 0.75:
            await asyncio.gather(approve, self._ask(lambda treasury: treasury.decide.approve(NOAH, id_)))
        elif draw < 0.85:
            await asyncio.gather(approve, self._ask(lambda treasury: treasury.decide.reject(NOAH, id_, "no")))
        else:
            approve.close()
            if draw < 0.95:
                await self._ask(lambda treasury: treasury.decide.withdraw(MINA, id_))

    async def bank(self) -> None:
        """The file is taken and handed in; what the bank says is entered, by two at times."""
        payees = self._payees
        for each in self._settlements(SettlementStatus.APPROVED, SettlementStatus.PAYING):
            if _manual(each) and (each.number not in payees.bank or self._chance.random() < 0.2):
                await self._hand_in(each.id)
        for each in self._settlements(SettlementStatus.PAYING, SettlementStatus.PAID):
            if _manual(each) and each.number in payees.bank:
                if each.status is SettlementStatus.PAID and self._chance.random() < 0.15:
                    payees.bounce(each.number)
                await self._enter(each, payees.bank[each.number])
        for each in self._settlements(SettlementStatus.PAID):
            if not _manual(each) and self._rail_says(each) is PayoutState.BOUNCED:
                await self._enter(each, PayoutState.BOUNCED)

    async def _hand_in(self, settlement_id: str) -> None:
        files = await asyncio.gather(
            *(self._do(lambda house: house.export_bank_file(MINA, [settlement_id])) for _ in range(self._twice()))
        )
        for file in files:
            if file is not None:
                self._payees.hand_in(file)

    async def _enter(self, standing: Settlement, end: PayoutState) -> None:
        if (standing.status, end) != (SettlementStatus.PAID, PayoutState.PAID):
            id_, at = standing.id, self._world.clock.now()
            await self._both(
                lambda treasury: treasury.propose_payout_end(MINA, id_, end, reference=f"OUT-{standing.number}", at=at)
            )

    def _rail_says(self, each: Settlement) -> PayoutState | None:
        assert each.source is not None
        payouts = self._world.house.channels[Channel(each.source.rail)].payouts
        return next((report.state for report in payouts.reports() if report.number == each.number), None)

    def _settlements(self, *statuses: SettlementStatus) -> list[Settlement]:
        return [each for each in self._tables.settlements.committed.values() if each.status in statuses]

    # ── How they ask ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _twice(self) -> int:
        return 2 if self._chance.random() < 0.3 else 1

    async def _both(self, work: Callable[[Treasury], Coroutine[Any, Any, T]]) -> None:
        """The same, by two people at once at times."""
        await asyncio.gather(*(self._ask(work) for _ in range(self._twice())))

    async def _ask(self, work: Callable[[Treasury], Coroutine[Any, Any, T]], *, times: int = 3) -> T | None:
        return await self._do(lambda house: work(house.treasury), times=times)

    async def _do(self, work: Callable[[BackOffice], Coroutine[Any, Any, T]], *, times: int = 3) -> T | None:
        for _ in range(times):
            try:
                return await self._world.ask(work)
            except Conflict as refusal:
                self._world.counts[f"refused {refusal.code}"] += 1
                return None
            except (Lost, PitayaError):
                await self._world.sleep(self._chance.uniform(0.2, 6))
        return None


def _manual(standing: Settlement) -> bool:
    return standing.source is not None and standing.source.rail is Rail.MANUAL


async def _settle(treasury: Treasury, *, actor: Actor, merchant_id: str, mode: Any, origin: SettlementOrigin) -> str:
    return (await treasury.settle(actor, merchant_id, mode, origin)).id


async def _propose_item(treasury: Treasury, *, item_id: str, end: ItemEnd, order_id: str | None) -> str:
    return (await treasury.propose_item(MINA, item_id, end, "looked into", order_id=order_id)).id


async def _propose_remedy(treasury: Treasury, *, discrepancy_id: str, remedy: Remedy) -> str:
    return (await treasury.propose_remedy(MINA, discrepancy_id, remedy, "looked into")).id


async def _propose_closing(treasury: Treasury, *, account_id: str, day: date) -> str:
    return (await treasury.propose_remedy.close_day(MINA, account_id, day, "it will come")).id


async def _close(treasury: Treasury, *, account_id: str, day: date) -> bool:
    return (await treasury.close(MINA, account_id, day)).closed


async def _end_invoice(treasury: Treasury, *, invoice_id: str, end: InvoiceEnd) -> str:
    return (await treasury.propose_invoice_end(MINA, invoice_id, end, "as agreed")).id


async def _cancel(house: BackOffice, *, settlement_id: str) -> str:
    return (await house.cancel_payout(MINA, settlement_id, "second thoughts")).id
