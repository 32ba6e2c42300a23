"""What a merchant may do, at which price and within which limits, seen from the payments' path."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from application.keep_accounts import CheckAccess, KeepAccounts
from application.keep_merchants import KeepMerchants
from application.open_merchant import OpenedMerchant
from domain.actors import SYSTEM
from domain.attempts import AttemptStatus
from domain.channels import FundMode, Method
from domain.errors import Conflict, Forbidden, InvalidRequest, RateLimited
from domain.limits import Limit
from domain.money import FeePlan, Money, Rate
from domain.orders import Order, OrderStatus
from domain.products import Binding, Product, ProductVersion, RateOverride
from domain.times import shanghai_day
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, caller

QR, NATIVE = Method.ALIPAY_QR, Method.WECHAT_NATIVE


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def house(clock: FakeClock) -> House:
    return House(clock=clock)


def keep(house: House) -> KeepMerchants:
    return KeepMerchants(house.database.unit_of_work, house.vault, house.clock, house.ids)


async def priced(house: House, merchant: OpenedMerchant, method: Method, ppm: int | None) -> None:
    """From now on this merchant pays so much for this method."""
    now = house.clock.now()
    async with house.database.unit_of_work() as uow:
        await uow.pricings.override(
            RateOverride(
                id=house.ids.new("rov"),
                merchant_id=merchant.merchant.id,
                method=method,
                plan=None if ppm is None else FeePlan(Rate(ppm)),
                valid_from=now,
                created_at=now,
            )
        )


async def taken(house: House, merchant: OpenedMerchant) -> int:
    async with house.database.unit_of_work() as uow:
        day = shanghai_day(house.clock.now())
        return (await uow.limits.taken(merchant.merchant.id, merchant.endpoint.mode, day)).get(QR, 0)


async def start(house: House, merchant: OpenedMerchant, order: Order, method: Method = QR) -> str:
    """The number of an attempt, or the code of the refusal."""
    try:
        return (await house.start_attempt(caller(merchant), order.id, method)).number
    except (Conflict, Forbidden, InvalidRequest) as refusal:
        return refusal.code


# ── Suspended ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_suspended_merchant_starts_nothing_and_what_is_on_its_way_is_booked(
    house: House, clock: FakeClock
) -> None:
    merchant = await house.merchant()
    begun, waiting = await house.order(merchant, "A-1"), await house.order(merchant, "A-2")
    attempt = await house.start_attempt(caller(merchant), begun.id, QR)
    await keep(house).suspend(SYSTEM, merchant.merchant.id, "a complaint")
    assert await start(house, merchant, waiting) == "merchant_suspended", "at once, whatever was remembered"
    clock.advance(1)
    with pytest.raises(Forbidden) as caught:
        await house.order(merchant, "A-3")
    assert caught.value.code == "merchant_suspended"
    house.alipay.pay(attempt.number)
    await house.notice(house.alipay, attempt)
    assert (await house.now(begun)).status is OrderStatus.PAID
    assert (await house.view_cashier(waiting.cashier_token)).methods == ()
    assert (await house.close_order(waiting.id, "merchant")).status is OrderStatus.CLOSED
    await keep(house).reactivate(SYSTEM, merchant.merchant.id, "cleared")
    clock.advance(1)
    assert (await start(house, merchant, await house.order(merchant, "A-4"))).startswith("PTY")


async def test_a_suspension_while_attempts_start_lets_each_through_or_not_and_breaks_nothing(house: House) -> None:
    merchant = await house.merchant()
    orders = [await house.order(merchant, f"A-{n}") for n in range(12)]
    outcomes = await asyncio.gather(
        *(start(house, merchant, order) for order in orders[:6]),
        keep(house).suspend(SYSTEM, merchant.merchant.id, "now"),
        *(start(house, merchant, order) for order in orders[6:]),
    )
    begun = [n for n in outcomes if isinstance(n, str) and n.startswith("PTY")]
    for order in orders:
        for attempt in await house.attempts(order):
            assert attempt.number in begun
            house.alipay.pay(attempt.number)
            await house.notice(house.alipay, attempt)
            assert (await house.now(order)).status is OrderStatus.PAID
    assert await start(house, merchant, orders[0]) in ("order_paid", "merchant_suspended")


# ── Prices ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_attempt_keeps_the_price_that_it_began_with(house: House) -> None:
    merchant = await house.merchant()
    order = await house.order(merchant, amount=100_000)
    attempt = await house.start_attempt(caller(merchant), order.id, QR)
    await priced(house, merchant, QR, 10_000)
    house.alipay.pay(attempt.number)
    await house.notice(house.alipay, attempt)
    (payment,) = await house.payments(order)
    assert payment.fee == Money(600), "0.6 %, as when it began"
    later = await house.order(merchant, "A-2", amount=100_000)
    attempt = await house.start_attempt(caller(merchant), later.id, QR)
    house.alipay.pay(attempt.number)
    await house.notice(house.alipay, attempt)
    (payment,) = await house.payments(later)
    assert payment.fee == Money(1_000)


async def test_prices_that_change_while_attempts_start_are_one_of_the_two_and_stay(house: House) -> None:
    merchant = await house.merchant()
    orders = [await house.order(merchant, f"A-{n}", amount=100_000) for n in range(10)]
    await asyncio.gather(
        *(start(house, merchant, order) for order in orders[:5]),
        priced(house, merchant, QR, 10_000),
        *(start(house, merchant, order) for order in orders[5:]),
    )
    await priced(house, merchant, QR, 1)
    for order in orders:
        (attempt,) = await house.attempts(order)
        assert attempt.terms.fee_plan.rate.ppm in (6_000, 10_000)
        house.alipay.pay(attempt.number)
        await house.notice(house.alipay, attempt)
        (payment,) = await house.payments(order)
        assert payment.fee == attempt.terms.fee_plan.fee(payment.received)


async def test_a_method_outside_the_merchants_product_is_neither_shown_nor_started(house: House) -> None:
    merchant = await house.merchant()
    order, now = await house.order(merchant), house.clock.now()
    product = Product(id=house.ids.new("prd"), name="Alipay only", created_at=now, listed=True)
    async with house.database.unit_of_work() as uow:
        await uow.products.add(product)
        await uow.products.add_version(
            ProductVersion(product_id=product.id, n=1, plans={QR: FeePlan(Rate(1))}, valid_from=now, created_at=now)
        )
        await uow.pricings.bind(
            Binding(
                id=house.ids.new("bnd"),
                merchant_id=merchant.merchant.id,
                product_id=product.id,
                valid_from=now,
                created_at=now,
            )
        )
    assert (await house.view_cashier(order.cashier_token)).methods == (QR,)
    assert await start(house, merchant, order, NATIVE) == "method_unavailable"
    assert (await start(house, merchant, order)).startswith("PTY")


async def test_the_cost_rate_is_the_accounts_for_this_method(house: House) -> None:
    merchant = await house.merchant()
    async with house.database.unit_of_work() as uow:
        account = await uow.accounts.lock(merchant.account_ids[0])
        await uow.accounts.save(replace(account, cost_rates={QR: Rate(1_234)}))
    attempt = await house.start_attempt(caller(merchant), (await house.order(merchant)).id, QR)
    assert attempt.terms.cost_rate == Rate(1_234)


async def test_a_direct_merchant_is_never_routed_to_the_platforms_accounts(house: House) -> None:
    merchant = await house.merchant()
    await keep(house).edit(SYSTEM, merchant.merchant.id, fund_modes=frozenset({FundMode.DIRECT}))
    order = await house.order(merchant)
    assert await start(house, merchant, order) == "method_unavailable"
    assert (await house.view_cashier(order.cashier_token)).methods == ()


# ── Limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_payment_beyond_the_methods_limit_is_refused_and_another_method_is_not(house: House) -> None:
    merchant = await house.merchant()
    await keep(house).limit(SYSTEM, merchant.merchant.id, Limit(QR, single=9_999))
    order = await house.order(merchant, amount=10_000)
    assert await start(house, merchant, order) == "amount_limit"
    assert await house.attempts(order) == []
    assert (await start(house, merchant, order, NATIVE)).startswith("PTY")


async def test_a_day_takes_its_limit_and_gives_back_what_comes_to_nothing(house: House, clock: FakeClock) -> None:
    merchant = await house.merchant()
    await keep(house).limit(SYSTEM, merchant.merchant.id, Limit(QR, daily=25_000))
    orders = [await house.order(merchant, f"A-{n}") for n in range(4)]
    first = await house.start_attempt(caller(merchant), orders[0].id, QR)
    assert (await start(house, merchant, orders[1])).startswith("PTY")
    assert await start(house, merchant, orders[2]) == "daily_limit"
    assert await taken(house, merchant) == 20_000
    house.alipay.pay(first.number)
    await house.notice(house.alipay, first)
    assert await taken(house, merchant) == 20_000, "what is paid stays"
    house.alipay.scan((await house.attempts(orders[1]))[0].number)
    assert (await start(house, merchant, orders[1], NATIVE)).startswith("PTY"), "the first method is closed"
    assert await taken(house, merchant) == 10_000
    assert (await start(house, merchant, orders[2])).startswith("PTY")
    assert await start(house, merchant, orders[3]) == "daily_limit"
    clock.advance(86_400)
    tomorrow = await house.order(merchant, "B-1")
    assert (await start(house, merchant, tomorrow)).startswith("PTY")


async def test_a_days_limit_begins_anew_at_midnight_in_shanghai(house: House, clock: FakeClock) -> None:
    merchant = await house.merchant()
    await keep(house).limit(SYSTEM, merchant.merchant.id, Limit(QR, daily=10_000))
    clock.advance(12 * 3_600 - 1)  # from noon
    assert (await start(house, merchant, await house.order(merchant, "A-1"))).startswith("PTY")
    waiting = await house.order(merchant, "A-2")
    assert await start(house, merchant, waiting) == "daily_limit"
    clock.advance(1)
    assert (await start(house, merchant, waiting)).startswith("PTY")


async def test_attempts_at_once_do_not_exceed_a_days_limit_together(house: House) -> None:
    merchant = await house.merchant()
    await keep(house).limit(SYSTEM, merchant.merchant.id, Limit(QR, daily=35_000))
    orders = [await house.order(merchant, f"A-{n}") for n in range(8)]
    outcomes = await asyncio.gather(*(start(house, merchant, order) for order in orders))
    assert sorted(each[:3] for each in outcomes) == ["PTY"] * 3 + ["dai"] * 5
    assert await taken(house, merchant) == 30_000


async def test_more_orders_in_a_minute_than_allowed_are_told_when_to_come_again(house: House, clock: FakeClock) -> None:
    merchant = await house.merchant()
    await keep(house).limit_orders(SYSTEM, merchant.merchant.id, 3)
    for n in range(3):
        await house.order(merchant, f"A-{n}")
    with pytest.raises(RateLimited) as caught:
        await house.order(merchant, "A-3")
    assert caught.value.code == "order_rate_limit"
    assert 1 <= caught.value.retry_after_seconds <= 60
    house.pace.lost = True
    await house.order(merchant, "A-4")  # a counter that is away keeps nobody from collecting
    house.pace.lost = False
    clock.advance(caught.value.retry_after_seconds)
    await house.order(merchant, "A-3")


# ── Keys, credentials ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_key_works_from_the_merchants_networks_alone(house: House, clock: FakeClock) -> None:
    merchant = await house.merchant()
    assert (await house.authenticate(merchant.api_key, None)).merchant_id == merchant.merchant.id
    await keep(house).edit(SYSTEM, merchant.merchant.id, networks=["203.0.113.7", "2001:db8::/32"])
    clock.advance(1)
    for address in ("203.0.113.7", "::ffff:203.0.113.7", "2001:db8::99"):
        assert (await house.authenticate(merchant.api_key, address)).merchant_id == merchant.merchant.id
    for stranger in ("203.0.113.77", "3.0.113.7", "203.0.113.", "2001:db9::99", "", None):
        with pytest.raises(Forbidden) as caught:
            await house.authenticate(merchant.api_key, stranger)
        assert caught.value.code == "address_not_allowed"


async def test_notices_signed_for_the_keys_before_a_rotation_are_believed_for_its_overlap(
    house: House, clock: FakeClock
) -> None:
    merchant = await house.merchant()
    accounts = KeepAccounts(
        house.database.unit_of_work,
        house.channels,
        house.vault,
        clock,
        house.ids,
        CheckAccess(house.channels, house.ids),
    )
    numbers = []
    for n in range(3):
        attempt = await house.start_attempt(caller(merchant), (await house.order(merchant, f"A-{n}")).id, QR)
        house.alipay.pay(attempt.number)
        numbers.append((attempt, house.alipay.notice(attempt.number)))
    access = await accounts.get(merchant.account_ids[0])
    await accounts.rotate(
        SYSTEM, access.credential.id, {}, {"app_private_key": "new"}, overlap=timedelta(hours=1), check=False
    )
    clock.advance(1)

    async def told(n: int) -> bool:
        attempt, (headers, body) = numbers[n]
        return (await house.receive_notice(attempt.method.channel, attempt.account_id, headers, body)).accepted

    assert await told(0)
    clock.advance(3_598)
    assert await told(1)
    clock.advance(2)
    assert not await told(2)
    (attempt,) = await house.attempts(await house.order(merchant, "A-2"))
    assert attempt.status is AttemptStatus.PENDING, "the poll finds it"
