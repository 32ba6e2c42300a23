"""The shop's program against Pitaya's merchant API: what any merchant would write."""

from typing import Annotated, Any, TypeVar

import aiohttp
import msgspec

from sandbox.model import Settings

_TIMEOUT_SECONDS = 15
_T = TypeVar("_T")


class RefusedError(Exception):
    """Pitaya said no, or nothing; `code` is its own word, `away` where there was no answer that we could read."""

    def __init__(self, text: str, code: str = "away") -> None:
        super().__init__(text)
        self.code = code


class Action(msgspec.Struct):
    """What the payer's side has to do next."""

    type: str
    value: str
    fields: dict[str, str] = {}


class Attempt(msgspec.Struct):
    id: str
    method: str
    status: str
    created_at: str = ""
    failure: str | None = None
    action: Action | None = None


class Refund(msgspec.Struct):
    id: str
    amount: int
    status: str
    created_at: str = ""
    reason: str = ""
    origin: str = ""
    failure: str | None = None


class Step(msgspec.Struct):
    type: str
    timestamp: str


class Whole(msgspec.Struct):
    """An order with all that came of it."""

    id: str
    cashier_url: Annotated[str, msgspec.Meta(pattern=r"^https?://")]
    status: str = "pending"
    paid_amount: int = 0
    refunded_amount: int = 0
    refunding_amount: int = 0
    fee_amount: int | None = None
    net_amount: int | None = None
    attempts: list[Attempt] = []
    refunds: list[Refund] = []
    events: list[Step] = []

    @property
    def refundable(self) -> int:
        return self.paid_amount - self.refunded_amount - self.refunding_amount


class Code(msgspec.Struct):
    """What hangs at the counter (聚合码)."""

    name: str
    url: Annotated[str, msgspec.Meta(pattern=r"^https?://")]
    enabled: bool = True


class _Codes(msgspec.Struct):
    data: list[Code]


class Payer(msgspec.Struct):
    payer_id: str
    payer_app_id: str


class _Problem(msgspec.Struct):
    code: str = ""
    title: str = ""
    detail: str = ""


class Pitaya:
    """Each method is one call; all raise RefusedError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def place(self, asked: dict[str, Any]) -> Whole:
        return await self._call(Whole, "POST", "/v1/orders", asked)

    async def order(self, order_id: str) -> Whole:
        return await self._call(Whole, "GET", f"/v1/orders/{order_id}")

    async def start(self, order_id: str, asked: dict[str, Any]) -> Attempt:
        return await self._call(Attempt, "POST", f"/v1/orders/{order_id}/attempts", asked)

    async def payer(self, order_id: str, method: str, code: str, app_id: str) -> Payer:
        asked = {"method": method, "code": code, "payer_app_id": app_id}
        return await self._call(Payer, "POST", f"/v1/orders/{order_id}/payer", asked)

    async def close(self, order_id: str) -> Whole:
        return await self._call(Whole, "POST", f"/v1/orders/{order_id}/close", {})

    async def code(self, name: str) -> Code:
        """The one of this name; made when there is none."""
        codes = await self._call(_Codes, "GET", "/v1/codes")
        found = next((code for code in codes.data if code.enabled and code.name == name), None)
        if found is not None:
            return found
        return await self._call(Code, "POST", "/v1/codes", {"name": name})

    async def refund(self, asked: dict[str, Any]) -> Refund:
        return await self._call(Refund, "POST", "/v1/refunds", asked)

    async def _call(self, kind: type[_T], method: str, path: str, asked: dict[str, Any] | None = None) -> _T:
        settings = self._settings
        if not settings.pitaya_url or not settings.shop_api_key:
            raise RefusedError("POST /control/shop")
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)) as client,
                client.request(
                    method,
                    f"{settings.pitaya_url}{path}",
                    json=asked,
                    headers={"Authorization": f"Bearer {settings.shop_api_key}"},
                ) as answer,
            ):
                status, body = answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RefusedError(f"{type(error).__name__}: {error}") from None
        if status not in (200, 201):
            raise _refusal(status, body)
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RefusedError(str(error)) from None


def _refusal(status: int, body: bytes) -> RefusedError:
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = _Problem()
    said = problem.detail or problem.title or body[:500].decode("utf-8", "replace")
    return RefusedError(f"{status} {problem.code} {said}", problem.code or "away")
