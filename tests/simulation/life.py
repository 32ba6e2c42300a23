"""One life from a seed: people come, faults come, faults end, time passes, and every promise is looked at."""

import asyncio
import hashlib
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from application.open_merchant import OpenedMerchant
from application.ports.promises import PROMISES
from domain.attempts import NO_MONEY, POLL_END, AttemptStatus
from domain.channels import ChannelState
from domain.merchants import LatePayment
from domain.numbers import is_ours
from domain.orders import OrderStatus
from domain.payments import SuspenseStatus, Unattributed
from tests.fakes.house import SHOP
from tests.simulation.afterwards import Afterwards
from tests.simulation.changes import Changes
from tests.simulation.loop import SeededLoop
from tests.simulation.people import OFFERED, Journal, Shop, stranger, switch_off_for_a_while
from tests.simulation.reckoning import reckoned
from tests.simulation.refunds import Banks, refunds_went_well, regret
from tests.simulation.world import USUAL, Odds, Sabotage, World

_IN_TIME = ("L3", "L4", "M13")  # what allows the background its time; the others must hold at every instant
_ALWAYS = tuple(promise for promise in PROMISES if promise not in _IN_TIME)
_LONGEST = timedelta(days=5)  # longer than any ladder


@dataclass
class Life:
    """What came of one seed. ``complaints`` is empty when every promise held."""

    seed: int
    world: World
    complaints: list[str] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        return self.world.counts

    @property
    def digest(self) -> str:
        """Of every row there is at the end, and of what befell on the way: the same at each replay."""
        return _digest(self.world)


def live(seed: int, sabotage: Sabotage | None = None, odds: Odds = USUAL) -> Life:
    """Run one life to its end. Time is virtual; hours of it take milliseconds."""
    loop = SeededLoop(seed)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_live(seed, sabotage, odds))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _live(seed: int, sabotage: Sabotage | None, odds: Odds) -> Life:
    world, journal = World(seed, sabotage, odds), Journal()
    life = Life(seed, world)
    try:
        await _run(world, journal, life)
    except Exception as error:  # noqa: BLE001 - whatever ends a life, its seed has to be told
        life.complaints.append("".join(traceback.format_exception(error)))
    finally:
        world.end()
        await asyncio.sleep(1)
    life.counts.update(lives=1, hours=round(asyncio.get_running_loop().time() / 3600))
    life.complaints += journal.complaints
    life.complaints += ["".join(traceback.format_exception(bug)) for bug in world.bugs]
    return life


async def _run(world: World, journal: Journal, life: Life) -> None:
    chance, house = world.chance, world.house
    merchants = [
        await house.merchant(
            of_platform=chance.random() < 0.7,
            late_payment=chance.choice((LatePayment.REFUND, LatePayment.ACCEPT)),
            methods=OFFERED,
        )
        for _ in range(chance.choice((1, 1, 2)))
    ]
    changes = Changes(life.seed, world, merchants)
    await changes.prepare()
    world.begin()
    banks = Banks(world, journal)
    people = [
        asyncio.ensure_future(_business(world, journal, chance.choice(merchants), f"A-{n}"))
        for n in range(chance.choice((1, 1, 2, 3)))
    ]
    if chance.random() < 0.15:
        account_id = chance.choice(chance.choice(merchants).account_ids)
        people.append(asyncio.ensure_future(stranger(world, journal, account_id)))
    if chance.random() < 0.1:
        people.append(asyncio.ensure_future(switch_off_for_a_while(world, journal, chance.choice(merchants))))
    people += changes.people()
    await asyncio.sleep(chance.choice((30, 120, 600, 1_200)))
    life.complaints += _breaches(world, "while faults last", _ALWAYS)
    world.heal()
    await asyncio.gather(*people)
    await banks.done()
    await _pass_until_orders_are_final(world)
    life.complaints += _breaches(world, "when the time of every order was up", _IN_TIME)
    await _pass_until_nothing_is_due(world)
    await banks.done()
    await _pass_until_nothing_is_due(world)
    if chance.random() < world.odds.going_on:
        await _go_on(world, journal, merchants, banks, life)
    life.complaints += _breaches(world, "at the end")
    life.complaints += _verdict(world, journal)
    life.complaints += changes.verdict()


async def _go_on(world: World, journal: Journal, merchants: Sequence[OpenedMerchant], banks: Banks, life: Life) -> None:
    """The days after: another storm, and a calm in which everything comes to its end."""
    after = Afterwards(world, journal, merchants, lambda merchant: _business(world, journal, merchant, "B-1"))
    await after.stormy()
    life.complaints += _breaches(world, "while faults last, afterwards", _ALWAYS)
    world.heal()
    world.counts["went on"] += 1

    async def until_nothing_is_due() -> None:
        for _ in range(2):
            await banks.done()
            await after.payees.done()
            await _pass_until_nothing_is_due(world)

    await after.calm(until_nothing_is_due)
    life.complaints += await reckoned(world, after)


async def _business(world: World, journal: Journal, merchant: OpenedMerchant, number: str) -> None:
    """A sale, and in some lives second thoughts about it."""
    shop, regrets = Shop(world, journal, merchant), world.chance.random() < world.odds.regrets
    sale = asyncio.ensure_future(shop.sell(number))
    if regrets:
        for order_id in await shop.placed:
            await regret(world, journal, merchant, order_id)
    await sale


async def _pass_until_orders_are_final(world: World) -> None:
    rows = world.database.tables.orders.committed.values()
    last = max((row.order.expires_at for row in rows), default=world.clock.now())
    late = max(last, world.clock.now()) + timedelta(minutes=10, seconds=1)
    await asyncio.sleep((late - world.clock.now()).total_seconds())


async def _pass_until_nothing_is_due(world: World) -> None:
    patience, wait = world.clock.now() + _LONGEST, 60.0
    while not world.alarm.idle() and world.clock.now() < patience:
        await asyncio.sleep(wait)
        wait = min(wait * 2, 21_600.0)
    attempts = world.database.tables.attempts.committed.values()
    end = max((each.expires_at + POLL_END for each in attempts if each.live), default=world.clock.now())
    await asyncio.sleep(max(0.0, (end - world.clock.now()).total_seconds()) + 601)


def _breaches(world: World, when: str, wanted: Iterable[str] = PROMISES) -> Iterator[str]:
    checkers = world.promises.checkers
    for promise in wanted:
        if rows := list(checkers[promise]()):
            yield f"{promise} {when}: {rows[:3]}"


def _verdict(world: World, journal: Journal) -> Iterator[str]:
    yield from _orders(world, journal)
    yield from _money(world, journal)
    yield from _news(world, journal)
    yield from refunds_went_well(world, journal)
    stored = world.database.tables.notices.committed
    yield from (f"acknowledged and not stored: {notice}" for notice in sorted(journal.accepted) if notice not in stored)
    world.counts["repeated notices"] += max(0, world.counts["notices"] - len(stored))


def _orders(world: World, journal: Journal) -> Iterator[str]:
    orders = world.database.tables.orders.committed
    for order_id, asked in journal.acknowledged.items():
        if order_id not in orders or orders[order_id].order.request != asked:
            yield f"acknowledged and lost: {order_id}"
    for row in orders.values():
        world.counts[str(row.order.status)] += 1
        if row.order.status is OrderStatus.PENDING:
            yield f"never final: {row.order.id}"


def _money(world: World, journal: Journal) -> Iterator[str]:
    """Each receipt of a channel is booked once, and nothing else is."""
    tables = world.database.tables
    booked = Counter((each.account_id, each.transaction_id) for each in tables.payments.committed.values())
    by_key = {(each.account_id, each.transaction_id): each for each in tables.payments.committed.values()}
    given_back = {one.transaction_id for channel in world.house.channels.values() for one in channel.given_back()}
    for account_id, receipt in journal.receipts:
        key = (account_id, receipt.transaction_id)
        payment = by_key.get(key)
        if payment is None:
            if receipt.transaction_id in given_back and receipt.transaction_id in journal.silent:
                world.counts["undone unheard"] += 1  # the channel took and gave back, and said nothing of it
            elif is_ours(receipt.number) or receipt.transaction_id not in journal.silent:
                yield f"paid and not booked: {receipt}"
            else:  # not our number, and the channel never said a word of it: only its statement can tell
                world.counts["left to the statement"] += 1
        elif (payment.total, payment.received) != (receipt.total, receipt.received) or booked[key] != 1:
            yield f"booked amiss: {payment} for {receipt}"
        else:
            world.counts["held" if payment.unattributed else "effective"] += 1
    yield from _called_late(world)
    yield from _undone(world, journal)
    paid = {(account_id, receipt.transaction_id) for account_id, receipt in journal.receipts}
    yield from (f"booked and never paid: {key}" for key in sorted(by_key) if key not in paid)


def _undone(world: World, journal: Journal) -> Iterator[str]:
    """What a channel has undone pays no order and is held no longer; and no bar code is left in doubt."""
    tables = world.database.tables
    given_back = {one.transaction_id for channel in world.house.channels.values() for one in channel.given_back()}
    items = {item.payment_id: item for item in tables.suspense.committed.values()}
    for payment in tables.payments.committed.values():
        item = items.get(payment.id)
        held = item is not None and item.reason is Unattributed.REVERSED
        gone = held and item is not None and item.status is SuspenseStatus.REFUNDED
        if (payment.transaction_id in given_back) != gone:
            yield f"undone at the channel and kept in the books, or the other way round: {payment}"
    for attempt in tables.attempts.committed.values():
        if attempt.method.is_barcode and attempt.live:
            yield f"a bar code left hanging: {attempt}"
    tills = {row.event.object_id for row in tables.events.committed.values() if row.event.announced}
    for attempt in tables.attempts.committed.values():
        if attempt.method.is_barcode and attempt.status in NO_MONEY and attempt.id not in tills:
            yield f"no money came, and the till has not heard of it: {attempt}"
    world.counts["given back"] += len(given_back)
    world.counts["reversed"] += sum(
        each.status is AttemptStatus.REVERSED for each in tables.attempts.committed.values()
    )
    for attempt in tables.attempts.committed.values():
        state = world.house.channels[attempt.method.channel].state(attempt.number)
        if attempt.status is AttemptStatus.REVERSED and state in (ChannelState.PENDING, ChannelState.PAID):
            yield f"called undone, and at the channel it is {state}: {attempt}"
    for table in vars(tables).values() if journal.codes else ():
        stored = repr(table.committed)
        yield from (f"a bar code is stored in {table.name}" for code in sorted(journal.codes) if code in stored)


def _called_late(world: World) -> Iterator[str]:
    """Expiry asks the channel first: no money can come to an order that was closed by it."""
    tables = world.database.tables
    expired = {
        row.event.object_id
        for row in tables.events.committed.values()
        if row.event.type == "order.closed" and row.event.data["close_reason"] == "expired"
    }
    for payment in tables.payments.committed.values():
        if payment.order_id in expired and payment.unattributed in (None, Unattributed.LATE):
            yield f"closed as expired, although the money was there: {payment}"


def _news(world: World, journal: Journal) -> Iterator[str]:
    """The merchant's server has heard of each paid order in one distinct event, and of no other.

    Unless its endpoint was off for a while: L3 says what such a one must still have heard.
    """
    server = world.house.courier.server(SHOP)
    world.counts["repeated deliveries"] += len(server.arrivals) - len(set(server.arrivals))
    heard = Counter(
        (body["data"]["id"], body["data"]["paid_amount"])
        for body in server.bodies.values()
        if body["type"] == "order.paid"
    )
    orders = [row.order for row in world.database.tables.orders.committed.values()]
    due = Counter((each.id, each.paid.minor) for each in orders if each.status is OrderStatus.PAID)
    off = {each.id for each in orders if each.merchant_id in journal.switched_off}
    unheard = [one for one in sorted((due - heard).elements()) if one[0] not in off]
    world.counts["missed while off"] += sum((due - heard).values()) - len(unheard)
    yield from (f"paid, and its merchant has not heard of it: {one}" for one in unheard)
    yield from (f"news of what is not so, or twice: {one}" for one in sorted((heard - due).elements()))


def _digest(world: World) -> str:
    tables = world.database.tables
    state = [
        sorted(map(repr, table.committed.values()))
        for table in (
            tables.orders,
            tables.attempts,
            tables.payments,
            tables.refunds,
            tables.transfers,
            tables.settlements,
            tables.entries,
            tables.events,
            tables.deliveries,
            tables.tries,
        )
    ]
    return hashlib.sha256(repr((state, sorted(world.counts.items()))).encode()).hexdigest()
