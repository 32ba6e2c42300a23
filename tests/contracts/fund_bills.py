"""Contract of the fund bills: beside the trade bill, and beside the books."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta

import pytest

from application.ports.bills import FundBalance, Moved
from domain.bookkeeping import payment_received
from domain.money import Money
from domain.statements import LineKind, Movement
from tests.contracts.bills import DAY, ONE, day_of, flow, flows, line_of, paid, stored
from tests.contracts.stage import NOW, OnStage, Stage


class FundBillsContract(OnStage):
    async def test_what_was_traded_and_moved_alike_is_not_told(self, stage: Stage) -> None:
        payment = await paid(stage, "t1")
        await stored(stage, [line_of(payment)])
        moves = [flow(1, Movement.PAYMENT, 10_000, 10_000, "t1"), flow(2, Movement.FEE, -38, 9_962, "t1")]
        await flows(stage, moves)
        async with stage.unit_of_work() as uow:
            assert not await uow.bills.compare_funds(stage.account.id, DAY)

    async def test_each_way_of_not_moving_alike_is_told(self, stage: Stage) -> None:
        payment = await paid(stage, "t1")
        lines = [
            line_of(payment),
            line_of(payment, n=2, number="B", transaction_id="t2"),
            line_of(payment, n=3, kind=LineKind.REFUND, number="R", transaction_id="r1", fee=-8, received=Money(2_000)),
        ]
        await stored(stage, lines)
        await flows(
            stage,
            [
                flow(1, Movement.PAYMENT, 10_000, 10_000, "t1"),  # and no fee
                flow(2, Movement.PAYMENT, 500, 10_500, "t9", number="Z"),
                flow(3, Movement.PAYOUT, -500, 10_000, "w1"),
                flow(4, Movement.REFUND, -2_000, 8_000, "r1"),
                flow(5, Movement.FEE_RETURNED, 8, 8_008, "r1"),
            ],
        )
        async with stage.unit_of_work() as uow:
            assert list(await uow.bills.compare_funds(stage.account.id, DAY)) == [
                Moved("t1", payment.number, 9_962, 10_000),
                Moved("t2", "B", 9_962, None),
                Moved("t9", "Z", None, 500),
            ]
            assert [line.flow_id for line in await uow.bills.strange_movements(stage.account.id, DAY)] == ["f3"]

    async def test_balances_stand_beside_what_was_booked(self, stage: Stage) -> None:
        payment = await paid(stage, "t1")
        async with stage.unit_of_work() as uow:
            await uow.ledger.post(payment_received(payment))
        await flows(stage, [flow(1, Movement.PAYMENT, 70, 1_070)], DAY - ONE, b"before")
        await flows(stage, [flow(1, Movement.PAYMENT, 10_000, 11_070), flow(2, Movement.FEE, -38, 11_032)])
        async with stage.unit_of_work() as uow:
            assert list(await uow.bills.balances(stage.account.id, DAY)) == [
                FundBalance("BASIC", 1_070, 11_032, 9_962, 1_070, 10_000)
            ]
            assert list(await uow.bills.balances(stage.account.id, DAY - ONE)) == [
                FundBalance("BASIC", 1_000, 1_070, 70, None, 0)
            ]
            assert not await uow.bills.balances(stage.account.id, DAY + ONE)

    async def test_a_bill_that_begins_with_the_end_of_the_day_has_the_same_balances(self, stage: Stage) -> None:
        hour = timedelta(hours=1)
        moves = [flow(1, Movement.PAYMENT, 30, 130), flow(2, Movement.REFUND, -10, 120), flow(3, Movement.FEE, -1, 119)]
        early = [replace(move, at=NOW + move.n * hour) for move in moves]
        turned = [replace(move, n=n) for n, move in enumerate(reversed(early), start=1)]
        for day, bill in ((DAY - ONE, turned), (DAY, turned)):
            await flows(stage, bill, day, f"turned {day}".encode())
        async with stage.unit_of_work() as uow:
            assert list(await uow.bills.balances(stage.account.id, DAY)) == [FundBalance("BASIC", 100, 119, 19, 119, 0)]

    async def test_a_bill_that_begins_with_the_end_is_known_by_its_balances_when_all_was_in_one_second(
        self, stage: Stage
    ) -> None:
        await flows(stage, [flow(1, Movement.FEE, -38, 10_062), flow(2, Movement.PAYMENT, 10_000, 10_100)])
        async with stage.unit_of_work() as uow:
            (balance,) = await uow.bills.balances(stage.account.id, DAY)
        assert (balance.opening, balance.closing, balance.movement) == (100, 10_062, 9_962)

    async def test_a_due_day_is_one_schedulers_alone_while_it_is_claimed(self, stage: Stage) -> None:
        retry = NOW + timedelta(minutes=20)
        async with stage.unit_of_work() as uow:
            for n in range(2):
                await uow.bills.open_day(day_of(stage, DAY + n * ONE, next_at=NOW))

        async def scheduler() -> list[date]:
            async with stage.unit_of_work() as uow:
                claimed = [day.day for day in await uow.bills.claim_due(NOW, retry_at=retry, limit=1)]
                await asyncio.sleep(0.05)  # so that all three are at it
            return claimed

        claimed = await asyncio.gather(*(scheduler() for _ in range(3)))
        assert sorted(day for days in claimed for day in days) == [DAY, DAY + ONE]

    async def test_a_bill_may_run_from_the_newest_line_to_the_oldest(self, stage: Stage) -> None:
        """As Alipay's do."""
        before = [flow(1, Movement.FEE, -3, 1_067), flow(2, Movement.PAYMENT, 70, 1_070)]
        await flows(stage, before, DAY - ONE, b"before")
        await flows(stage, [flow(1, Movement.FEE, -38, 11_029), flow(2, Movement.PAYMENT, 10_000, 11_067)])
        async with stage.unit_of_work() as uow:
            assert list(await uow.bills.balances(stage.account.id, DAY)) == [
                FundBalance("BASIC", 1_067, 11_029, 9_962, 1_067, 0)
            ]

    @pytest.mark.parametrize("newest_first", [True, False])
    async def test_balances_between_the_lines_need_not_follow_if_the_last_one_does(
        self, stage: Stage, newest_first: bool
    ) -> None:
        """As Alipay's do not always; and with two lines whose balances say nothing, the times say which is the last."""
        hour = timedelta(hours=1)
        moves = [flow(1, Movement.PAYMENT, 30, 777), flow(2, Movement.PAYMENT, 10, 140)]
        moves = [replace(move, at=NOW + move.n * hour) for move in moves]
        await flows(stage, [replace(move, n=3 - move.n) for move in moves[::-1]] if newest_first else moves)
        async with stage.unit_of_work() as uow:
            assert list(await uow.bills.balances(stage.account.id, DAY)) == [
                FundBalance("BASIC", 100, 140, 40, None, 0)
            ]

    async def test_a_line_that_is_not_on_the_bill_shows_between_the_closing_before_and_the_movement(
        self, stage: Stage
    ) -> None:
        await flows(stage, [flow(1, Movement.PAYMENT, 100, 100)], DAY - ONE, b"before")
        # Between the two, 50 went away and the bill does not say so.
        await flows(stage, [flow(1, Movement.PAYMENT, 30, 130), flow(2, Movement.PAYMENT, 10, 90)])
        async with stage.unit_of_work() as uow:
            (balance,) = await uow.bills.balances(stage.account.id, DAY)
        assert (balance.opening, balance.previous_closing) == (50, 100)
