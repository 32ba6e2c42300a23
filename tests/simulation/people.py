"""Those who use the house in a life: shops that place orders, payers with phones, and the channels' postmen."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from application.open_merchant import OpenedMerchant
from application.receive_notice import NoticeHandled
from domain.attempts import Attempt
from domain.channels import Access, Channel, ChannelReport, ChannelState, Method, Receipt
from domain.choices import Choice
from domain.errors import Conflict, PitayaError
from domain.idempotency import IdempotencyKey
from domain.merchants import Caller
from domain.money import Money
from domain.notifications import Endpoint
from domain.orders import OrderRequest
from tests.fakes.channel import PayerRefused
from tests.fakes.house import House, caller, request
from tests.simulation.world import Lost, World

T = TypeVar("T")

# Seconds between a channel's notices of one payment until one is answered with success.
_LADDER = (15.0, 15.0, 30.0, 180.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 10_800.0, 21_600.0)


BARCODES = (Method.ALIPAY_BARCODE, Method.WECHAT_BARCODE)
OFFERED = (Method.ALIPAY_QR, Method.WECHAT_NATIVE, *BARCODES)


@dataclass
class Journal:
    """What the outside world knows for certain, to be compared with the books at the end."""

    acknowledged: dict[str, OrderRequest] = field(default_factory=dict)  # by order id
    accepted: set[tuple[str, str]] = field(default_factory=set)  # notices that were answered with success
    receipts: list[tuple[str, Receipt]] = field(default_factory=list)  # (channel account, money taken)
    silent: set[str] = field(default_factory=set)  # transactions of which no notice ever comes
    charged: set[str] = field(default_factory=set)  # numbers whose receipts are among them, by bar code
    codes: set[str] = field(default_factory=set)  # bar codes that were scanned
    switched_off: set[str] = field(default_factory=set)  # merchants whose endpoint is off for a while
    complaints: list[str] = field(default_factory=list)


class Shop:
    """A merchant's shop: it repeats a call until it has an answer, sometimes under an Idempotency-Key."""

    def __init__(self, world: World, journal: Journal, merchant: OpenedMerchant) -> None:
        self._world, self._journal, self._chance = world, journal, world.chance
        self._merchant, self._who = merchant, caller(merchant)
        self.placed: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()  # the order, if it is

    async def sell(self, number: str) -> None:
        """One order from its placing to the last thing that anybody does about it."""
        chance = self._chance
        await self._world.sleep(chance.uniform(0, 20))
        asked = request(number, chance.randint(1, 30_000), chance.choice((60, 120, 300, 900)))
        order_id = await self._place(asked)
        self.placed.set_result([order_id] if order_id is not None else [])
        if order_id is None:
            return
        if chance.random() < 0.1:
            await self._contradict(asked)
        people: list[Coroutine[Any, Any, None]] = [self._payer(order_id) for _ in range(chance.choice((1, 1, 2)))]
        if chance.random() < 0.2:
            people.append(self._close(order_id))
        await asyncio.gather(*people)

    async def _place(self, asked: OrderRequest) -> str | None:
        chance = self._chance
        key = IdempotencyKey(
            merchant_id=self._who.merchant_id, mode=self._who.mode, key=asked.merchant_order_no, fingerprint=b"place"
        )

        async def call(house: House) -> str:
            async def place() -> tuple[int, bytes]:
                return 201, (await house.place_order(self._who, asked)).id.encode()

            return (await house.answer_once(key if keyed else None, place)).body.decode()

        keyed = chance.random() < 0.5
        answers = set()
        for _ in range(20):
            try:
                answers.add(await self._world.ask(call))
            except (Lost, PitayaError):
                await self._world.sleep(chance.uniform(0.2, 8))
                continue
            if chance.random() < 0.8:
                break
        if len(answers) > 1:
            self._journal.complaints.append(f"{asked.merchant_order_no} was answered with several orders: {answers}")
        for order_id in answers:
            self._journal.acknowledged[order_id] = asked
        return next(iter(answers), None)

    async def _contradict(self, asked: OrderRequest) -> None:
        """Another order under the same number must be refused."""
        other = request(asked.merchant_order_no, asked.amount.minor + 1, asked.expires_in)
        try:
            await self._world.ask(lambda house: house.place_order(self._who, other))
        except (Lost, PitayaError):
            return
        self._journal.complaints.append(f"{asked.merchant_order_no} was given to two different orders")

    async def _close(self, order_id: str) -> None:
        await self._world.sleep(self._chance.uniform(0, 60))
        await self._repeat(lambda house: house.close_order(order_id, "merchant"), times=3)

    async def _payer(self, order_id: str) -> None:
        """Chooses a method, perhaps another one after it, and pays some of the codes that the page has shown."""
        phones: list[Coroutine[Any, Any, None]] = []
        for _ in range(self._chance.choice((1, 1, 2))):
            if self._chance.random() < self._world.odds.tills:
                phones.append(self._till(order_id))
                continue
            method = self._chance.choice((Method.ALIPAY_QR, Method.WECHAT_NATIVE))
            attempt = await self._repeat(self._choosing(order_id, method), times=4)
            if attempt is not None and attempt.action is not None:
                phones.append(Phone(self._world, self._journal).use(attempt))
            await self._world.sleep(self._chance.uniform(0, 10))
        await asyncio.gather(*phones)

    async def _till(self, order_id: str) -> None:
        """A till scans the payer's bar code, and another one if nothing came of the first."""
        for _ in range(self._chance.choice((1, 2))):
            method = self._chance.choice(BARCODES)
            beginning = "28" if method is Method.ALIPAY_BARCODE else "13"
            code = f"{beginning}{self._chance.randrange(10**15):015}{self._chance.choice('011111234')}"
            self._journal.codes.add(code)
            choice = Choice(method=method, auth_code=code)
            await self._repeat(self._scanning(order_id, choice), times=self._chance.choice((1, 3)))
            await self._thumb(order_id, method)
            await self._world.sleep(self._chance.choice((0.5, 8, 60)))

    async def _thumb(self, order_id: str, method: Method) -> None:
        """The payer enters the password, soon or too late; and the channel's notice of it travels."""
        tables, channel = self._world.database.tables, self._world.house.channels[method.channel]
        await self._world.sleep(self._chance.choice((0.2, 3, 20, 44, 50, 58)))
        for attempt in list(tables.attempts.committed.values()):
            if attempt.order_id != order_id or attempt.method is not method:
                continue
            if channel.state(attempt.number) is ChannelState.PENDING and self._chance.random() < 0.7:
                with suppress(PayerRefused):
                    channel.pay(attempt.number)
        await self._journal_charges(method, order_id)

    async def _journal_charges(self, method: Method, order_id: str) -> None:
        tables, channel = self._world.database.tables, self._world.house.channels[method.channel]
        posts = []
        for attempt in list(tables.attempts.committed.values()):
            receipt = channel.receipt(attempt.number) if attempt.order_id == order_id else None
            if receipt is None or not attempt.method.is_barcode or receipt.number in self._journal.charged:
                continue
            self._journal.charged.add(receipt.number)
            self._world.counts["charges"] += 1
            self._journal.receipts.append((attempt.account_id, receipt))
            post = Post(self._world, self._journal, method.channel, attempt.account_id)
            signed = channel.paid_notice(attempt.number)
            posts.append(post.deliver(partial(same, signed), receipt.transaction_id))
        await asyncio.gather(*posts)

    def _scanning(self, order_id: str, choice: Choice) -> Callable[[House], Coroutine[Any, Any, Attempt]]:
        return lambda house: house.start_attempt(self._who, order_id, choice)

    def _choosing(self, order_id: str, method: Method) -> Callable[[House], Coroutine[Any, Any, Attempt]]:
        return lambda house: house.start_attempt(self._who, order_id, method)

    async def _repeat(self, work: Callable[[House], Coroutine[Any, Any, T]], *, times: int) -> T | None:
        for _ in range(times):
            try:
                return await self._world.ask(work)
            except Conflict:
                return None
            except (Lost, PitayaError):
                await self._world.sleep(self._chance.uniform(0.2, 6))
        return None


def same(signed: tuple[dict[str, str], bytes]) -> tuple[dict[str, str], bytes]:
    return signed


class Phone:
    """A payer's phone with one code on its screen, and the channel behind it."""

    def __init__(self, world: World, journal: Journal) -> None:
        self._world, self._journal, self._chance = world, journal, world.chance

    async def use(self, attempt: Attempt) -> None:
        chance, number = self._chance, attempt.number
        channel = self._world.house.channels[attempt.method.channel]
        if chance.random() < 0.2:
            return  # the payer changes their mind
        await self._world.sleep(self._moment(attempt.expires_at))
        try:
            channel.scan(number)
            await self._world.sleep(chance.choice((0.0, 0.5, 5.0)))
            receipt = channel.pay(number, **self._amounts(attempt))
        except PayerRefused:
            return
        self._world.counts["payments"] += 1
        self._journal.receipts.append((attempt.account_id, receipt))
        post = Post(self._world, self._journal, attempt.method.channel, attempt.account_id)
        await post.deliver(lambda: channel.notice(number), receipt.transaction_id)

    def _moment(self, expires_at: datetime) -> float:
        """Seconds from now: soon, in the last instant, or any time."""
        left = (expires_at - self._world.clock.now()).total_seconds()
        soon, last, any_time = (
            self._chance.uniform(0, 8),
            left - self._chance.uniform(0, 4),
            self._chance.uniform(0, left),
        )
        return max(0.0, self._chance.choice((soon, soon, last, any_time)))

    def _amounts(self, attempt: Attempt) -> dict[str, Money]:
        draw = self._chance.random()
        if draw < 0.03:
            return {"total": attempt.amount + Money(1)}
        if draw < 0.15 and attempt.amount.minor > 1:
            return {"received": Money(self._chance.randint(1, attempt.amount.minor))}
        return {}


class Post:
    """How a channel's notices of one payment travel: doubled, late, out of order, until one is taken, or not at all."""

    def __init__(self, world: World, journal: Journal, channel: Channel, account_id: str) -> None:
        self._world, self._journal, self._chance = world, journal, world.chance
        self._channel, self._account_id = channel, account_id

    async def deliver(self, notice: Callable[[], tuple[dict[str, str], bytes]], transaction_id: str) -> None:
        if self._chance.random() < 0.1:
            self._journal.silent.add(transaction_id)
            return
        copies = [self._later(notice) for _ in range(self._chance.choice((0, 0, 1, 2)))]
        await asyncio.gather(self._until_success(notice), *copies)

    async def _until_success(self, notice: Callable[[], tuple[dict[str, str], bytes]]) -> None:
        await self._world.sleep(self._chance.choice((0.0, 0.1, 3.0)))
        for wait in _LADDER:
            if self._chance.random() >= self._world.weather.network and await self._send(*notice()):
                return
            await self._world.sleep(wait)

    async def _later(self, notice: Callable[[], tuple[dict[str, str], bytes]]) -> None:
        await self._world.sleep(self._chance.choice((0.0, 0.1, self._chance.uniform(0, 40))))
        if self._chance.random() < 0.1:
            await self._forge(*notice())
        await self._send(*notice())

    async def _send(self, headers: dict[str, str], body: bytes) -> bool:
        self._world.counts["notices"] += 1
        try:
            handled = await self._world.ask(lambda house: self._receive(house, headers, body))
        except (Lost, PitayaError):
            return False
        if handled.outcome == "early":
            return False  # a refund whose payment we have not heard of: it is said again
        if not handled.accepted:
            self._journal.complaints.append(f"an honest notice was refused: {handled.outcome}")
        return True

    async def _forge(self, headers: dict[str, str], body: bytes) -> None:
        try:
            handled = await self._world.ask(lambda house: self._receive(house, headers, body.replace(b"pay", b"PAY")))
        except (Lost, PitayaError):
            return
        if handled.accepted:
            self._journal.complaints.append("a forged notice was accepted")

    async def _receive(self, house: House, headers: dict[str, str], body: bytes) -> NoticeHandled:
        handled = await house.receive_notice(self._channel, self._account_id, headers, body)
        if handled.accepted:
            access = self._world.database.tables.accounts.committed[self._account_id]
            credential = self._world.database.tables.credentials.committed[access.credential_id]
            reader = self._world.house.channels[self._channel]
            notice = await reader.read(Access(access, credential), headers, body, now=self._world.clock.now())
            self._journal.accepted.add((self._account_id, notice.id))
        return handled


async def switch_off_for_a_while(world: World, journal: Journal, merchant: OpenedMerchant) -> None:
    """A merchant mends its server: its endpoint is off meanwhile, and what happens then is not sent to it later."""
    who, endpoint_id = caller(merchant), merchant.endpoint.id
    journal.switched_off.add(who.merchant_id)
    await world.sleep(world.chance.uniform(0, 60))
    for enabled in (False, True):
        with suppress(Lost, PitayaError):
            await world.ask(partial(_switch, who=who, endpoint_id=endpoint_id, enabled=enabled))
        await world.sleep(world.chance.uniform(0, 60))


async def _switch(house: House, *, who: Caller, endpoint_id: str, enabled: bool) -> Endpoint:
    return await house.keep_endpoints.switch(who, endpoint_id, enabled=enabled)


async def stranger(world: World, journal: Journal, account_id: str) -> None:
    """Somebody pays under a number that is not ours: through another system that shares the channel account."""
    chance, tables = world.chance, world.database.tables
    account = tables.accounts.committed[account_id]
    credential = tables.credentials.committed[account.credential_id]
    await world.sleep(chance.uniform(0, 60))
    amount = Money(chance.randint(1, 9_999))
    name = f"{chance.getrandbits(60):015x}"
    receipt = Receipt(
        number=f"TILL{name}",
        transaction_id=f"till-{name}",
        total=amount,
        received=amount,
        payer_paid=amount,
        paid_at=world.clock.now(),
        app_id=credential.app_id,
        payee=account.payee,
    )
    report = ChannelReport(receipt.number, ChannelState.PAID, receipt)
    signed = world.house.channels[account.channel].sign(Access(account, credential), report, id=f"till-notice-{name}")
    journal.receipts.append((account_id, receipt))
    await Post(world, journal, account.channel, account_id).deliver(lambda: signed, receipt.transaction_id)
