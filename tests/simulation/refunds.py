"""Refunds in a life: shops that give back, consoles that do so unasked, banks that take their time; a verdict."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextvars import Context
from functools import partial

from application.open_merchant import OpenedMerchant
from domain.channels import Access, ChannelState, RefundReport, RefundState
from domain.errors import Conflict, PitayaError
from domain.money import Money
from domain.orders import OrderStatus
from domain.payments import SuspenseStatus, Unattributed
from domain.refunds import Refund, RefundStatus, RefundWish
from tests.fakes.channel import FakeChannel, PayerRefused
from tests.fakes.house import SHOP, House, caller
from tests.simulation.people import Journal, Post, same
from tests.simulation.world import Lost, World


class Banks:
    """What becomes of each refund that a channel has made, and the notices of it."""

    def __init__(self, world: World, journal: Journal) -> None:
        self._world, self._journal, self._chance = world, journal, world.chance
        self._at_work: list[asyncio.Task[None]] = []
        for channel in world.house.channels.values():
            channel.on_refund = partial(self._follow, channel)

    async def done(self) -> None:
        """Returns when all of them have said their last word."""
        while self._at_work:
            await self._at_work.pop()

    def _follow(self, channel: FakeChannel, number: str, access: Access) -> None:
        # Outside of us: it goes on whatever process of ours dies meanwhile.
        work = self._settle(channel, number, access)
        self._at_work.append(asyncio.get_running_loop().create_task(work, context=Context()))

    async def _settle(self, channel: FakeChannel, number: str, access: Access) -> None:
        chance = self._chance
        post = Post(self._world, self._journal, access.account.channel, access.account.id)
        self._world.counts["refunds"] += 1
        await self._world.sleep(chance.choice((0.2, 5.0, 60.0, 4_000.0)))
        if channel.refunds_later:
            channel.settle(
                number, chance.choice((RefundState.SUCCEEDED,) * 8 + (RefundState.CLOSED, RefundState.ABNORMAL))
            )
        await post.deliver(partial(same, channel.refund_notice(number)), number)
        await self._world.sleep(chance.choice((10.0, 9_000.0)))
        channel.settle(number)  # a person has said where the money of an abnormal one goes
        await post.deliver(partial(channel.refund_notice, number), number)


async def regret(world: World, journal: Journal, merchant: OpenedMerchant, order_id: str, time: str = "") -> None:
    """The shop gives back some of an order, in parts, and somebody may do so in the channel's console meanwhile.
    ``time`` tells one such regret from another of the same order."""
    chance = world.chance
    await world.sleep(chance.uniform(5, 90))
    parts = [_part(world, journal, merchant, order_id, f"{n}{time}") for n in range(chance.choice((1, 2, 2, 4)))]
    if chance.random() < 0.25:
        parts.append(console(world, order_id))
    await asyncio.gather(*parts)


async def _part(world: World, journal: Journal, merchant: OpenedMerchant, order_id: str, part: str) -> None:
    chance = world.chance
    await world.sleep(chance.choice((0.0, 0.0, 61.0, 200.0)))
    row = world.database.tables.orders.committed.get(order_id)
    if row is None or row.order.status is not OrderStatus.PAID:
        return
    paid = row.order.paid.minor
    amount = chance.choice((paid, chance.randint(1, paid), max(1, paid // 3)))
    wish = RefundWish(merchant_refund_no=f"{order_id}-{part}", order_id=order_id, amount=Money(amount))

    async def give_back(house: House) -> Refund:
        refund = await house.request_refund(caller(merchant), wish)
        return await house.submit_refund(refund.id)

    answers = set()
    for _ in range(6):
        try:
            answers.add((await world.ask(give_back)).id)
        except Conflict as refusal:
            world.counts[f"refused {refusal.code}"] += 1
            if refusal.code not in ("refund_exceeds_paid", "refund_too_soon", "insufficient_balance"):
                journal.complaints.append(f"a refund was refused: {refusal.code}")
            break
        except (Lost, PitayaError):
            await world.sleep(chance.uniform(0.2, 8))
            continue
        if chance.random() < 0.8:
            break
    if len(answers) > 1:
        journal.complaints.append(f"one merchant_refund_no became several refunds: {answers}")


async def console(world: World, order_id: str) -> None:
    """A person at the channel's own console, who asks nobody."""
    chance = world.chance
    await world.sleep(chance.uniform(0, 120))
    for attempt in list(world.database.tables.attempts.committed.values()):
        channel = world.house.channels[attempt.method.channel]
        receipt = channel.receipt(attempt.number)
        if attempt.order_id != order_id or receipt is None or channel.state(attempt.number) is not ChannelState.PAID:
            continue
        try:
            channel.console(attempt.number, Money(chance.randint(1, receipt.total.minor)))
        except PayerRefused:
            continue
        world.counts["console refunds"] += 1


# ── The verdict ──────────────────────────────────────────────────────────────────────────────────────────────────────


def refunds_went_well(world: World, journal: Journal) -> Iterator[str]:
    """What the channels have given back is in our books as it was, and nothing else is; merchants have heard of it."""
    tables = world.database.tables
    ours = {(each.account_id, each.number): each for each in tables.refunds.committed.values()}
    seen = set()
    for account_id, number, report in _made(world):
        refund = ours.get((account_id, number))
        seen.add((account_id, number))
        told = number not in journal.silent
        if refund is None:
            if report.number is not None:
                yield f"a channel refunds for us what we do not know: {report}"
            elif told and report.state is RefundState.SUCCEEDED and not _held(world, report.payment_number):
                yield f"refunded in the console and not recorded: {report}"
            continue
        if report.number is None and not told:
            continue
        wanted = RefundStatus.FAILED if report.state is RefundState.CLOSED else RefundStatus.SUCCEEDED
        if refund.status is not wanted or refund.amount != report.amount:
            yield f"{refund} is at its channel {report}"
    for key, refund in ours.items():
        world.counts[f"refund {refund.status}"] += 1
        if refund.status not in (RefundStatus.SUCCEEDED, RefundStatus.FAILED):
            yield f"a refund without an end: {refund}"
        elif refund.status is RefundStatus.SUCCEEDED and key not in seen:
            yield f"refunded in our books alone: {refund}"
    yield from _heard(world, journal)
    yield from _sent_back(world)


def _made(world: World) -> Iterator[tuple[str, str, RefundReport]]:
    for channel in world.house.channels.values():
        for account_id, report in channel.made():
            number = report.number or report.channel_id
            assert number is not None
            yield account_id, number, report


def _held(world: World, payment_number: str) -> bool:
    """Whether a person has to look at it: part of a payment that is being undone, or was written off."""
    tables = world.database.tables
    payments = [each for each in tables.payments.committed.values() if each.number == payment_number]
    items = {each.payment_id: each.status for each in tables.suspense.committed.values()}
    return not payments or any(
        each.unattributed is Unattributed.REVERSED or items.get(each.id) is SuspenseStatus.WRITTEN_OFF
        for each in payments
    )


def _heard(world: World, journal: Journal) -> Iterator[str]:
    bodies = world.house.courier.server(SHOP).bodies.values()
    heard = Counter((body["data"]["id"], body["type"]) for body in bodies if body["data"]["object"] == "refund")
    due = Counter(
        (refund.id, f"refund.{refund.status}")
        for refund in world.database.tables.refunds.committed.values()
        if refund.order_id is not None and refund.merchant_id not in journal.switched_off
    )
    for one in sorted(due - heard):
        yield f"a refund has ended, and its merchant has not heard of it: {one}"
    yield from (f"heard twice: {one}" for one, times in heard.items() if times > 1)


def _sent_back(world: World) -> Iterator[str]:
    """What came late or twice is on its way back, was given back, or waits for a person because it cannot go."""
    refunds = [each for each in world.database.tables.refunds.committed.values() if each.item_id is not None]
    for item in world.database.tables.suspense.committed.values():
        world.counts[f"item {item.status}"] += 1
        mine = [each for each in refunds if each.item_id == item.id]
        back = sum(each.debit.minor for each in mine if each.status is RefundStatus.SUCCEEDED)
        if item.status is SuspenseStatus.REFUNDED and not back and item.reason != "reversed":
            yield f"an item was refunded by nobody: {item}"
        if item.reason in ("late", "second") and not mine:
            yield f"nobody sends it back: {item}"
        if back > item.amount.minor:
            yield f"more of an item was refunded than there was: {item}"
