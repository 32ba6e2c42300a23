"""Carries notices to merchants: at once, then up each channel's ladder until they are taken."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import aiohttp
import structlog

from sandbox.faults import FaultName, Faults
from sandbox.model import Channel, Crafting, Delivery, Kind, Message, Notice, Payment, Trade
from sandbox.store import Store
from sandbox.wire import utc

log = structlog.get_logger(__name__)

_MINUTE, _HOUR = 60, 3600
_ANSWER_LIMIT = 64 * 1024
_AT_ONCE = 64
_HOLD_BACK_SECONDS = 3.0


@dataclass(frozen=True)
class Post:
    """How one channel delivers: what a notice looks like, what counts as taken, how often it tries."""

    compose: Callable[[Trade, Payment | None], Notice | None]
    render: Callable[[Notice, Crafting], Message]
    taken: Callable[[int, bytes], bool]
    spoil_amount: Callable[[Notice], Notice]
    ladder: tuple[float, ...]
    timeout: float


# 支付宝「异步通知说明」: 4m, 10m, 10m, 1h, 2h, 6h, 15h after the first try.
ALIPAY_LADDER = (4 * _MINUTE, 10 * _MINUTE, 10 * _MINUTE, _HOUR, 2 * _HOUR, 6 * _HOUR, 15 * _HOUR)
# 微信支付「支付成功回调通知」: 15s/15s/30s/3m/10m/20m/30m/30m/30m/60m/3h/3h/3h/6h/6h.
WECHAT_LADDER = (
    *(15, 15, 30, 3 * _MINUTE, 10 * _MINUTE, 20 * _MINUTE, 30 * _MINUTE, 30 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 3 * _HOUR, 3 * _HOUR, 3 * _HOUR, 6 * _HOUR, 6 * _HOUR),
)


class Courier:
    """The one way out: every POST to a merchant is made and logged here."""

    def __init__(self, store: Store, faults: Faults, posts: Mapping[Channel, Post]) -> None:
        self._store, self._faults, self._posts = store, faults, posts
        self._client: aiohttp.ClientSession | None = None
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._wake = asyncio.Event()
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def tell(self, trade: Trade, payment: Payment | None) -> None:
        """Owes the merchant a notice of a payment, or of the end of a trade, if it left an address."""
        notice = self._posts[trade.channel].compose(trade, payment) if trade.notify_url else None
        if notice:
            self.owe(notice)

    def compose(self, trade: Trade, payment: Payment | None) -> Notice | None:
        """The notice that `tell` would send, for whoever wants to change it first."""
        return self._posts[trade.channel].compose(trade, payment)

    def owe(self, notice: Notice) -> None:
        """Writes down a notice that is due now."""
        notice.next_at = time.time()
        self._store.save_notice(notice)
        self._wake.set()

    async def run(self) -> None:
        """Delivers what is due until cancelled."""
        while True:
            self._wake.clear()
            for notice in self._store.notices_due(time.time()):
                if notice.id not in self._under_way:
                    task = asyncio.create_task(self._deliver(notice))
                    self._under_way[notice.id] = task
                    task.add_done_callback(lambda _, key=notice.id: self._under_way.pop(key, None))  # type: ignore[misc]
            try:
                await asyncio.wait_for(self._wake.wait(), 0.2)
            except TimeoutError:
                continue

    async def close(self) -> None:
        for task in list(self._under_way.values()):
            task.cancel()
        if self._client:
            await self._client.close()

    async def _deliver(self, notice: Notice) -> None:
        """One step of the ladder."""
        try:
            taken = await self._step(notice)
        except Exception:
            # A notice that cannot even be rendered must not end the courier; it goes up the ladder like any other.
            log.exception("notice failed", notice=notice.id)
            taken = False
        ladder = self._posts[notice.channel].ladder
        wait = None if taken or notice.tries >= len(ladder) else ladder[notice.tries]
        notice.next_at = None if wait is None else time.time() + wait * self._store.settings().notice_speed
        notice.tries += 1
        self._store.step_notice(notice)

    async def _step(self, notice: Notice) -> bool:
        faults = self._faults.take(notice.channel, "notice")
        if slow := faults.get("slow"):
            await asyncio.sleep(slow.seconds)
        if held := faults.get("reordered_notices"):
            await asyncio.sleep(held.seconds or _HOLD_BACK_SECONDS)
        if "silent" in faults:
            self._log_lost(notice)
            return False
        if "signature_probe" in faults:
            await self.send(notice, Crafting(sign="probe"), kind="probe")
        if "wrong_amount" in faults:
            notice = self._posts[notice.channel].spoil_amount(notice)
        crafting = Crafting(sign=_sign_of(faults))
        copies = 2 if "duplicate_notices" in faults else 1
        taken = await asyncio.gather(*(self.send(notice, crafting) for _ in range(copies)))
        return any(delivery.accepted for delivery in taken)

    async def send(self, notice: Notice, crafting: Crafting | None = None, kind: Kind = "notice") -> Delivery:
        """POSTs a notice once and logs what came back."""
        post = self._posts[notice.channel]
        message = post.render(notice, crafting or Crafting())
        delivery = Delivery(
            notice_id=notice.id,
            channel=notice.channel,
            out_trade_no=notice.number,
            kind=kind,
            url=notice.url,
            headers=message.headers,
            body=message.body.decode("utf-8", "replace"),
            sent_at=utc(time.time()),
        )
        began = time.monotonic()
        try:
            async with self._room, asyncio.timeout(post.timeout):
                answer = await self._post(notice.url, message)
            delivery.status, delivery.answer = answer[0], answer[1].decode("utf-8", "replace")
            delivery.accepted = post.taken(*answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            delivery.error = f"{type(error).__name__}: {error}"
        delivery.seconds = round(time.monotonic() - began, 3)
        self._store.log(delivery)
        log.info("notice sent", number=notice.number, url=notice.url, status=delivery.status, error=delivery.error)
        return delivery

    async def _post(self, url: str, message: Message) -> tuple[int, bytes]:
        if self._client is None:
            # A fresh connection each: a merchant that restarted must not cost a notice.
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, limit=0), headers={"User-Agent": "Mozilla/4.0"}
            )
        # A redirect is a failure at both channels, so it is not followed.
        async with self._client.post(url, data=message.body, headers=message.headers, allow_redirects=False) as answer:
            return answer.status, await answer.content.read(_ANSWER_LIMIT)

    def _log_lost(self, notice: Notice) -> None:
        self._store.log(
            Delivery(
                notice_id=notice.id,
                channel=notice.channel,
                out_trade_no=notice.number,
                kind="notice",
                url=notice.url,
                headers={},
                body="",
                sent_at=utc(time.time()),
                error="lost on the way (fault: silent)",
            )
        )


def _sign_of(faults: Mapping[FaultName, object]) -> Literal["good", "bad", "none"]:
    if "unsigned" in faults:
        return "none"
    return "bad" if "bad_signature" in faults else "good"
