"""Faults to plant in the days after a sale (see planted.py): somebody is paid twice, too early, or not at all."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime

from application.book_entries import BOOK, BookEntry, EntryWish, KeepBooks
from application.check_payout import CheckPayout
from application.close_statement_day import CloseStatementDay
from application.confirm_attempt import Confirmation, Outcome
from application.confirm_payout import ConfirmPayout
from application.pay_out import PayOut
from application.ports.storage import UnitOfWork
from application.release_payments import ReleasePayment
from application.settle import Settle
from domain.account_entries import AccountEntry
from domain.actors import Actor
from domain.channels import Access, Mode
from domain.errors import OutcomeUnknown
from domain.ledger import Account
from domain.money import Money
from domain.payouts import PayoutReport, PayoutState
from domain.releases import Release
from domain.settlement_rules import SettlementRule
from domain.settlements import Settlement, SettlementOrigin, SettlementStatus
from domain.statements import StatementDay
from tests.simulation.backoffice import BackOffice
from tests.simulation.planting import AFTERWARDS, Planted


@contextmanager
def _unguarded(uow: UnitOfWork) -> Iterator[None]:
    """What is read in here may be stale before it is used."""

    async def guard(*_: Account) -> None:
        pass

    honest, uow.ledger.guard = uow.ledger.guard, guard  # type: ignore[method-assign]
    try:
        yield
    finally:
        uow.ledger.guard = honest  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class _Lockless(Settle):
    async def _sweep(self, uow: UnitOfWork, rule: SettlementRule, mode: Mode, origin: SettlementOrigin) -> Settlement:
        with _unguarded(uow):
            return await Settle._sweep(self, uow, rule, mode, origin)


def settle_without_the_guard(house: BackOffice) -> None:
    """Double settlement: two who settle at once sweep the same transfers."""
    treasury = house.treasury
    treasury.settle = _Lockless(house.database.unit_of_work, treasury.settle.propose, house.clock, house.ids)
    treasury.settle_due = replace(treasury.settle_due, settle=treasury.settle)


@dataclass(frozen=True, slots=True)
class _Impatient(CheckPayout):
    async def __call__(self, standing: Settlement) -> Settlement:
        if standing.status is SettlementStatus.PAYING:
            again = replace(standing, number=f"{standing.number[:-1]}X")
            return await self.pay_out.call(again, await self.access(standing))
        return await CheckPayout.__call__(self, standing)


def pay_again_under_another_number(house: BackOffice) -> None:
    """A payout whose answer was lost is sent once more, with a new number."""
    check = _Impatient(house.database.unit_of_work, house.pay_out)
    house.check_due_payouts = replace(house.check_due_payouts, check=check)


@dataclass(frozen=True, slots=True)
class _Sure(PayOut):
    async def call(self, standing: Settlement, access: Access) -> Settlement:
        try:
            report = await self.rail(access).pay(access, self._request(standing, access))
        except OutcomeUnknown:
            report = PayoutReport(number=standing.number, state=PayoutState.FAILED, detail="no answer")
        return await self.take(standing, access, report)


def take_a_payout_that_timed_out_for_failed(house: BackOffice) -> None:
    """No answer counts as a no: the money goes back to the merchant, and the payee has it too."""
    honest = house.pay_out
    sure = _Sure(
        house.database.unit_of_work, honest.rails, honest.confirm, house.vault, house.clock, house.hints, "https://x"
    )
    house.check_due_payouts = replace(house.check_due_payouts, check=CheckPayout(house.database.unit_of_work, sure))


@dataclass(frozen=True, slots=True)
class _Careless(ConfirmPayout):
    async def _bounced(self, uow: UnitOfWork, standing: Settlement, report: PayoutReport) -> Confirmation:
        if standing.status is not SettlementStatus.PAID:
            return Confirmation(Outcome.KNOWN)
        await uow.settlements.save(standing.bounced("bounced", self.clock.now()))
        return Confirmation(Outcome.PAYOUT)


def lose_what_bounced(house: BackOffice) -> None:
    """退票 changes the settlement's state, and the money stays on its way for ever."""
    careless = _Careless(house.clock)
    house.receive_notice = replace(house.receive_notice, confirm_payout=careless)
    pay_out = replace(house.pay_out, confirm=careless)
    house.check_due_payouts = replace(house.check_due_payouts, check=CheckPayout(house.database.unit_of_work, pay_out))


@dataclass(frozen=True, slots=True)
class _Eager(ReleasePayment):
    async def _obstacle(self, uow: UnitOfWork, release: Release) -> datetime | None:
        return None


def release_before_the_day_is_closed(house: BackOffice) -> None:
    """When its bill is there a day's money goes to the merchants, and the day is closed a minute later."""
    treasury, unit_of_work = house.treasury, house.database.unit_of_work
    treasury.release_due = replace(treasury.release_due, release=_Eager(unit_of_work, treasury.workdays, house.clock))
    honest = treasury.close_matched

    async def close_matched() -> int:
        async with unit_of_work() as uow:
            days = await uow.bills.ready_to_close(limit=100)
            for day in days:
                await uow.release_days.due(day.account_id, day.day, house.clock.now())
        await asyncio.sleep(60)
        return await honest()

    treasury.close_matched = close_matched  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class _Hasty(CloseStatementDay):
    async def within(
        self, uow: UnitOfWork, actor: Actor, account_id: str, day: date, *, approved: bool
    ) -> StatementDay:
        return await CloseStatementDay.within(self, uow, actor, account_id, day, approved=True)


def close_a_day_alone_in_spite_of_a_difference(house: BackOffice) -> None:
    """Whoever closes a day is believed to know what is still open in it."""
    house.treasury.close = _Hasty(house.database.unit_of_work, house.clock, house.ids)


@dataclass(frozen=True, slots=True)
class _Lenient(KeepBooks):
    async def _repay(self, uow: UnitOfWork, entry: AccountEntry, wish: EntryWish) -> Money:
        return Money(0, wish.amount.currency)


def let_debts_be(house: BackOffice) -> None:
    """What is topped up or credited is available, whatever the merchant owes."""
    _book_with(house, _Lenient(house.clock, house.ids))


@dataclass(frozen=True, slots=True)
class _Trusting(KeepBooks):
    async def book(
        self, uow: UnitOfWork, actor: Actor, wish: EntryWish, *, proposed_by: str | None = None
    ) -> AccountEntry:
        with _unguarded(uow):
            return await KeepBooks.book(self, uow, actor, wish, proposed_by=proposed_by)


def book_without_the_guard(house: BackOffice) -> None:
    """Whether the balance bears it is looked at first, and two at once both find that it does."""
    _book_with(house, _Trusting(house.clock, house.ids))


def _book_with(house: BackOffice, books: KeepBooks) -> None:
    treasury = house.treasury
    treasury.freeze = replace(treasury.freeze, books=books)
    treasury.decide = replace(treasury.decide, executors={**treasury.decide.executors, BOOK: BookEntry(books)})


PLANTED_AFTERWARDS = (
    Planted(settle_without_the_guard, "M7", AFTERWARDS),
    Planted(pay_again_under_another_number, "paid out, and no settlement's", AFTERWARDS),
    Planted(take_a_payout_that_timed_out_for_failed, "where it was made", AFTERWARDS),
    Planted(lose_what_bounced, "M7", AFTERWARDS),
    Planted(release_before_the_day_is_closed, "and its day was closed at", AFTERWARDS),
    Planted(close_a_day_alone_in_spite_of_a_difference, "closed by one person alone", AFTERWARDS),
    Planted(let_debts_be, "is owed still", AFTERWARDS),
    Planted(book_without_the_guard, "M6", AFTERWARDS),
)
