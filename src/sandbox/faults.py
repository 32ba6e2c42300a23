"""The switches for every way a channel lets its merchants down, and the answer that carries them out."""

import asyncio
from collections.abc import Sequence
from typing import Literal

import msgspec
from litestar.types import Receive, Scope, Send

FaultName = Literal[
    "slow", "silent", "torn", "reset", "unsigned", "bad_signature", "error_500", "rate_limited", "system_error",
    "wrong_amount", "late_success", "duplicate_notices", "reordered_notices", "signature_probe",
    "lost", "funds_short", "cancel_again", "account_abnormal", "refund_abnormal", "refund_closed",
    "bill_late", "bill_empty", "bill_truncated", "bill_differs",
    "transfer_refused", "transfer_waits", "transfer_fails", "transfer_bounces",
    "share_refused", "return_refused",
]  # fmt: skip
Api = Literal[
    "precreate", "native", "query", "close", "cancel", "certificates", "notice", "*",
    "create", "pay", "refund", "refund_query", "login", "certificate", "bill",
    "jsapi", "app", "h5", "codepay", "reverse", "abnormal_refund", "bill_file",
    "transfer", "transfer_query", "transfer_cancel",
    "receiver", "receiver_query", "share", "share_query", "share_finish", "share_return", "share_return_query",
    "share_left", "media", "applyment", "applyment_query",
]  # fmt: skip

# Where a fault can happen; "call" is any API of the channel that a merchant calls.
_PLACES: dict[FaultName, set[str]] = {
    "slow": {"call", "notice"},
    "silent": {"call", "notice"},
    "torn": {"call"},
    "reset": {"call"},
    "unsigned": {"call", "notice"},
    "bad_signature": {"call", "notice"},
    "error_500": {"call"},
    "rate_limited": {"call"},
    "system_error": {"call"},
    "wrong_amount": {"query", "refund_query", "transfer_query", "codepay", "notice"},
    "late_success": {"close"},
    "lost": {"call"},  # neither done nor answered for: an outcome that the merchant cannot know, and that is a no
    "funds_short": {"refund", "cancel", "transfer", "share_return"},
    "cancel_again": {"cancel"},
    "duplicate_notices": {"notice"},
    "reordered_notices": {"notice"},
    "signature_probe": {"notice"},
    # WeChat Pay's refunds: the payer's account is closed; or they are accepted, and then end badly.
    "account_abnormal": {"refund"},
    "refund_abnormal": {"refund"},
    "refund_closed": {"refund"},
    # Bills: not made yet; none, though there should be one; cut off; with an amount that is not what was paid.
    "bill_late": {"bill"},
    "bill_empty": {"bill"},
    "bill_truncated": {"bill"},
    "bill_differs": {"bill"},
    # Money sent to a payee: a no at once; taken, and under way for so many seconds; a no at the end, when it was said
    # to be under way; money that arrived and comes back (退票, Alipay).
    "transfer_refused": {"transfer"},
    "transfer_waits": {"transfer"},
    "transfer_fails": {"transfer"},
    "transfer_bounces": {"transfer"},
    # Profit sharing: the last receiver gets nothing after all; a receiver cannot give back.
    "share_refused": {"share"},
    "return_refused": {"share_return", "refund"},
}


def applies(fault: FaultName, api: str) -> bool:
    """Whether such a thing can happen there."""
    return api in _PLACES[fault] or (api != "notice" and "call" in _PLACES[fault])


class Fault(msgspec.Struct):
    """A fault that is switched on; `times` counts down, -1 stays for ever."""

    id: int
    channel: Literal["alipay", "wechat", "*"]
    api: Api
    fault: FaultName
    times: int
    seconds: float


class Faults:
    """The switched-on faults of this process; a restart begins without any."""

    def __init__(self) -> None:
        self._on: list[Fault] = []
        self._last = 0

    def add(
        self, channel: Literal["alipay", "wechat", "*"], api: Api, fault: FaultName, times: int, seconds: float
    ) -> Fault:
        self._last += 1
        added = Fault(self._last, channel, api, fault, times, seconds)
        self._on.append(added)
        return added

    def all(self) -> list[Fault]:
        return list(self._on)

    def clear(self) -> None:
        self._on.clear()

    def take(self, channel: str, api: str) -> dict[FaultName, Fault]:
        """The faults of this one call or notice, each counted down."""
        taken: dict[FaultName, Fault] = {}
        for fault in self._on:
            here = fault.channel in ("*", channel) and fault.api in ("*", api) and applies(fault.fault, api)
            if here and fault.fault not in taken:
                taken[fault.fault] = fault
                fault.times -= fault.times > 0
        self._on = [fault for fault in self._on if fault.times]
        return taken


class Answer:
    """An answer of a channel as an ASGI application, so that it can also come late, in half, or never."""

    def __init__(
        self,
        status: int,
        body: bytes,
        headers: Sequence[tuple[str, str]],
        *,
        faults: dict[FaultName, Fault],
        stopping: asyncio.Event,
    ) -> None:
        self.status, self.body, self.headers = status, body, headers
        self.faults, self.stopping = faults, stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        if slow := self.faults.get("slow"):
            await self._wait(slow.seconds)
        if "silent" in self.faults:
            await self._outwait(receive)
            return
        headers = [(name.lower().encode(), value.encode()) for name, value in self.headers]
        if self.status != 204:
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if "reset" in self.faults or "torn" in self.faults:
            # Returning before the promised length has been sent makes the server hang up on the client.
            part = self.body[: len(self.body) // 2] if "torn" in self.faults else b""
            await send({"type": "http.response.body", "body": part, "more_body": True})
            return
        await send({"type": "http.response.body", "body": self.body, "more_body": False})

    async def _outwait(self, receive: Receive) -> None:
        """Says nothing until the client gives up or the sandbox ends."""
        gone = asyncio.ensure_future(receive())
        end = asyncio.ensure_future(self.stopping.wait())
        _, pending = await asyncio.wait((gone, end), return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return


def plain_500(faults: dict[FaultName, Fault], stopping: asyncio.Event) -> Answer:
    """What a front server says when what stands behind it is gone: no JSON, no signature, nothing done."""
    page = b"<html><body><h1>500 Internal Server Error</h1></body></html>"
    return Answer(500, page, [("Content-Type", "text/html")], faults=faults, stopping=stopping)
