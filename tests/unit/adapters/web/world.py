"""A cashier on fakes: one merchant with both channels, and payers who pay when a test says so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from litestar import Litestar

from adapters.inbound.web.cashier import CashierParts, build_cashier
from application.open_merchant import NewAccount
from application.ports.world import Clock
from domain.attempts import Attempt
from domain.channels import Channel, Method, Mode
from domain.merchants import Caller
from domain.money import Money
from domain.orders import Order, OrderRequest
from tests.fakes import FakeChannel, FakeClock, FakeHints
from tests.fakes.house import FEE_PLAN, House
from tests.unit.adapters.apps import SharedApp, shared

PUBLIC_URL = "http://pitaya.test"
PHONE_URL = "http://phone.test/scan"
QR_METHODS = frozenset({Method.ALIPAY_QR, Method.WECHAT_NATIVE})


class HeardHints(FakeHints):
    """Hints that arrive: whoever has subscribed to the order is woken."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: dict[str, list[asyncio.Queue[None]]] = {}

    async def order_changed(self, order_id: str) -> None:
        await super().order_changed(order_id)
        if not self.lost:
            for queue in self.listeners.get(order_id, []):
                queue.put_nowait(None)

    @contextlib.asynccontextmanager
    async def subscribe(self, order_id: str) -> AsyncIterator[AsyncIterator[None]]:
        queue: asyncio.Queue[None] = asyncio.Queue()
        self.listeners.setdefault(order_id, []).append(queue)
        try:
            yield _each(queue)
        finally:
            self.listeners[order_id].remove(queue)


def _cashier_alone(parts: CashierParts) -> Litestar:
    return Litestar([build_cashier(parts)], logging_config=None)


async def _each(queue: asyncio.Queue[None]) -> AsyncIterator[None]:
    while True:
        await queue.get()
        yield


class World:
    """A house whose merchant is ``payee``. Its clock stands still unless another is given."""

    def __init__(self, clock: Clock | None = None, *, payee: str = "火龙果咖啡") -> None:
        self.payee = payee
        self.hints = HeardHints()
        self.house = House(clock=clock or FakeClock(), hints=self.hints)
        self.merchants: dict[Mode, str] = {}

    async def furnish(self, methods: frozenset[Method] = QR_METHODS) -> "World":
        """One merchant a mode, with an account at each channel."""
        for mode in Mode:
            accounts = [
                NewAccount(
                    channel=channel,
                    app_id=f"app-{channel}",
                    payee=f"payee-{channel}-{mode}",
                    methods=frozenset(method for method in methods if method.channel is channel),
                    public={},
                    secrets={"key": "secret"},
                    of_platform=False,
                )
                for channel in Channel
            ]
            opened = await self.house.open_merchant(self.payee, FEE_PLAN, mode, accounts=accounts)
            self.merchants[mode] = opened.merchant.id
        return self

    def parts(self, **other: Any) -> CashierParts:
        parts = {
            "view_cashier": self.house.view_cashier,
            "start_attempt": self.house.start_attempt,
            "identify_payer": self.house.identify_payer,
            "order_by_code": self.house.order_by_code,
            "secret": b"a secret of the tests",
            "address_of": lambda _: "203.0.113.7",
            "clock": self.house.clock,
            "public_url": PUBLIC_URL,
            "changes": self.hints.subscribe,
            "sandbox_phone_url": PHONE_URL,
        }
        return CashierParts(**{**parts, **other})

    def app(self, **parts: Any) -> SharedApp:
        return shared(_cashier_alone, self.parts(**parts))

    async def order(self, mode: Mode = Mode.LIVE, **asked: Any) -> Order:
        """A new order of ¥129.83 for a keyboard, unless ``asked`` otherwise."""
        number = self.house.ids.new("SO")
        usual = {"merchant_order_no": number, "amount": Money(12983), "subject": "机械键盘", "expires_in": 900}
        return await self.house.place_order(self.caller(mode), OrderRequest(**{**usual, **asked}))

    async def start(self, order: Order, method: Method = Method.ALIPAY_QR) -> Attempt:
        return await self.house.start_attempt(self.caller(order.mode), order.id, method)

    async def pay(self, order: Order) -> None:
        """The payer scans and pays the newest code, and the channel tells us."""
        attempt = (await self.house.attempts(order))[-1]
        channel = self.channel(attempt.method)
        channel.pay(attempt.number)
        await self.house.notice(channel, attempt)

    async def expire(self, order: Order) -> None:
        """The deadline passes, and the sweep closes the order."""
        self.advance((order.expires_at - self.house.clock.now()).total_seconds())
        await self.house.expire_orders()

    def advance(self, seconds: float) -> None:
        assert isinstance(self.house.clock, FakeClock)
        self.house.clock.advance(seconds)

    def caller(self, mode: Mode) -> Caller:
        return Caller(self.merchants[mode], mode)

    def channel(self, method: Method) -> FakeChannel:
        return self.house.alipay if method.channel is Channel.ALIPAY else self.house.wechat
