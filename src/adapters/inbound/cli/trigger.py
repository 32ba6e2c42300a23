"""`pitaya trigger`: make an event happen in test mode, by doing what leads to it."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from adapters.inbound.cli.merchant_api import MerchantApi
from domain.errors import DatabaseUnavailable, PitayaError

PATIENCE = 30.0  # seconds for an order to be paid after the payer has paid it


@dataclass(frozen=True, slots=True)
class Trigger:
    """Places orders through the merchant API and pays them on the sandbox's phone: nothing that no merchant or payer
    could do. ``phone``: where the sandbox is."""

    api: MerchantApi
    http: httpx.AsyncClient
    phone: str
    patience: float = PATIENCE

    async def __call__(self, event: str, *, amount: int, method: str) -> str:
        """What happened, for people. Raises PitayaError where it did not."""
        return await EVENTS[event](self, amount, method)

    async def paid(self, amount: int, method: str) -> str:
        order = await self._place(amount, method)
        (attempt,) = order["attempts"]
        payer = {"channel": method.partition("_")[0], "code": attempt["action"]["value"]}
        for act in ("scan", "pay"):
            await self._on_the_phone(act, payer)
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            order = await self.api.get(f"/orders/{order['id']}")
            if order["status"] == "paid":
                return f"order.paid: {order['id']} ({order['merchant_order_no']}), {amount} fen by {method}"
            await asyncio.sleep(0.1)
        raise DatabaseUnavailable(f"{order['id']} is paid at the channel, and not here after {self.patience:g} s")

    async def closed(self, amount: int, method: str) -> str:
        order = await self._place(amount, method)
        closed = await self.api.post(f"/orders/{order['id']}/close")
        return f"order.closed: {closed['id']} ({closed['merchant_order_no']})"

    async def _place(self, amount: int, method: str) -> dict[str, Any]:
        number = f"trigger-{secrets.token_hex(6)}"
        asked = {"merchant_order_no": number, "amount": amount, "subject": "pitaya trigger", "method": method}
        return await self.api.post("/orders", asked)

    async def _on_the_phone(self, act: str, payer: Mapping[str, str]) -> None:
        try:
            done = await self.http.post(f"{self.phone.rstrip('/')}/control/{act}", json=dict(payer))
        except httpx.HTTPError as error:
            raise DatabaseUnavailable(f"no sandbox at {self.phone}: {type(error).__name__}") from None
        if not done.is_success:
            raise PitayaError(f"the payer could not {act}: {done.status_code} {done.text[:200]}")


EVENTS: Mapping[str, Callable[[Trigger, int, str], Awaitable[str]]] = {
    "order.paid": Trigger.paid,
    "order.closed": Trigger.closed,
}
