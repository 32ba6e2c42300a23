"""The remedies of what is missing here: proposed by one person, approved by another, and done once."""

import io
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from domain.channels import Method, Mode
from domain.ledger import Account, AccountKind
from domain.money import Money
from domain.orders import Order, OrderStatus
from domain.payments import SuspenseStatus
from domain.permissions import FINANCE
from domain.reconciliation import REMEDIES, DifferenceKind, Discrepancy, Finding
from domain.refunds import Refund, RefundOrigin, RefundStatus
from domain.statements import Line, LineKind, Lines, LineStatus, StatementDay, StatementFile, StatementKind
from domain.times import shanghai_day
from tests.fakes.house import caller
from tests.unit.adapters.http.office import Office
from tests.unit.adapters.http.shop import code_of


class Desk:
    """An office whose channel took a payment, or gave a part of one back, and nobody told us."""

    async def open(self, kind: LineKind = LineKind.PAYMENT) -> "Desk":
        self.office = Office()
        self.house = house = self.office.house
        merchant = await house.merchant()
        if kind is LineKind.REFUND:
            self.order = await house.paid(merchant)
            (payment,) = await house.payments(self.order)
            number, self.account_id, amount = payment.number, payment.account_id, Money(3_000)
        else:
            self.order = await house.order(merchant)
            attempt = await house.start_attempt(caller(merchant), self.order.id, Method.ALIPAY_QR)
            number, self.account_id, amount = attempt.number, attempt.account_id, attempt.amount
        self.day = shanghai_day(self.office.clock.now())
        line = Line(
            n=1, day=self.day, kind=kind, number=number if kind is LineKind.PAYMENT else "", payment_number=number,
            transaction_id="T-LOST", total=amount, received=amount, fee=0, status=LineStatus.SUCCEEDED,
            at=self.office.clock.now(),
        )  # fmt: skip
        await self._read(line)
        self.mina = await (await self.office.person("mina", FINANCE)).enter()
        self.ren = await (await self.office.person("ren", FINANCE)).enter()
        return self

    async def _read(self, line: Line) -> None:
        file = StatementFile(
            id="stf_1", account_id=self.account_id, mode=Mode.TEST, day=self.day, kind=StatementKind.TRADE, fund="",
            sha256="aa", size=0, provenance="channel", received_at=self.office.clock.now(),
        )  # fmt: skip
        found = Finding(kind=DifferenceKind.MISSING_HERE, line=line, ours=None).difference
        where: dict[str, Any] = {"account_id": self.account_id, "mode": Mode.TEST, "day": self.day}
        async with self.house.database.unit_of_work() as uow:
            await uow.bills.open_day(StatementDay(**where))
            await uow.bills.store(file, io.BytesIO(), [Lines(self.day, [line])])
            await uow.bills.add_discrepancy(Discrepancy.of(found, id="dis_1", now=self.office.clock.now(), **where))

    async def decide(self, remedy: str, *, times: int = 1) -> Sequence[httpx.Response]:
        body = {"remedy": remedy, "note": "the channel said so"}
        made = [(await self.mina.call("POST", "/discrepancies/dis_1/remedy", body)).json() for _ in range(times)]
        return [await self.ren.call("POST", f"/proposals/{each['id']}/approve") for each in made]

    async def now(self) -> Order:
        return await self.house.now(self.order)

    async def held(self) -> int:
        async with self.house.database.unit_of_work() as uow:
            return await uow.ledger.balance(Account(AccountKind.SUSPENSE, self.account_id, Mode.TEST, "CNY"))

    async def refunds(self) -> Sequence[Refund]:
        async with self.house.database.unit_of_work() as uow:
            payment = await uow.payments.find(self.account_id, "T-LOST")
            assert payment is not None
            return await uow.refunds.of_payment(payment.id)


async def test_a_lost_payment_that_is_confirmed_pays_its_order_once() -> None:
    desk = await Desk().open()
    first, second = await desk.decide("confirm_payment", times=2)
    assert (first.status_code, first.json()["result"]["outcome"]) == (200, "confirmed")
    assert (second.status_code, code_of(second)) == (409, "discrepancy_settled")
    assert ((await desk.now()).status, await desk.held()) == (OrderStatus.PAID, 0)
    assert len(await desk.house.payments(desk.order)) == 1


async def test_a_lost_payment_that_is_booked_to_suspense_waits_there_whatever_its_order() -> None:
    desk = await Desk().open()
    first, second = await desk.decide("book_to_suspense", times=2)
    assert (first.status_code, first.json()["result"]["outcome"]) == (200, "held")
    assert (second.status_code, code_of(second)) == (409, "discrepancy_settled")
    assert ((await desk.now()).status, await desk.held()) == (OrderStatus.PENDING, 10_000)
    async with desk.house.database.unit_of_work() as uow:
        payment = await uow.payments.find(desk.account_id, "T-LOST")
        assert payment is not None
        item = await uow.suspense.of_payment(payment.id)
    assert item is not None
    assert (item.status, item.amount) == (SuspenseStatus.OPEN, Money(10_000))


async def test_a_lost_payment_that_is_refunded_is_on_its_way_back_to_its_payer_once() -> None:
    desk = await Desk().open()
    first, second = await desk.decide("refund", times=2)
    assert (first.status_code, first.json()["result"]["outcome"]) == (200, "held")
    assert (second.status_code, code_of(second)) == (409, "discrepancy_settled")
    assert (await desk.now()).status is OrderStatus.PENDING
    (refund,) = await desk.refunds()
    assert (refund.amount, refund.origin, refund.status) == (
        Money(10_000),
        RefundOrigin.SUSPENSE,
        RefundStatus.REQUESTED,
    )


async def test_a_refund_from_the_console_is_recorded_as_its_orders_once() -> None:
    desk = await Desk().open(LineKind.REFUND)
    first, second = await desk.decide("record_refund", times=2)
    assert first.status_code == 200
    assert (second.status_code, code_of(second)) == (409, "discrepancy_settled")
    assert (await desk.now()).refunded == Money(3_000)
    (refund,) = await desk.house.refunds(desk.order)
    assert (refund.amount, refund.origin, refund.status) == (
        Money(3_000),
        RefundOrigin.CONSOLE,
        RefundStatus.SUCCEEDED,
    )


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [(LineKind.PAYMENT, "record_refund"), *((LineKind.REFUND, lost) for lost in ("confirm_payment", "refund"))],
)
async def test_a_payments_remedy_is_none_for_a_refund_nor_the_other_way(kind: LineKind, remedy: str) -> None:
    desk = await Desk().open(kind)
    (answer,) = await desk.decide(remedy)
    assert (answer.status_code, code_of(answer)) == (409, "remedy_unfit")
    async with desk.house.database.unit_of_work() as uow:
        assert (await uow.bills.discrepancy("dis_1")).live


async def test_the_figure_of_the_channel_is_accepted_at_the_platforms_cost() -> None:
    desk = await Desk().open()
    (answer,) = await desk.decide("accept_channel")
    assert (answer.status_code, answer.json()["result"]["posted"]) == (200, 10_000)
    async with desk.house.database.unit_of_work() as uow:
        adjustment = Account(AccountKind.ADJUSTMENT, "platform", Mode.TEST, "CNY")
        assert await uow.ledger.balance(adjustment) == 10_000
    assert (await desk.now()).status is OrderStatus.PENDING


def test_what_is_missing_here_has_these_remedies_and_no_other() -> None:
    assert REMEDIES[DifferenceKind.MISSING_HERE] == {
        *("confirm_payment", "book_to_suspense", "refund", "record_refund", "accept_channel"),
    }
