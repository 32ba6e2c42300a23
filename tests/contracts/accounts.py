"""Contract of the accounts' read models: balances of one moment, and a history that adds up and never moves."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from domain.bookkeeping import payment_received, refund_reserved
from domain.channels import Mode
from domain.errors import InvalidRequest, NotFound
from domain.ledger import Account, AccountKind
from tests.contracts.books import INCOME, PENDING, RECEIVABLE, transfer
from tests.contracts.pages import FOREIGN_CURSORS
from tests.contracts.stage import DEADLINE_SECONDS, OnStage, Stage


async def history(stage: Stage, account: Account, *, limit: int = 100, expected: int = 0) -> list[dict[str, Any]]:
    """All lines, page by page; waits a moment for those that an open transaction elsewhere may still precede."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while True:
        rows, cursor = list[dict[str, Any]](), None
        while True:
            page = await stage.account_queries.history(account, cursor=cursor, limit=limit)
            assert len(page.rows) <= limit
            rows += [dict(row) for row in page.rows]
            cursor = page.next_cursor
            if cursor is None:
                break
        if len(rows) >= expected or asyncio.get_running_loop().time() > deadline:
            return rows
        await asyncio.sleep(0.01)


class AccountsContract(OnStage):
    async def test_balances_are_of_one_moment_and_zero_where_nothing_was(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("a", 9_940), transfer("b", 60, credit=INCOME)])
        nobody = replace(PENDING, owner="mch_nobody")
        found = await stage.account_queries.balances([PENDING, INCOME, RECEIVABLE, nobody])
        assert found == {PENDING: 9_940, INCOME: 60, RECEIVABLE: -10_000, nobody: 0}
        assert await stage.account_queries.balances([]) == {}

    async def test_an_account_is_known_by_its_id(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("a", 1)])
        assert await stage.account_queries.account(RECEIVABLE.id) == RECEIVABLE
        with pytest.raises(NotFound):
            await stage.account_queries.account(INCOME.id)

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    @pytest.mark.parametrize("rolled_up", [0, 3, 5])
    async def test_a_history_is_newest_first_and_each_line_says_what_the_account_came_to(
        self, stage: Stage, limit: int, rolled_up: int
    ) -> None:
        for n, (amount, out) in enumerate([(100, False), (40, True), (7, False), (60, True), (1, False)]):
            ends: dict[str, Any] = {"debit": PENDING, "credit": RECEIVABLE} if out else {}
            async with stage.unit_of_work() as uow:
                await uow.ledger.post([transfer(f"t{n}", amount, **ends), transfer(f"fee{n}", credit=INCOME)])
        await history(stage, PENDING, expected=5)
        if rolled_up:
            async with stage.unit_of_work() as uow:
                await uow.ledger.roll_up(limit=rolled_up)
        rows = await history(stage, PENDING, limit=limit, expected=5)
        assert [row["idem_key"] for row in rows] == ["t4", "t3", "t2", "t1", "t0"]
        assert [(row["amount"], row["balance_after"]) for row in rows] == [
            (1, 8),
            (-60, 7),
            (7, 67),
            (-40, 60),
            (100, 100),
        ]
        assert {(row["fact"], row["about"], row["currency"]) for row in rows} == {("payment", "pay_1", "CNY")}

    async def test_what_comes_meanwhile_changes_no_page_that_follows(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer(f"t{n}", 10) for n in range(4)])
        await history(stage, PENDING, expected=4)
        first = await stage.account_queries.history(PENDING, cursor=None, limit=2)
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("later", 1_000)])
        second = await stage.account_queries.history(PENDING, cursor=first.next_cursor, limit=2)
        assert [row["balance_after"] for row in (*first.rows, *second.rows)] == [40, 30, 20, 10]

    async def test_a_line_names_the_order_behind_a_payment_and_behind_its_refund(self, stage: Stage) -> None:
        payment = await stage.payment()
        refund = await stage.refund(payment)
        async with stage.unit_of_work() as uow:
            await uow.ledger.post(payment_received(payment))
            await uow.ledger.post(refund_reserved(refund))
        assert payment.merchant_id is not None
        pending = Account(AccountKind.MERCHANT_PENDING, payment.merchant_id, payment.mode, "CNY")
        rows = await history(stage, pending, expected=2)
        assert [(row["about"], row["order_id"]) for row in rows] == [
            (refund.id, payment.order_id),
            (payment.id, payment.order_id),
        ]

    @pytest.mark.parametrize("cursor", FOREIGN_CURSORS)
    async def test_a_foreign_cursor_of_a_history_is_refused(self, stage: Stage, cursor: str) -> None:
        with pytest.raises(InvalidRequest) as refused:
            await stage.account_queries.history(PENDING, cursor=cursor, limit=5)
        assert refused.value.code == "cursor_invalid"

    async def test_a_cursor_is_of_one_account(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer(f"t{n}", 10) for n in range(3)])
        await history(stage, PENDING, expected=3)
        page = await stage.account_queries.history(PENDING, cursor=None, limit=1)
        with pytest.raises(InvalidRequest):
            await stage.account_queries.history(replace(PENDING, mode=Mode.LIVE), cursor=page.next_cursor, limit=1)
