"""Contract of the statements: kept as they came, and compared as sets."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pytest

from application.ports.bills import Span
from domain.channels import Mode
from domain.errors import BillInvalid, NotFound
from domain.money import Money
from domain.numbers import channel_number
from domain.payments import ChannelPayment
from domain.refunds import Draws, RefundStatus
from domain.statements import (
    DayStatus,
    FundLine,
    Line,
    LineKind,
    Lines,
    LineStatus,
    Movement,
    StatementDay,
    StatementFile,
    StatementKind,
)
from domain.times import SHANGHAI, shanghai_day
from tests.contracts.stage import NOW, OnStage, Stage

DAY = shanghai_day(NOW)
ONE = timedelta(days=1)


def day_of(stage: Stage, day: date = DAY, **changes: object) -> StatementDay:
    return replace(StatementDay(account_id=stage.account.id, mode=Mode.TEST, day=day), **changes)  # type: ignore[arg-type]


def file_of(
    stage: Stage, content: bytes, day: date = DAY, kind: StatementKind = StatementKind.TRADE, fund: str = ""
) -> StatementFile:
    return StatementFile(
        id=stage.ids.new("stf"),
        account_id=stage.account.id,
        mode=Mode.TEST,
        day=day,
        kind=kind,
        fund=fund,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        provenance="channel",
        received_at=NOW,
    )


def line_of(payment: ChannelPayment, **changes: object) -> Line:
    """The line that a bill has of this payment, at the cost rate of the stage's attempts (0.38 %)."""
    line = Line(
        n=1,
        day=payment.channel_date,
        kind=LineKind.PAYMENT,
        number=payment.number,
        payment_number=payment.number,
        transaction_id=payment.transaction_id,
        total=payment.total,
        received=payment.received,
        fee=(payment.received.minor * 3_800 + 500_000) // 1_000_000,
        status=LineStatus.SUCCEEDED,
        at=payment.paid_at.replace(microsecond=0),  # bills have no less
        method="alipay_qr",
    )
    return line._replace(**changes)  # type: ignore[arg-type]


def flow(
    n: int, movement: Movement, amount: int, balance: int, transaction_id: str = "", *, number: str = ""
) -> FundLine:
    return FundLine(
        n=n,
        fund="BASIC",
        flow_id=f"f{n}",
        transaction_id=transaction_id,
        number=number,
        movement=movement,
        amount=amount,
        balance=balance,
        at=NOW,
        words="—",
    )


async def stored(stage: Stage, lines: list[Line], day: date = DAY, content: bytes = b"bill") -> StatementFile:
    file = file_of(stage, content, day)
    async with stage.unit_of_work() as uow:
        await uow.bills.open_day(day_of(stage, day))
        assert await uow.bills.store(file, io.BytesIO(content), [Lines(day, lines)] if lines else []) == len(lines)
    return file


async def flows(stage: Stage, lines: list[FundLine], day: date = DAY, content: bytes = b"fund") -> None:
    file = file_of(stage, content, day, StatementKind.FUND, "BASIC")
    async with stage.unit_of_work() as uow:
        await uow.bills.store(file, io.BytesIO(content), [lines])


async def paid(
    stage: Stage, transaction: str = "", *, at: datetime = NOW, received: Money = Money(10_000)
) -> ChannelPayment:
    order = await stage.order()
    payment = stage.new_payment(order, await stage.attempt(order), transaction)
    payment = replace(payment, received=received, paid_at=at)
    async with stage.unit_of_work() as uow:
        await uow.payments.add(payment)
    return payment


class BillsContract(OnStage):
    async def test_a_day_is_opened_once_and_keeps_every_field(self, stage: Stage) -> None:
        day = day_of(
            stage,
            status=DayStatus.WITH_DIFFERENCES,
            files={"trade": "aa", "fund:BASIC": "bb"},
            next_at=NOW,
            tries=2,
            differences=1,
            held=2,
            foreign=3,
            matched=4,
            note="—",
            closed_by="usr_1",
        )
        async with stage.unit_of_work() as uow:
            assert await uow.bills.open_day(day)
        async with stage.unit_of_work() as uow:
            assert not await uow.bills.open_day(day_of(stage))
        async with stage.unit_of_work() as uow:
            assert await uow.bills.day(stage.account.id, DAY) == day
            assert await uow.bills.lock_day(stage.account.id, DAY) == day
        async with stage.unit_of_work() as uow:
            await uow.bills.save_day(replace(day, status=DayStatus.CLOSED, next_at=None, closed_by=None))
        async with stage.unit_of_work() as uow:
            assert (await uow.bills.day(stage.account.id, DAY)).status is DayStatus.CLOSED

    async def test_an_unknown_line_is_not_found(self, stage: Stage) -> None:
        with pytest.raises(NotFound):
            async with stage.unit_of_work() as uow:
                await uow.bills.line(stage.account.id, DAY, 1)

    async def test_an_unknown_day_is_not_found(self, stage: Stage) -> None:
        with pytest.raises(NotFound):
            async with stage.unit_of_work() as uow:
                await uow.bills.day(stage.account.id, DAY)

    async def test_due_days_are_claimed_once_until_their_retry(self, stage: Stage) -> None:
        retry = NOW + timedelta(minutes=20)
        async with stage.unit_of_work() as uow:
            for at in range(3):
                await uow.bills.open_day(day_of(stage, DAY + at * ONE, next_at=NOW + at * timedelta(seconds=1)))
            await uow.bills.open_day(day_of(stage, DAY + 3 * ONE, next_at=None))
        async with stage.unit_of_work() as uow:
            (first,) = await uow.bills.claim_due(NOW + timedelta(seconds=1), retry_at=retry, limit=1)
            assert (first.day, first.next_at) == (DAY, retry)
        async with stage.unit_of_work() as uow:
            rest = await uow.bills.claim_due(NOW + timedelta(seconds=1), retry_at=retry, limit=9)
            assert [day.day for day in rest] == [DAY + ONE]
        async with stage.unit_of_work() as uow:
            assert not await uow.bills.claim_due(NOW + timedelta(seconds=1), retry_at=retry, limit=9)

    async def test_days_that_wait_keep_no_place_among_those_that_may_close(self, stage: Stage) -> None:
        matched = day_of(stage, status=DayStatus.MATCHED)
        waiting = [
            replace(matched, next_at=NOW),
            replace(matched, held=1),
            replace(matched, status=DayStatus.WITH_DIFFERENCES),
            replace(matched, status=DayStatus.CLOSED),
        ]
        async with stage.unit_of_work() as uow:
            for n, day in enumerate([*waiting, matched, matched, matched]):
                await uow.bills.open_day(replace(day, day=DAY + n * ONE))
        async with stage.unit_of_work() as uow:
            ready = await uow.bills.ready_to_close(limit=2)
        assert [day.day for day in ready] == [DAY + 4 * ONE, DAY + 5 * ONE]

    async def test_a_file_is_kept_to_the_byte_and_known_by_its_bill(self, stage: Stage) -> None:
        content = bytes(range(256)) * 5_000  # more than a piece
        file = await stored(stage, [], content=content)
        async with stage.unit_of_work() as uow:
            await uow.bills.save_day(day_of(stage).fetched(file))
        async with stage.unit_of_work() as uow:
            assert await uow.bills.file(stage.account.id, DAY, "trade") == file
            assert await uow.bills.file(stage.account.id, DAY, "fund:BASIC") is None
            assert b"".join([piece async for piece in uow.bills.content(file)]) == content

    async def test_of_a_file_that_breaks_off_nothing_is_kept(self, stage: Stage) -> None:
        payment = await paid(stage)
        await stored(stage, [line_of(payment)])

        def torn() -> Iterator[Lines]:
            yield Lines(DAY, [])  # nothing yet, and not the end
            yield Lines(DAY, [line_of(payment, n=1, number="other")])
            raise BillInvalid("not an amount", line=2)

        with pytest.raises(BillInvalid):
            async with stage.unit_of_work() as uow:
                await uow.bills.store(file_of(stage, b"torn"), io.BytesIO(b"torn"), torn())
        async with stage.unit_of_work() as uow:
            compared = await uow.bills.compare(stage.account.id, DAY, ours_only=False)
        assert (compared.matched, list(compared.lines)) == (1, [])

    async def test_an_equal_pair_is_matched_and_nothing_is_left(self, stage: Stage) -> None:
        payment = await paid(stage)
        await stored(stage, [line_of(payment)])
        async with stage.unit_of_work() as uow:
            compared = await uow.bills.compare(stage.account.id, DAY, ours_only=False)
        assert (compared.matched, compared.foreign, compared.fee, compared.fee_returned) == (1, 0, 38, 0)
        assert (list(compared.lines), list(compared.ours)) == ([], [])

    @pytest.mark.parametrize(
        "changes",
        [
            {"received": Money(9_999)},
            {"fee": 37},
            {"status": LineStatus.REVERSED},
            {"transaction_id": "another"},
            {"received": Money(10_000, "USD"), "total": Money(10_000, "USD")},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    async def test_a_pair_that_differs_in_one_column_is_left_with_both_sides(
        self, stage: Stage, changes: dict[str, object]
    ) -> None:
        payment = await paid(stage)
        line = line_of(payment, **changes)
        await stored(stage, [line])
        async with stage.unit_of_work() as uow:
            compared = await uow.bills.compare(stage.account.id, DAY, ours_only=False)
        assert compared.matched == 0
        assert list(compared.lines) == [line]
        assert [(one.id, one.received, one.fee) for one in compared.ours] == [(payment.id, Money(10_000), 38)]

    async def test_what_stands_alone_is_left(self, stage: Stage) -> None:
        payment = await paid(stage)
        stranger = line_of(payment, number=channel_number("01KB5P4Z0W3V7H2M9T8Q6R5N4D"))
        await stored(stage, [stranger])
        async with stage.unit_of_work() as uow:
            compared = await uow.bills.compare(stage.account.id, DAY, ours_only=False)
            assert await uow.bills.line(stage.account.id, DAY, 1) == stranger
        assert (list(compared.lines), [one.id for one in compared.ours]) == ([stranger], [payment.id])

    async def test_a_day_begins_and_ends_at_midnight_in_shanghai(self, stage: Stage) -> None:
        midnight = datetime.combine(DAY, time(tzinfo=SHANGHAI))
        second = timedelta(seconds=1)
        instants = (midnight - second, midnight, midnight + ONE - second, midnight + ONE)
        before, first, last, after = [await paid(stage, f"tx_{n}", at=at) for n, at in enumerate(instants)]
        for day, payments in ((DAY - ONE, [before]), (DAY, [first, last]), (DAY + ONE, [after])):
            await stored(stage, [line_of(one, n=n) for n, one in enumerate(payments, start=1)], day, str(day).encode())
            async with stage.unit_of_work() as uow:
                compared = await uow.bills.compare(stage.account.id, day, ours_only=False)
            assert (compared.matched, list(compared.lines), list(compared.ours)) == (len(payments), [], []), day

    async def test_a_line_twice_is_left_although_each_equals_ours(self, stage: Stage) -> None:
        payment = await paid(stage)
        await stored(stage, [line_of(payment), line_of(payment, n=2)])
        async with stage.unit_of_work() as uow:
            compared = await uow.bills.compare(stage.account.id, DAY, ours_only=False)
        assert [line.n for line in compared.lines] == [1, 2]
        assert len(compared.ours) == 1

    async def test_the_other_side_is_found_on_a_neighbouring_day(self, stage: Stage) -> None:
        payment = await paid(stage)
        line = line_of(payment, day=DAY + ONE)
        await stored(stage, [line], DAY + ONE)
        for day in (DAY, DAY + ONE):
            async with stage.unit_of_work() as uow:
                compared = await uow.bills.compare(stage.account.id, day, ours_only=False)
            assert (list(compared.lines), [one.id for one in compared.ours]) == ([line], [payment.id])

    async def test_numbers_of_others_are_counted_in_an_account_that_is_not_ours(self, stage: Stage) -> None:
        payment = await paid(stage)
        foreign = line_of(payment, n=2, number="SHOP-1", payment_number="SHOP-1", transaction_id="x", fee=9)
        await stored(stage, [line_of(payment), foreign])
        async with stage.unit_of_work() as uow:
            compared = await uow.bills.compare(stage.account.id, DAY, ours_only=True)
            assert (compared.matched, compared.foreign, list(compared.lines), compared.fee) == (1, 1, [], 38)
            compared = await uow.bills.compare(stage.account.id, DAY, ours_only=False)
            assert (compared.matched, compared.foreign, list(compared.lines)) == (1, 0, [foreign])

    async def test_refunds_are_matched_by_their_own_number_and_their_share_of_the_channels_fee(
        self, stage: Stage
    ) -> None:
        payment = await paid(stage)
        parts = (Money(4_000), Money(6_000))
        refunds = [
            await stage.refund(
                payment,
                amount=part,
                debit=part,
                share=Money(0),
                draws=Draws(pending=part),
                status=RefundStatus.SUCCEEDED,
                accepted_at=NOW + timedelta(seconds=n),
                succeeded_at=NOW,
            )
            for n, part in enumerate(parts)
        ]
        await stage.refund(payment, amount=Money(1), debit=Money(1), share=Money(0), draws=Draws(pending=Money(1)))
        lines = [
            line_of(payment, n=n, kind=LineKind.REFUND, number=refund.number, received=refund.debit, fee=fee)
            for n, (refund, fee) in enumerate(zip(refunds, (-15, -23), strict=True), start=2)
        ]
        await stored(stage, [line_of(payment), *lines])
        async with stage.unit_of_work() as uow:
            compared = await uow.bills.compare(stage.account.id, DAY, ours_only=False)
        assert (compared.matched, list(compared.lines), list(compared.ours)) == (3, [], [])
        assert (compared.fee, compared.fee_returned) == (38, 38)
        await stored(stage, [line_of(payment), lines[0]._replace(fee=-16), lines[1]], content=b"other")
        async with stage.unit_of_work() as uow:
            compared = await uow.bills.compare(stage.account.id, DAY, ours_only=False)
        assert [(one.id, one.fee) for one in compared.ours] == [(refunds[0].id, -15)]

    async def test_the_cost_that_we_expect_is_rounded_half_up_and_so_is_a_refunds_share_of_it(
        self, stage: Stage
    ) -> None:
        payment = await paid(stage, received=Money(2_500))  # 0.38 % of it are 9.5 fen
        refund = await stage.refund(
            payment,
            amount=Money(125),  # half a fen of those ten
            debit=Money(125),
            share=Money(0),
            draws=Draws(pending=Money(125)),
            status=RefundStatus.SUCCEEDED,
            accepted_at=NOW,
            succeeded_at=NOW,
        )
        back = line_of(
            payment, n=2, kind=LineKind.REFUND, number=refund.number, total=refund.amount, received=refund.debit, fee=-1
        )
        await stored(stage, [line_of(payment, fee=10), back])
        async with stage.unit_of_work() as uow:
            compared = await uow.bills.compare(stage.account.id, DAY, ours_only=False)
        assert (compared.matched, list(compared.lines), list(compared.ours)) == (2, [], [])

    async def test_money_on_another_accounts_bill_is_that_bills_finding_alone(self, stage: Stage) -> None:
        payment = await paid(stage)
        other = stage.new_account()
        async with stage.unit_of_work() as uow:
            await uow.accounts.add(other)
        file = replace(file_of(stage, b"other"), account_id=other.id)
        line = line_of(payment)
        async with stage.unit_of_work() as uow:
            await uow.bills.open_day(replace(day_of(stage), account_id=other.id))
            await uow.bills.store(file, io.BytesIO(b"other"), [Lines(DAY, [line])])
        async with stage.unit_of_work() as uow:
            here = await uow.bills.compare(stage.account.id, DAY, ours_only=False)
            there = await uow.bills.compare(other.id, DAY, ours_only=False)
        assert (list(here.lines), list(here.ours)) == ([], [])
        assert (list(there.lines), [one.account_id for one in there.ours]) == ([line], [stage.account.id])

    async def test_a_bill_published_anew_takes_the_place_of_its_lines(self, stage: Stage) -> None:
        payment = await paid(stage)
        await stored(stage, [line_of(payment, fee=1)])
        await stored(stage, [line_of(payment)], content=b"mended")
        async with stage.unit_of_work() as uow:
            compared = await uow.bills.compare(stage.account.id, DAY, ours_only=False)
        assert (compared.matched, list(compared.lines)) == (1, [])

    async def test_what_is_known_of_an_accounts_days(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            assert not await uow.bills.spans()
        await paid(stage)
        async with stage.unit_of_work() as uow:
            assert await uow.bills.spans() == [Span(stage.account.id, Mode.TEST, DAY, None, None)]
            await uow.bills.open_day(day_of(stage, DAY, status=DayStatus.MATCHED))
            await uow.bills.open_day(day_of(stage, DAY + ONE))
        async with stage.unit_of_work() as uow:
            assert await uow.bills.spans() == [Span(stage.account.id, Mode.TEST, DAY, DAY + ONE, DAY)]
            assert await uow.bills.spans(stage.account.id) == await uow.bills.spans()
            assert not await uow.bills.spans("cha_0")
