"""Events: what happened to an object, append-only, each an immutable snapshot with an id that can be derived again."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeVar

from domain.channels import Mode
from domain.times import rfc3339

API_VERSION = "2026-11-01"

# Every event that merchants' endpoints are told of: what it says, in English and Chinese. docs/events.md has an example
# of each; the others are only in /v1/events.
ANNOUNCED: Mapping[str, tuple[str, str]] = {
    "order.paid": ("The money has come: deliver the goods.", "订单已支付：可以发货。"),
    "order.closed": ("Nobody can pay this order any more.", "订单已关闭，无法再支付。"),
    "order.paid_late": (
        "Money came after the order was closed. It is held, and refunded by your policy.",
        "订单关闭后收到款项：先挂账，再按迟到款策略退回。",
    ),
    "order.paid_twice": (
        "A second payment of one order came. It is held, and refunded.",
        "同一订单收到第二笔款项：先挂账，再退回。",
    ),
    "order.paid_amiss": ("Another amount came than was asked for. It is held.", "收到的金额与订单不符：已挂账。"),
    "refund.succeeded": ("The payer has the money back.", "退款成功，款项已退回付款人。"),
    "refund.failed": ("The refund came to nothing; its money is yours again.", "退款失败，资金已退回商户余额。"),
    "refund.abnormal": ("The channel needs a person to say where the money goes.", "退款异常，需要人工处理。"),
    "refund.rejected": ("A second person said no; its money is yours again.", "退款审批未通过，资金已退回商户余额。"),
    "balance.frozen": ("The platform has set a part of your balance aside.", "平台已冻结您的部分余额。"),
    "balance.unfrozen": ("What was set aside is yours to use again.", "冻结金额已解冻，恢复可用。"),
    "balance.topped_up": ("The money that you sent us is in your balance.", "充值款项已计入余额。"),
    "balance.adjusted": (
        "The platform has corrected your balance; the reason is in it.",
        "平台已调整您的余额，附原因。",
    ),
    "invoice.issued": ("Last month's service fees are due.", "上月服务费账单已开具。"),
    "invoice.paid": ("The payment of an invoice has been booked.", "服务费账单已支付。"),
    "invoice.written_off": ("The platform waives an invoice.", "服务费账单已核销，无需支付。"),
    "share.finished": (
        "Each receiver of the share has its result: money, or a reason why not.",
        "分账完成：每个接收方都有各自的结果。",
    ),
    "share.failed": ("The channel refused the share as a whole: nothing moved.", "分账被通道拒绝，资金未变动。"),
    "receiver.active": ("Shares may go to this receiver.", "分账接收方已生效。"),
    "receiver.refused": ("The channel does not take this receiver.", "通道拒绝添加该分账接收方。"),
    "attempt.failed": ("A bar code brought no money: scan another.", "付款码支付失败，请重新扫码。"),
    "attempt.closed": ("A bar code brought no money in time.", "付款码支付超时关闭。"),
    "attempt.reversed": ("A bar code payment was undone: nothing was taken.", "付款码支付已撤销，未扣款。"),
    "settlement.created": (
        "What you are owed was swept together; a second person decides.",
        "结算单已生成，等待复核。",
    ),
    "settlement.approved": (
        "A second person said yes: it will be paid to this payee.",
        "结算复核通过，即将打款。",
    ),
    "settlement.rejected": (
        "A second person said no; its money is available again.",
        "结算复核未通过，资金已退回可用余额。",
    ),
    "settlement.awaiting_payee": (
        "The payee has to confirm it in the channel's app.",
        "等待收款人在通道客户端确认收款。",
    ),
    "settlement.paid": (
        "The payee has the money.",
        "打款成功。",
    ),
    "settlement.failed": (
        "The payout came to nothing; its money is available again.",
        "打款失败，资金已退回可用余额。",
    ),
    "settlement.cancelled": (
        "It was taken back; its money is available again.",
        "打款已撤回，资金已退回可用余额。",
    ),
    "settlement.bounced": (
        "It was paid and came back; what came back is available again.",
        "打款被退票，退回的资金已回到可用余额。",
    ),
    "webhook_endpoint.disabled": (
        "We have stopped sending to one of your endpoints: it said 410, or failed for five days.",
        "通知端点已停用：返回 410 或连续五天投递失败。",
    ),
    "webhook.test": ("You asked for a test; sent to that endpoint alone.", "测试通知，仅发送到指定端点。"),
}

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. Saving the same event twice publishes it once: ``id`` follows from what it is about.

    An ``announced`` event also goes to the merchant's endpoints, and to ``notify_url`` where its order names one.
    """

    id: str
    type: str
    object_id: str
    merchant_id: str
    mode: Mode
    at: datetime
    data: Mapping[str, Any]
    announced: bool = True
    api_version: str = API_VERSION
    notify_url: str | None = None

    def body(self) -> dict[str, Any]:
        """What a merchant receives (Standard Webhooks: type, timestamp, data), the same on every delivery."""
        return {
            "id": self.id,
            "type": self.type,
            "api_version": self.api_version,
            "timestamp": rfc3339(self.at),
            "data": dict(self.data),
        }


def event_id(object_id: str, type_: str, n: int = 1) -> str:
    """``evt_`` + 26 characters: the object's own time part, then a digest of (object, type, n)."""
    _, _, ulid = object_id.partition("_")
    number = int.from_bytes(hashlib.sha256(f"{object_id}|{type_}|{n}".encode()).digest()[:10], "big")
    tail = "".join(_CROCKFORD[number >> shift & 31] for shift in range(75, -5, -5))
    return f"evt_{ulid[:10]}{tail}"


class _Aggregate(Protocol):
    """What has a history: a frozen dataclass whose revision counts its events, and that carries those not yet saved."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def id(self) -> str: ...
    @property
    def merchant_id(self) -> str: ...
    @property
    def mode(self) -> Mode: ...
    @property
    def revision(self) -> int: ...
    @property
    def events(self) -> tuple[Event, ...]: ...
    def snapshot(self) -> dict[str, Any]: ...


_A = TypeVar("_A", bound=_Aggregate)


def with_event(
    aggregate: _A, type_: str, now: datetime, *, announced: bool = True, notify_url: str | None = None
) -> _A:
    """Its next revision, which carries the event that led there: a snapshot of what it has become."""
    after = replace(aggregate, revision=aggregate.revision + 1)
    event = Event(
        id=event_id(after.id, type_, after.revision),
        type=type_,
        object_id=after.id,
        merchant_id=after.merchant_id,
        mode=after.mode,
        at=now,
        data=after.snapshot(),
        announced=announced,
        notify_url=notify_url,
    )
    return replace(after, events=(*after.events, event))
