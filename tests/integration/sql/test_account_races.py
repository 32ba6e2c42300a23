"""Freezing, adjusting and refunding at once on one merchant: whoever comes second finds what the first has left."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.outbound.sql.promises import SqlPromises
from application.book_entries import EntryWish, FreezeBalance, KeepBooks
from application.ports.storage import UnitOfWork
from domain.account_entries import EntryKind
from domain.actors import SYSTEM
from domain.channels import Mode
from domain.errors import Conflict
from domain.ledger import Account, AccountKind
from domain.merchants import Merchant
from domain.money import Money
from tests.contracts.books import RECEIVABLE, transfer
from tests.contracts.stage import NOW, Stage, end
from tests.fakes.clock import FakeClock
from tests.fakes.ids import FakeIds

Owner = Any  # asyncpg's connection, generic only in its stubs
ROUNDS = 25
HAS, WANTS = 10_000, 4_000


class Table:
    """A merchant with 100.00 available, and people who want 40.00 of it for different ends."""

    def __init__(self, stage: Stage, n: int) -> None:
        self.stage, self.merchant_id = stage, f"mch_race{n}"
        self.books = KeepBooks(FakeClock(), FakeIds(n + 1))
        self.freeze = FreezeBalance(stage.unit_of_work, self.books)

    async def set(self) -> "Table":
        async with self.stage.unit_of_work() as uow:
            await uow.merchants.add(Merchant(id=self.merchant_id, name="race", created_at=NOW))
            await uow.ledger.post(
                [transfer(f"gift:{self.merchant_id}", HAS, credit=self.of(AccountKind.MERCHANT_AVAILABLE))]
            )
        return self

    def of(self, kind: AccountKind) -> Account:
        return Account(kind, self.merchant_id, Mode.TEST, "CNY")

    def wish(self, kind: EntryKind, amount: int = WANTS, reference: str | None = None) -> EntryWish:
        return EntryWish(
            kind=kind,
            mode=Mode.TEST,
            amount=Money(amount),
            reason="race",
            merchant_id=self.merchant_id,
            bank_reference=reference,
        )

    async def freezes(self) -> None:
        await self.freeze(SYSTEM, self.wish(EntryKind.FREEZE))

    async def adjusts(self) -> None:
        async with self.stage.unit_of_work() as uow:
            await self.books.book(uow, SYSTEM, self.wish(EntryKind.DEBIT))

    async def refunds(self) -> None:
        """As a refund of released money reserves: the guard, the balance, MA → MR."""
        async with self.stage.unit_of_work() as uow:
            available = self.of(AccountKind.MERCHANT_AVAILABLE)
            await uow.ledger.guard(available)
            if await uow.ledger.balance(available) < WANTS:
                raise Conflict("too low")
            refunding = self.of(AccountKind.MERCHANT_REFUNDING)
            key = f"refund:{self.merchant_id}"
            await uow.ledger.post([transfer(key, WANTS, debit=available, credit=refunding, about="elsewhere")])

    async def balance(self, kind: AccountKind) -> int:
        async with self.stage.unit_of_work() as uow:
            return await uow.ledger.balance(self.of(kind))


async def at_once(*deeds: Callable[[], Awaitable[object]]) -> list[Any]:
    barrier = asyncio.Barrier(len(deeds))

    async def do(deed: Callable[[], Awaitable[object]]) -> object:
        await barrier.wait()
        return await deed()

    return await end(*(asyncio.create_task(do(deed)) for deed in deeds))


async def test_freeze_refund_and_adjustment_at_once_share_what_is_there(stage: Stage, engine: AsyncEngine) -> None:
    for n in range(ROUNDS):
        table = await Table(stage, n).set()
        outcomes = await at_once(table.freezes, table.adjusts, table.refunds, _rolled_up(stage))
        assert sum(isinstance(each, Conflict) for each in outcomes) == 1, outcomes
        assert sum(each is None for each in outcomes[:3]) == 2, outcomes
        assert await table.balance(AccountKind.MERCHANT_AVAILABLE) == HAS - 2 * WANTS
    broken = [breach.promise for breach in await SqlPromises(engine).broken()]
    assert not {"M1", "M6", "M8", "M9", "M11"} & set(broken), broken


async def test_one_bank_reference_at_once_is_booked_once(stage: Stage) -> None:
    for n in range(ROUNDS):
        table = await Table(stage, n).set()

        async def top_up(table: Table = table, reference: str = f"B-{n}") -> None:
            async with stage.unit_of_work() as uow:
                await table.books.book(uow, SYSTEM, table.wish(EntryKind.TOP_UP, reference=reference))

        outcomes = await at_once(top_up, top_up, top_up)
        assert sorted(type(each).__name__ for each in outcomes) == ["Conflict", "Conflict", "NoneType"]
        assert await table.balance(AccountKind.MERCHANT_AVAILABLE) == HAS + WANTS


async def test_two_top_ups_at_once_repay_a_debt_once(stage: Stage) -> None:
    for n in range(ROUNDS):
        table = await Table(stage, n).set()
        async with stage.unit_of_work() as uow:
            debt = table.of(AccountKind.MERCHANT_DEBT)
            await uow.ledger.post([transfer(f"debt:{n}", 5_000, debit=debt, credit=RECEIVABLE, about="elsewhere")])

        async def top_up(reference: str, table: Table = table) -> None:
            async with stage.unit_of_work() as uow:
                await table.books.book(uow, SYSTEM, table.wish(EntryKind.TOP_UP, reference=reference))

        await at_once(*(partial(top_up, f"D-{n}-{each}") for each in range(2)))
        assert await table.balance(AccountKind.MERCHANT_DEBT) == 0
        assert await table.balance(AccountKind.MERCHANT_AVAILABLE) == HAS + 2 * WANTS - 5_000


def _rolled_up(stage: Stage) -> Callable[[], Awaitable[object]]:
    async def roll_up() -> object:
        async with stage.unit_of_work() as uow:
            return await uow.ledger.roll_up(limit=100)

    return roll_up


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_people_book_in_any_order_no_account_goes_below_zero(stage: Stage, seed: int) -> None:
    table, chance = await Table(stage, seed).set(), random.Random(seed)
    kinds = [EntryKind.FREEZE, EntryKind.UNFREEZE, EntryKind.CREDIT, EntryKind.DEBIT]

    async def book(uow: UnitOfWork, kind: EntryKind, amount: int) -> None:
        await table.books.book(uow, SYSTEM, table.wish(kind, amount))

    available, frozen = HAS, 0
    for _ in range(60):
        kind, amount = chance.choice(kinds), chance.randint(1, 6_000)
        bears = {EntryKind.UNFREEZE: frozen, EntryKind.CREDIT: amount}.get(kind, available) >= amount
        try:
            async with stage.unit_of_work() as uow:
                await book(uow, kind, amount)
        except Conflict:
            assert not bears, (seed, kind, amount)
        else:
            assert bears, (seed, kind, amount)
            moved = {EntryKind.FREEZE: (-1, 1), EntryKind.UNFREEZE: (1, -1), EntryKind.CREDIT: (1, 0)}.get(
                kind, (-1, 0)
            )
            available, frozen = available + moved[0] * amount, frozen + moved[1] * amount
        assert (available, frozen) == (
            await table.balance(AccountKind.MERCHANT_AVAILABLE),
            await table.balance(AccountKind.MERCHANT_FROZEN),
        )
