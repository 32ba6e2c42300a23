"""Money to be released and settled in a stack of processes, and what must be true when it is."""

from datetime import timedelta
from typing import Any

from domain.channels import Mode
from domain.ledger import Account, AccountKind
from domain.releases import Release
from domain.settlement_postings import CREATED
from domain.settlement_rules import Cycle, SettlementRule
from domain.statements import DayStatus, StatementDay
from domain.times import shanghai_day
from tests.integration.house import House, eventually

ONE_DAY = timedelta(days=1)


async def payment_due(house: House, order: dict[str, Any]) -> str:
    """The payment of an order, as if it had come yesterday and that day were closed: due to be released now."""
    container = house.stack.container
    (payment,) = await house.stack.payments(order)
    now, whose = container.clock().now(), house.stack.merchant.merchant_id
    yesterday = shanghai_day(now) - ONE_DAY
    async with container.database().unit_of_work() as uow:
        await uow.settlement_rules.save(SettlementRule(merchant_id=whose, risk_days=0))
        await uow.bills.open_day(StatementDay(account_id=payment.account_id, mode=payment.mode, day=yesterday))
        day = StatementDay(
            account_id=payment.account_id, mode=payment.mode, day=yesterday, status=DayStatus.CLOSED, closed_by="x"
        )
        await uow.bills.save_day(day)
    await house.sql(
        "INSERT INTO release (payment_id, order_id, merchant_id, mode, account_id, day, net, currency, next_at,"
        " released, times) VALUES ($1, $2, $3, 'test', $4, $5, $6, 'CNY', now(), 0, 0)",
        payment.id,
        order["id"],
        whose,
        payment.account_id,
        yesterday,
        (payment.received - payment.fee).minor,
    )
    return payment.id


async def released(house: House, payment_id: str, within: float) -> None:
    """Returns when it is, once and to the fen."""

    async def now() -> Release | None:
        async with house.stack.container.database().unit_of_work() as uow:
            return await uow.releases.of_payment(payment_id)

    async def done() -> bool:
        release = await now()
        return release is not None and release.released_at is not None

    await eventually(done, within, "the payment is released")
    release = await now()
    assert release is not None
    async with house.stack.container.database().unit_of_work() as uow:
        moved = [each for each in await uow.ledger.about(payment_id) if each.fact == "released"]
    assert [each.amount for each in moved] == [release.net]


async def settlement_due(house: House) -> None:
    """The merchant's rule says that it is time, for all that has been released."""
    container = house.stack.container
    async with container.database().unit_of_work() as uow:
        rule = SettlementRule(
            merchant_id=house.stack.merchant.merchant_id,
            cycle=Cycle.DAILY,
            risk_days=0,
            next_at=container.clock().now(),
        )
        await uow.settlement_rules.save(rule)


async def settled(house: House, within: float) -> None:
    """Returns when all that was available is inside settlements, each worth what is inside."""
    available = Account(AccountKind.MERCHANT_AVAILABLE, house.stack.merchant.merchant_id, Mode.TEST, "CNY")

    async def done() -> bool:
        async with house.stack.container.database().unit_of_work() as uow:
            return await uow.sweeps.available(available) == 0

    await eventually(done, within, "everything available is settled")
    inside = await house.sql(
        "SELECT s.id, s.swept, sum(l.amount) FILTER (WHERE t.fact <> $1) AS lines FROM settlement s"
        " JOIN settlement_transfer l ON l.settlement_id = s.id JOIN transfer t USING (idem_key) GROUP BY s.id, s.swept",
        CREATED,
    )
    assert all(each["swept"] == each["lines"] for each in inside)
