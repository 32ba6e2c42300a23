"""Contract of reports: figures that were reckoned by hand, and cut and grouped as asked."""

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from application.ports.reports import Wanted
from domain.channels import Channel, FundMode, Method, Mode, Terms
from domain.errors import InvalidRequest
from domain.money import FeePlan, Money, Rate
from domain.payments import ChannelPayment, Unattributed
from domain.refunds import Draws, RefundStatus
from tests.contracts.stage import OnStage, Stage

# Around midnight in Shanghai.
EVENING = datetime.fromisoformat("2026-11-21T23:59:59.999999+08:00")
MIDNIGHT = datetime.fromisoformat("2026-11-22T00:00:00+08:00")
FIGURES = ("payments", "gross", "refunds", "refunded", "fees", "cost", "margin")


async def payment(
    stage: Stage, received: int = 10_000, at: datetime = EVENING, *, cost: int = 3_800, **changes: Any
) -> ChannelPayment:
    """A stored payment at 0.6 %, which costs 0.38 % unless said otherwise."""
    order = await stage.order(mode=changes.get("mode", Mode.TEST))
    on_attempt = {name: changes.pop(name) for name in ("method",) if name in changes}
    shared = {name: changes[name] for name in ("account_id", "mode", "fund_mode", "merchant_id") if changes.get(name)}
    attempt = await stage.attempt(order, terms=Terms(FeePlan(Rate(6_000)), Rate(cost)), **on_attempt, **shared)
    unattributed = changes.pop("unattributed", None)
    money: dict[str, Any] = {name: Money(received) for name in ("total", "received", "payer_paid")}
    fee = Money(0 if unattributed else (received * 6_000 + 500_000) // 1_000_000)
    made = replace(
        stage.new_payment(order, attempt, unattributed=unattributed), **money, fee=fee, paid_at=at, **changes
    )
    async with stage.unit_of_work() as uow:
        await uow.payments.add(made)
    return made


async def refund(
    stage: Stage, of: ChannelPayment, debit: int, share: int, at: datetime = MIDNIGHT, **changes: Any
) -> None:
    drawn = Money(0) if "item_id" in changes or of.fund_mode is FundMode.DIRECT else Money(debit - share)
    made: dict[str, Any] = {
        "amount": Money(debit),
        "debit": Money(debit),
        "share": Money(share),
        "draws": Draws(pending=drawn),
        "status": RefundStatus.SUCCEEDED,
        "accepted_at": at,
        "merchant_id": of.merchant_id,
    }
    await stage.refund(of, **made | changes)


async def report(
    stage: Stage, by: str = "", first: str = "2026-11-21", last: str = "2026-11-22", **filters: Any
) -> list[tuple[Any, ...]]:
    """Each row's keys, and then its figures."""
    wanted = Wanted.of(filters.pop("mode", Mode.TEST), first, last, by, **filters)
    rows = await stage.reports.payments(wanted)
    names = [*wanted.by, "currency", *FIGURES]
    assert all(set(row) == set(names) for row in rows)
    return [tuple(row[name] for name in names) for row in rows]


class ReportsContract(OnStage):
    async def test_the_worked_example_of_the_books_by_shanghai_days(self, stage: Stage) -> None:
        paid = await payment(stage)
        await refund(stage, paid, 4_000, 24)
        assert await report(stage, "day") == [
            ("2026-11-21", "CNY", 1, 10_000, 0, 0, 60, 38, 22),
            ("2026-11-22", "CNY", 0, 0, 1, 4_000, -24, -15, -9),
        ]
        assert await report(stage) == [("CNY", 1, 10_000, 1, 4_000, 36, 23, 13)]
        await refund(stage, paid, 6_000, 36, MIDNIGHT + timedelta(hours=1))
        assert await report(stage) == [("CNY", 1, 10_000, 2, 10_000, 0, 0, 0)]

    async def test_nothing_is_no_row(self, stage: Stage) -> None:
        assert await report(stage) == await report(stage, "day,merchant_id,channel,method") == []

    async def test_only_days_of_the_report_count_and_both_ends_do(self, stage: Stage) -> None:
        paid = await payment(stage)
        await refund(stage, paid, 4_000, 24)
        first = [("CNY", 1, 10_000, 0, 0, 60, 38, 22)]
        second = [("CNY", 0, 0, 1, 4_000, -24, -15, -9)]
        assert await report(stage, first="2026-11-20", last="2026-11-21") == first
        assert await report(stage, first="2026-11-22", last="2026-11-23") == second
        assert await report(stage, last="2026-11-21") == first
        assert await report(stage, first="2026-11-23", last="2026-11-30") == []

    @pytest.mark.parametrize("parts", [(1, 1, 1), (3_333, 3_333, 3_333), (1, 9_997, 1), (125, 3, 9_871)])
    @pytest.mark.parametrize("cost", [1, 3_800, 4_999, 60_000])
    async def test_the_cost_of_parts_adds_up_to_the_running_totals(
        self, stage: Stage, parts: tuple[int, ...], cost: int
    ) -> None:
        received = sum(parts)
        paid = await payment(stage, received, cost=cost)
        for n, part in enumerate(parts):
            await refund(stage, paid, part, 0, MIDNIGHT + timedelta(days=n))
        whole, so_far, back, expected = _half_up(Fraction(received * cost, 1_000_000)), 0, 0, []
        for part in parts:
            so_far += part
            upto = _half_up(Fraction(whole * so_far, received))
            expected.append(back - upto)
            back = upto
        assert [row[-2] for row in await report(stage, "day", last="2026-11-24")] == [whole, *expected]
        assert (await report(stage, last="2026-11-24"))[0][-2] == 0
        assert [row[-2] for row in await report(stage, first="2026-11-23", last="2026-11-23")] == [expected[1]]

    async def test_rows_stand_apart_by_what_is_asked_and_are_cut_by_it(self, stage: Stage) -> None:
        other = replace(stage.merchant, id=stage.ids.new("mch"))
        wechat = stage.new_account(channel=Channel.WECHAT)
        async with stage.unit_of_work() as uow:
            await uow.merchants.add(other)
            await uow.accounts.add(wechat)
        one, two = stage.merchant.id, other.id
        at_wechat: dict[str, Any] = {"account_id": wechat.id, "method": Method.WECHAT_NATIVE}
        await payment(stage, 100)
        await payment(stage, 200, method=Method.ALIPAY_WAP)
        await payment(stage, 400, MIDNIGHT, **at_wechat)
        await refund(stage, await payment(stage, 800, MIDNIGHT, merchant_id=two, **at_wechat), 50, 0)
        gross = {
            by: [(*row[: len(by.split(","))], row[-6], row[-4]) for row in await report(stage, by)]
            for by in ("day", "merchant_id", "channel", "method", "channel,day", "method,merchant_id")
        }
        assert gross["day"] == [("2026-11-21", 300, 0), ("2026-11-22", 1_200, 50)]
        assert gross["merchant_id"] == sorted([(one, 700, 0), (two, 800, 50)])
        assert gross["channel"] == [("alipay", 300, 0), ("wechat", 1_200, 50)]
        assert gross["method"] == [("alipay_qr", 100, 0), ("alipay_wap", 200, 0), ("wechat_native", 1_200, 50)]
        assert gross["channel,day"] == [("2026-11-21", "alipay", 300, 0), ("2026-11-22", "wechat", 1_200, 50)]
        assert gross["method,merchant_id"] == sorted(
            [
                (one, "alipay_qr", 100, 0),
                (one, "alipay_wap", 200, 0),
                (one, "wechat_native", 400, 0),
                (two, "wechat_native", 800, 50),
            ]
        )
        assert [row[2] for row in await report(stage, merchant_id=two)] == [800]
        assert [row[2] for row in await report(stage, channel=Channel.ALIPAY)] == [300]
        assert await report(stage, merchant_id=two, channel=Channel.ALIPAY) == []

    async def test_live_and_test_stand_apart(self, stage: Stage) -> None:
        live = stage.new_account(mode=Mode.LIVE)
        async with stage.unit_of_work() as uow:
            await uow.accounts.add(live)
        await payment(stage, 100)
        await payment(stage, 200, mode=Mode.LIVE, account_id=live.id)
        assert [row[2] for row in await report(stage)] == [100]
        assert [row[2] for row in await report(stage, mode=Mode.LIVE)] == [200]

    async def test_held_money_counts_when_it_is_attributed_for_whom_it_pays(self, stage: Stage) -> None:
        other = replace(stage.merchant, id=stage.ids.new("mch"))
        held = await payment(stage, unattributed=Unattributed.WRONG_AMOUNT)
        item = stage.new_item(held)
        order = replace(stage.new_order(), merchant_id=other.id)
        async with stage.unit_of_work() as uow:
            await uow.merchants.add(other)
            await uow.suspense.add(item)
            await uow.orders.add(order)
        assert await report(stage) == []
        async with stage.unit_of_work() as uow:
            await uow.suspense.save(item.attributed(order.id, Money(59)))
        assert await report(stage, "merchant_id") == [(other.id, "CNY", 1, 10_000, 0, 0, 59, 38, 21)]

    async def test_money_under_nobodys_number_has_no_method_and_no_agreed_cost(self, stage: Stage) -> None:
        held = await payment(
            stage, unattributed=Unattributed.UNKNOWN_NUMBER, attempt_id=None, order_id=None, merchant_id=None
        )
        order, item = await stage.order(), stage.new_item(held)
        async with stage.unit_of_work() as uow:
            await uow.suspense.add(item)
        async with stage.unit_of_work() as uow:
            await uow.suspense.save(item.attributed(order.id, Money(59)))
        await payment(stage, 100)
        assert [row[:5] for row in await report(stage, "merchant_id,method")] == [
            (stage.merchant.id, "alipay_qr", "CNY", 1, 100),
            (stage.merchant.id, None, "CNY", 1, 10_000),
        ]
        assert [row[-2] for row in await report(stage, "method")] == [0, 0], "of 1.00 it is 0.0038"

    async def test_refunds_of_held_money_and_void_or_pending_ones_are_none(self, stage: Stage) -> None:
        held = await payment(stage, unattributed=Unattributed.SECOND)
        item = stage.new_item(held)
        paid = await payment(stage)
        async with stage.unit_of_work() as uow:
            await uow.suspense.add(item)
        await refund(stage, held, 10_000, 0, item_id=item.id)
        await refund(stage, paid, 100, 1, status=RefundStatus.FAILED)
        await refund(stage, paid, 100, 1, status=RefundStatus.UNKNOWN, accepted_at=None)
        await refund(stage, paid, 4_000, 24, MIDNIGHT + timedelta(hours=1), status=RefundStatus.ACCEPTED)
        assert await report(stage) == [("CNY", 1, 10_000, 1, 4_000, 36, 23, 13)]

    async def test_in_direct_mode_the_merchants_own_account_bears_the_cost(self, stage: Stage) -> None:
        await refund(stage, await payment(stage, fund_mode=FundMode.DIRECT), 4_000, 24)
        assert await report(stage) == [("CNY", 1, 10_000, 1, 4_000, 36, 0, 36)]

    async def test_more_rows_than_wanted_are_refused_rather_than_cut_off(self, stage: Stage) -> None:
        paid = await payment(stage)
        await refund(stage, paid, 4_000, 24)
        wanted = Wanted.of(Mode.TEST, "2026-11-21", "2026-11-22", "day")
        assert len(await stage.reports.payments(replace(wanted, most=2))) == 2
        with pytest.raises(InvalidRequest) as refused:
            await stage.reports.payments(replace(wanted, most=1))
        assert refused.value.code == "report_too_large"


def _half_up(exact: Fraction) -> int:
    return int((exact + Fraction(1, 2)) // 1)
