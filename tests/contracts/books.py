"""Contract of the ledger: posted once by key, a balance is the sum of its rows."""

import asyncio
from dataclasses import replace
from datetime import date

import pytest

from domain.channels import Mode
from domain.ledger import PLATFORM, Account, AccountKind, Transfer
from domain.money import Money
from tests.contracts.stage import OnStage, Stage

DAY = date(2026, 11, 22)
RECEIVABLE = Account(AccountKind.CHANNEL_RECEIVABLE, "cha_1", Mode.TEST, "CNY", "BASIC")
PENDING = Account(AccountKind.MERCHANT_PENDING, "mch_1", Mode.TEST, "CNY")
INCOME = Account(AccountKind.FEE_INCOME, PLATFORM, Mode.TEST, "CNY")


def transfer(
    key: str, minor: int = 100, *, debit: Account = RECEIVABLE, credit: Account = PENDING, about: str = "pay_1"
) -> Transfer:
    return Transfer(
        idem_key=key, fact="payment", debit=debit, credit=credit, amount=Money(minor), about=about, channel_date=DAY
    )


class LedgerContract(OnStage):
    async def test_a_balance_is_credits_minus_debits_this_unit_of_work_included(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            assert await uow.ledger.balance(PENDING) == 0
            await uow.ledger.post([transfer("a", 9_940), transfer("b", 60, credit=INCOME)])
            assert await uow.ledger.balance(PENDING) == 9_940
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("c", 40, debit=PENDING, credit=RECEIVABLE)])
        async with stage.unit_of_work() as uow:
            assert await uow.ledger.balance(PENDING) == 9_900
            assert await uow.ledger.balance(INCOME) == 60
            assert await uow.ledger.balance(RECEIVABLE) == -9_960

    @pytest.mark.parametrize(
        "other",
        [
            replace(PENDING, owner="mch_2"),
            replace(PENDING, mode=Mode.LIVE),
            replace(PENDING, currency="USD"),
            replace(PENDING, kind=AccountKind.MERCHANT_AVAILABLE),
            replace(PENDING, fund="BASIC"),
        ],
    )
    async def test_accounts_that_differ_in_one_thing_have_balances_of_their_own(
        self, stage: Stage, other: Account
    ) -> None:
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("a")])
        async with stage.unit_of_work() as uow:
            assert await uow.ledger.balance(other) == 0

    async def test_posting_an_equal_transfer_again_changes_nothing(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("a")])
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("a"), transfer("b")])
        async with stage.unit_of_work() as uow:
            assert await uow.ledger.balance(PENDING) == 200

    @pytest.mark.parametrize(
        "other",
        [
            transfer("a", 101),
            transfer("a", debit=PENDING, credit=RECEIVABLE),
            transfer("a", credit=INCOME),
            replace(transfer("a"), fact="refund"),
            replace(transfer("a"), about="pay_2"),
            replace(transfer("a"), channel_date=date(2026, 11, 23)),
        ],
    )
    async def test_another_transfer_under_a_key_is_a_bug_and_nothing_of_its_unit_remains(
        self, stage: Stage, other: Transfer
    ) -> None:
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("a")])
        with pytest.raises(AssertionError):
            async with stage.unit_of_work() as uow:
                await uow.ledger.post([transfer("b"), other])
        async with stage.unit_of_work() as uow:
            assert await uow.ledger.balance(PENDING) == 100

    async def test_a_rolled_back_posting_never_was_and_may_come_again(self, stage: Stage) -> None:
        with pytest.raises(KeyError):
            async with stage.unit_of_work() as uow:
                await uow.ledger.post([transfer("a", 1)])
                raise KeyError
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("a", 2)])
        async with stage.unit_of_work() as uow:
            assert await uow.ledger.balance(PENDING) == 2

    async def test_what_was_posted_about_an_object_is_listed_oldest_first(self, stage: Stage) -> None:
        first, second, third = transfer("b"), transfer("a", credit=INCOME), transfer("c")
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([first, second])
            await uow.ledger.post([replace(transfer("d"), about="pay_2")])
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([third])
        async with stage.unit_of_work() as uow:
            assert list(await uow.ledger.about("pay_1")) == [first, second, third]
            assert list(await uow.ledger.about("pay_3")) == []

    async def test_rolling_up_changes_no_balance_and_ends(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("a", 9_940), transfer("b", 60, credit=INCOME)])
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("c", 40, debit=PENDING, credit=RECEIVABLE)])
        taken = []
        for _ in range(3):
            async with stage.unit_of_work() as uow:
                taken.append(await uow.ledger.roll_up(limit=2))
            async with stage.unit_of_work() as uow:
                assert [await uow.ledger.balance(each) for each in (PENDING, INCOME, RECEIVABLE)] == [9_900, 60, -9_960]
        assert taken == [2, 1, 0]
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("d", 5)])
            assert await uow.ledger.balance(PENDING) == 9_905, "the rows behind it count"

    async def test_a_row_that_commits_after_later_ones_were_there_is_not_passed_over(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            await uow.ledger.post([transfer("first", 1)])
        async with stage.unit_of_work() as uow:
            assert await uow.ledger.roll_up(limit=10) == 1
        async with stage.unit_of_work() as slow:
            await slow.ledger.post([transfer("slow", 7)])
            assert await slow.ledger.balance(PENDING) == 8  # sent: it has its place in the ledger

            async def quick() -> int:
                async with stage.unit_of_work() as uow:
                    await uow.ledger.post([transfer("quick", 100)])
                async with stage.unit_of_work() as uow:
                    return await uow.ledger.roll_up(limit=10)

            assert await asyncio.create_task(quick()) == 0, "an open transaction may still precede them"
        async with stage.unit_of_work() as uow:
            assert await uow.ledger.roll_up(limit=10) == 2
        async with stage.unit_of_work() as uow:
            assert await uow.ledger.balance(PENDING) == 108
