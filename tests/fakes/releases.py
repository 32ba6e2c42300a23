"""Fake repositories of releases, holds and settlement rules."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from domain.channels import FundMode
from domain.errors import NotFound
from domain.payments import SuspenseStatus
from domain.releases import Hold, Release
from domain.settlement_rules import SettlementRule
from domain.workdays import presumed
from tests.fakes.rows import DayToSchedule, Tables
from tests.fakes.storage import Transaction


class FakeWorkdays:
    """Monday to Friday, but for ``holidays``, and ``make_up`` days."""

    def __init__(self, holidays: Collection[date] = (), make_up: Collection[date] = ()) -> None:
        self.holidays, self.make_up = frozenset(holidays), frozenset(make_up)

    def is_workday(self, day: date) -> bool:
        return day in self.make_up or (presumed(day) and day not in self.holidays)

    def known(self, day: date) -> bool:
        return day.year <= 2026


@dataclass(frozen=True, slots=True)
class FakeReleaseDays:
    _tables: Tables
    _transaction: Transaction

    async def due(self, account_id: str, day: date, now: datetime) -> None:
        await self._transaction.statement("release_days.due")
        row = DayToSchedule(account_id, day, now)
        if not await self._transaction.insert(self._tables.release_days, row, ignoring="pk_release_day"):
            await self._transaction.update(self._tables.release_days, row)

    async def claim(self, now: datetime, *, retry_at: datetime) -> tuple[str, date] | None:
        await self._transaction.statement("release_days.claim")
        due = [
            (row.next_at, row.account_id, row.day)
            for row in self._transaction.rows(self._tables.release_days)
            if row.next_at is not None and row.next_at <= now
        ]
        for _, account_id, day in sorted(due):
            if self._transaction.take(self._tables.release_days, (account_id, day)):
                await self._transaction.update(self._tables.release_days, DayToSchedule(account_id, day, retry_at))
                return account_id, day
        return None

    async def merchants(self, account_id: str, day: date) -> Sequence[str]:
        await self._transaction.statement("release_days.merchants")
        return sorted({each.merchant_id for each in self._counted(account_id, day)})

    async def schedule(self, account_id: str, day: date, dues: Mapping[str, datetime]) -> int:
        await self._transaction.statement("release_days.schedule")
        new = [each for each in self._counted(account_id, day) if each.merchant_id in dues]
        added = 0
        for release in new:
            due = replace(release, next_at=dues[release.merchant_id])
            added += await self._transaction.insert(self._tables.releases, due, ignoring="pk_release")
        return added

    async def done(self, account_id: str, day: date) -> None:
        await self._transaction.statement("release_days.done")
        await self._transaction.update(self._tables.release_days, DayToSchedule(account_id, day, None))

    def _counted(self, account_id: str, day: date) -> list[Release]:
        found = []
        for payment in self._transaction.rows(self._tables.payments):
            item = self._transaction.find(self._tables.suspense, "uq_suspense_item_payment", payment.id)
            attributed = item if item is not None and item.status is SuspenseStatus.ATTRIBUTED else None
            order_id = attributed.order_id if attributed is not None else payment.order_id
            counts = attributed is not None or payment.unattributed is None
            ours = (payment.account_id, payment.channel_date, payment.fund_mode) == (account_id, day, FundMode.COLLECT)
            if not ours or not counts or self._transaction.get(self._tables.releases, payment.id) is not None:
                continue
            assert order_id is not None
            order = self._transaction.get(self._tables.orders, order_id)
            assert order is not None
            found.append(
                Release(
                    payment_id=payment.id,
                    order_id=order_id,
                    merchant_id=order.order.merchant_id,
                    mode=payment.mode,
                    account_id=account_id,
                    day=day,
                    net=payment.received - (attributed.fee if attributed is not None else payment.fee),
                    next_at=None,
                )
            )
        return found


@dataclass(frozen=True, slots=True)
class FakeReleases:
    _tables: Tables
    _transaction: Transaction

    async def of_payment(self, payment_id: str) -> Release | None:
        await self._transaction.statement("releases.of_payment")
        return self._transaction.get(self._tables.releases, payment_id)

    async def lock(self, payment_id: str) -> Release | None:
        await self._transaction.statement("releases.lock")
        return await self._transaction.lock(self._tables.releases, payment_id)

    async def save(self, release: Release) -> None:
        await self._transaction.statement("releases.save")
        await self._transaction.update(self._tables.releases, release)

    async def claim_due(self, now: datetime, *, retry_at: datetime, limit: int) -> Sequence[Release]:
        await self._transaction.statement("releases.claim_due")
        due = [
            (each.next_at, each.payment_id, each)
            for each in self._transaction.rows(self._tables.releases)
            if each.next_at is not None and each.next_at <= now
        ]
        claimed: list[Release] = []
        for _, _, release in sorted(due, key=lambda each: each[:2]):
            if len(claimed) < limit and self._transaction.take(self._tables.releases, release.payment_id):
                claimed.append(release.waits(retry_at))
                await self._transaction.update(self._tables.releases, claimed[-1])
        return sorted(claimed, key=lambda each: each.payment_id)

    async def wake(self, subject: str, now: datetime) -> None:
        await self._transaction.statement("releases.wake")
        waiting = [each for each in self._transaction.rows(self._tables.releases) if each.next_at is not None]
        for release in waiting:
            if subject in (release.merchant_id, release.order_id):
                await self._transaction.update(self._tables.releases, release.waits(now))


@dataclass(frozen=True, slots=True)
class FakeHolds:
    _tables: Tables
    _transaction: Transaction

    async def standing(self, subjects: Collection[str]) -> Sequence[Hold]:
        await self._transaction.statement("holds.standing")
        rows = self._transaction.rows(self._tables.holds)
        found = [each for each in rows if each.subject in subjects and each.lifted_at is None]
        return sorted(found, key=lambda each: (each.placed_at, each.id))

    async def add(self, hold: Hold) -> None:
        await self._transaction.statement("holds.add")
        await self._transaction.insert(self._tables.holds, hold)

    async def lock(self, hold_id: str) -> Hold:
        await self._transaction.statement("holds.lock")
        hold = await self._transaction.lock(self._tables.holds, hold_id)
        if hold is None:
            raise NotFound("no such hold")
        return hold

    async def save(self, hold: Hold) -> None:
        await self._transaction.statement("holds.save")
        await self._transaction.update(self._tables.holds, hold)

    async def of_merchant(self, merchant_id: str) -> Sequence[Hold]:
        await self._transaction.statement("holds.of_merchant")
        found = [each for each in self._transaction.rows(self._tables.holds) if each.merchant_id == merchant_id]
        return sorted(found, key=lambda each: (each.placed_at, each.id), reverse=True)


@dataclass(frozen=True, slots=True)
class FakeSettlementRules:
    _tables: Tables
    _transaction: Transaction

    async def of(self, merchant_id: str) -> SettlementRule:
        await self._transaction.statement("settlement_rules.of")
        found = self._transaction.get(self._tables.settlement_rules, merchant_id)
        return found or SettlementRule(merchant_id=merchant_id)

    async def many(self, merchant_ids: Collection[str]) -> Mapping[str, SettlementRule]:
        return {merchant_id: await self.of(merchant_id) for merchant_id in merchant_ids}

    async def lock(self, merchant_id: str) -> SettlementRule:
        await self._transaction.statement("settlement_rules.lock")
        found = await self._transaction.lock(self._tables.settlement_rules, merchant_id)
        return found or SettlementRule(merchant_id=merchant_id)

    async def claim_due(self, now: datetime) -> SettlementRule | None:
        await self._transaction.statement("settlement_rules.claim_due")
        due = [
            (rule.next_at, rule.merchant_id)
            for rule in self._transaction.rows(self._tables.settlement_rules)
            if rule.next_at is not None and rule.next_at <= now
        ]
        for _, merchant_id in sorted(due):
            if self._transaction.take(self._tables.settlement_rules, merchant_id):
                return self._transaction.get(self._tables.settlement_rules, merchant_id)
        return None

    async def save(self, rule: SettlementRule) -> None:
        await self._transaction.statement("settlement_rules.save")
        if not await self._transaction.insert(self._tables.settlement_rules, rule, ignoring="pk_settlement_rule"):
            await self._transaction.update(self._tables.settlement_rules, rule)
