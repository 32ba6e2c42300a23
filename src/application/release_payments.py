"""What a payment brought becomes available to its merchant: when its day is closed and its risk days have passed."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from application.crashpoints import crashpoint
from application.ports.settling import Workdays
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock
from domain.errors import NotFound
from domain.ledger import Account, AccountKind
from domain.money import Money
from domain.refunds import of_order
from domain.releases import AGAIN, HELD_FOR, Release
from domain.settlement_postings import debt_repaid, released
from domain.workdays import starts, workdays_after

# Whoever claimed it releases at once. If that one dies, the sweep takes over after this long.
LEASE = timedelta(seconds=30)
DAYS_LEASE = timedelta(minutes=10)  # a day may have a million payments


@dataclass(frozen=True, slots=True)
class ScheduleReleases:
    """One sweep: a closed day's payments get the instant when they are due, by their merchants' risk days."""

    unit_of_work: UnitOfWorkFactory
    workdays: Workdays
    clock: Clock

    async def __call__(self) -> int:
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            claimed = await uow.release_days.claim(now, retry_at=now + DAYS_LEASE)
        if claimed is None:
            return 0
        account_id, day = claimed
        async with self.unit_of_work() as uow:
            rules = await uow.settlement_rules.many(await uow.release_days.merchants(account_id, day))
            dues = {
                merchant_id: starts(workdays_after(day, rule.risk_days, self.workdays.is_workday))
                for merchant_id, rule in rules.items()
            }
            await uow.release_days.schedule(account_id, day, dues)
            await uow.release_days.done(account_id, day)
        return 1


@dataclass(frozen=True, slots=True)
class ReleasePayment:
    """Release one payment, or say when to look again: its day is open (again), its risk days have not passed, it or
    its merchant is on hold, or its merchant's refunds have taken more from pending than they had brought.

    The order's lock keeps it apart from its refunds: one that is reserved before takes pending money, one after it
    available money. A debt is repaid first.
    """

    unit_of_work: UnitOfWorkFactory
    workdays: Workdays
    clock: Clock

    async def __call__(self, found: Release) -> None:
        async with self.unit_of_work() as uow:
            await uow.orders.lock(found.order_id)
            release = await uow.releases.lock(found.payment_id)
            if release is None or release.next_at is None:
                return  # another was faster
            if (until := await self._obstacle(uow, release)) is not None:
                await uow.releases.save(release.waits(until))
                return
            await self._release(uow, release)
            crashpoint("release.before_commit")
        crashpoint("release.after_commit")

    async def _release(self, uow: UnitOfWork, release: Release) -> None:
        now, currency = self.clock.now(), release.net.currency
        left = release.left(of_order(await uow.refunds.of_order(release.order_id)))
        pending, available, debt = (
            Account(kind, release.merchant_id, release.mode, currency)
            for kind in (AccountKind.MERCHANT_PENDING, AccountKind.MERCHANT_AVAILABLE, AccountKind.MERCHANT_DEBT)
        )
        await uow.ledger.guard(pending, available)
        if left > 0:
            amount = min(left, max(await uow.ledger.balance(pending), 0))
        else:
            amount = -min(-left, max(await uow.sweeps.available(available), 0))
        await uow.ledger.post(released(release, amount, now))
        owed = -await uow.ledger.balance(debt)
        if amount > 0 and owed > 0:
            repaid = Money(min(owed, amount), currency)
            cause = f"release:{release.payment_id}:{release.times}"
            await uow.ledger.post(
                debt_repaid(release.merchant_id, release.mode, repaid, now, cause=cause, about=release.payment_id)
            )
        await uow.releases.save(release.moved(amount, now, left=left))

    async def _obstacle(self, uow: UnitOfWork, release: Release) -> datetime | None:
        now = self.clock.now()
        try:
            closed = (await uow.bills.day(release.account_id, release.day)).closed
        except NotFound:
            closed = False
        if not closed:
            return now + AGAIN
        rule = await uow.settlement_rules.of(release.merchant_id)
        due = starts(workdays_after(release.day, rule.risk_days, self.workdays.is_workday))
        if due > now:
            return due
        held = await uow.holds.standing([release.merchant_id, release.order_id])
        return now + HELD_FOR if held else None


@dataclass(frozen=True, slots=True)
class ReleaseDuePayments:
    """One sweep. Whatever was claimed and not released, for whatever reason, is due again after the lease."""

    unit_of_work: UnitOfWorkFactory
    release: ReleasePayment
    clock: Clock
    batch: int = 100

    async def __call__(self) -> int:
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            due = await uow.releases.claim_due(now, retry_at=now + LEASE, limit=self.batch)
        for each in due:
            await self.release(each)
        return len(due)
