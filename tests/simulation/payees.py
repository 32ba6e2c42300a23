"""Who gets the money: payees with a phone, the channels that pay them, a bank that works files off; and 退票."""

import asyncio
import csv
import io
from contextvars import Context
from functools import partial

from domain.channels import Access
from domain.money import Money
from domain.payouts import PayoutState
from tests.fakes.channel import FakeChannel
from tests.simulation.people import Journal, Post, same
from tests.simulation.world import World


class Payees:
    """What becomes of each payout at its channel, and of each line of a bank file. ``bank`` is what the bank knows of a
    number: a number is paid once there, however often a file with it is handed in."""

    def __init__(self, world: World, journal: Journal) -> None:
        self._world, self._journal, self._chance = world, journal, world.chance
        self._at_work: list[asyncio.Task[None]] = []
        self.bank: dict[str, PayoutState] = {}
        self.amounts: dict[str, Money] = {}  # of the bank's
        for channel in world.house.channels.values():
            channel.payouts.on_payout = partial(self._follow, channel)

    async def done(self) -> None:
        """Returns when all of them have said their last word."""
        while self._at_work:
            await self._at_work.pop()

    def hand_in(self, file: str) -> None:
        """The bank works off a file: most is paid, some is refused."""
        for *_, yuan, number in list(csv.reader(io.StringIO(file)))[1:]:
            amount = Money(int(yuan.replace(".", "")))
            assert self.amounts.setdefault(number, amount) == amount, "one number, one amount"
            self.bank.setdefault(number, self._chance.choice((PayoutState.PAID,) * 4 + (PayoutState.FAILED,)))

    def bounce(self, number: str) -> None:
        """The payee's bank has sent it back, if it ever had it."""
        if self.bank[number] is PayoutState.PAID:
            self.bank[number] = PayoutState.BOUNCED

    def _follow(self, channel: FakeChannel, number: str, access: Access) -> None:
        self._world.counts["payouts"] += 1
        if not channel.payouts.confirmed and self._chance.random() < 0.3:
            channel.payouts.become(number, PayoutState.PENDING)
        # Outside of us: it goes on whatever process of ours dies meanwhile.
        work = self._pay(channel, number, access)
        self._at_work.append(asyncio.get_running_loop().create_task(work, context=Context()))

    async def _pay(self, channel: FakeChannel, number: str, access: Access) -> None:
        chance, payouts = self._chance, channel.payouts
        post = Post(self._world, self._journal, access.account.channel, access.account.id)
        await self._world.sleep(chance.choice((0.2, 5.0, 60.0, 4_000.0)))
        if payouts.state(number) in (PayoutState.AWAITING_PAYEE, PayoutState.PENDING):
            ends = (PayoutState.PAID,) * 6 + (PayoutState.FAILED, PayoutState.CANCELLED)
            payouts.become(number, chance.choice(ends), "its end")
        await post.deliver(partial(same, payouts.notice(number)), number)
        if payouts.state(number) is PayoutState.PAID and chance.random() < 0.2:
            await self._world.sleep(chance.choice((10.0, 9_000.0)))
            payouts.become(number, PayoutState.BOUNCED, "退票")
            await post.deliver(partial(same, payouts.notice(number)), number)
