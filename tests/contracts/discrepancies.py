"""Contract of the differences: kept by their key, shown with both sides, listed."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from application.ports.storage import AlreadyExists
from domain.channels import Mode
from domain.errors import InvalidRequest, NotFound
from domain.reconciliation import DifferenceKind, Discrepancy, DiscrepancyStatus, Remedy
from domain.statements import Movement
from tests.contracts.bills import DAY, ONE, day_of, flow, flows, line_of, paid, stored
from tests.contracts.stage import NOW, OnStage, Stage


class DiscrepanciesContract(OnStage):
    async def test_a_discrepancy_is_one_by_its_key_and_keeps_every_field(self, stage: Stage) -> None:
        first = discrepancy(stage)
        async with stage.unit_of_work() as uow:
            await uow.bills.add_discrepancy(first)
        with pytest.raises(AlreadyExists, match="uq_discrepancy_key"):
            async with stage.unit_of_work() as uow:
                await uow.bills.add_discrepancy(discrepancy(stage))
        async with stage.unit_of_work() as uow:
            assert await uow.bills.lock_discrepancy(first.id) == first
            moved = replace(first, status=DiscrepancyStatus.RESOLVED, resolved_at=NOW, resolved_by="usr_2", note="yes")
            await uow.bills.save_discrepancy(moved)
        async with stage.unit_of_work() as uow:
            assert await uow.bills.discrepancy(first.id) == moved
            assert list(await uow.bills.discrepancies(stage.account.id, DAY)) == [moved]
            assert not await uow.bills.discrepancies(stage.account.id, DAY + ONE)

    async def test_both_sides_of_a_discrepancy_stand_beside_each_other(self, stage: Stage) -> None:
        payment = await paid(stage, "t1")
        line = line_of(payment, fee=40)
        await stored(stage, [line, line_of(payment, n=2, number="B", payment_number="B", transaction_id="t2")])
        moves = [flow(1, Movement.PAYMENT, 10_000, 10_000, "t1"), flow(2, Movement.FEE, -40, 9_960, "t1")]
        await flows(stage, [*moves, flow(3, Movement.PAYMENT, 500, 10_460, "t2")])
        found = replace(discrepancy(stage), number=payment.number, transaction_id="t1")
        async with stage.unit_of_work() as uow:
            sides = await uow.bills.sides(found)
            assert (list(sides.theirs), list(sides.moved)) == ([line], moves)
            assert [(one.id, one.fee) for one in sides.ours] == [(payment.id, 38)]
            lost = await uow.bills.sides(replace(found, number="", transaction_id="t9"))
            assert (list(lost.theirs), list(lost.moved), list(lost.ours)) == ([], [], [])
            balance = await uow.bills.sides(replace(found, number="", transaction_id=""))
            assert (list(balance.theirs), list(balance.moved), list(balance.ours)) == ([], [], [])

    async def test_what_moved_and_was_not_traded_is_shown_with_the_record_that_its_number_names(
        self, stage: Stage
    ) -> None:
        payment = await paid(stage, "t1")
        stray = flow(1, Movement.PAYMENT, 10_000, 10_000, "t7", number=payment.number)
        await flows(stage, [stray])
        async with stage.unit_of_work() as uow:
            sides = await uow.bills.sides(replace(discrepancy(stage), number="", transaction_id="t7"))
        assert (list(sides.moved), [one.id for one in sides.ours]) == ([stray], [payment.id])

    async def test_discrepancies_are_listed_newest_first_and_page_by_page(self, stage: Stage) -> None:
        kept = [replace(discrepancy(stage), key=f"k{n}") for n in range(3)]
        kept[1] = replace(kept[1], kind=DifferenceKind.AMOUNT, day=DAY + ONE)
        for one in kept:
            async with stage.unit_of_work() as uow:
                await uow.bills.add_discrepancy(one)
        nothing: dict[str, None] = {"account_id": None, "day": None, "kind": None, "status": None}
        first = await stage.reconciliation.discrepancies(**nothing, cursor=None, limit=2)
        rest = await stage.reconciliation.discrepancies(**nothing, cursor=first.next_cursor, limit=2)
        assert [row["id"] for row in (*first.rows, *rest.rows)] == [one.id for one in reversed(kept)]
        assert rest.next_cursor is None
        for filters in ({"kind": "amount"}, {"day": DAY + ONE}):
            page = await stage.reconciliation.discrepancies(**{**nothing, **filters}, cursor=None, limit=9)  # type: ignore[arg-type]
            assert [row["id"] for row in page.rows] == [kept[1].id]

    async def test_days_are_listed_newest_first_and_page_by_page(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            for n in range(3):
                await uow.bills.open_day(day_of(stage, DAY + n * ONE, foreign=n))
        first = await stage.reconciliation.days(account_id=None, status=None, cursor=None, limit=2)
        rest = await stage.reconciliation.days(account_id=None, status=None, cursor=first.next_cursor, limit=2)
        assert [row["foreign_lines"] for row in (*first.rows, *rest.rows)] == [2, 1, 0]
        assert rest.next_cursor is None
        other = await stage.reconciliation.days(account_id="cha_0", status=None, cursor=None, limit=2)
        assert not other.rows

    @pytest.mark.parametrize("cursor", ["", "x", "!", "ZGl8", "c2R8MjAyNi0xMS0wMXw"])
    async def test_a_cursor_of_somebody_else_is_refused(self, stage: Stage, cursor: str) -> None:
        with pytest.raises(InvalidRequest) as refused:
            await stage.reconciliation.days(account_id=None, status=None, cursor=cursor, limit=2)
        assert refused.value.code == "cursor_invalid"

    async def test_an_unknown_discrepancy_is_not_found(self, stage: Stage) -> None:
        with pytest.raises(NotFound):
            async with stage.unit_of_work() as uow:
                await uow.bills.discrepancy("dis_1")


def discrepancy(stage: Stage) -> Discrepancy:
    return Discrepancy(
        id=stage.ids.new("dis"),
        account_id=stage.account.id,
        mode=Mode.TEST,
        day=DAY,
        key="fee:payment:PTY1",
        kind=DifferenceKind.FEE,
        line_n=7,
        ours_id="pay_1",
        number="PTY1",
        transaction_id="t1",
        amount=-1,
        found_at=datetime(2026, 11, 23, 2, 15, tzinfo=UTC),
        owner="usr_1",
        remedy=Remedy.ACCEPT_OURS,
        note="—",
    )
