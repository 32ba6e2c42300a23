"""What WeChat Pay's transactions and refunds mean: the same in an answer to a query and in a notice."""

from collections.abc import Callable, Mapping
from datetime import datetime

from adapters.channel_wire import Unreadable
from domain.channels import ChannelReport, ChannelState, Receipt, RefundReport, RefundState
from domain.money import CNY, Money
from domain.numbers import is_ours

# trade_state of https://pay.weixin.qq.com/doc/v3/merchant/4013070356. REFUND: paid, and some of it refunded since.
_STATES = {
    "SUCCESS": ChannelState.PAID,
    "REFUND": ChannelState.PAID,
    "NOTPAY": ChannelState.PENDING,
    "USERPAYING": ChannelState.PENDING,
    "ACCEPT": ChannelState.PENDING,
    "CLOSED": ChannelState.CLOSED,
    "REVOKED": ChannelState.CLOSED,
    "PAYERROR": ChannelState.FAILED,
}
# Coupons that bring no money with them (免充值券). Those of the other kind are paid into the account like cash.
_NO_MONEY = frozenset({"NOCASH", "NO_CASH", "DISCOUNT"})
# status of https://pay.weixin.qq.com/doc/v3/merchant/4012556457; a notice calls it refund_status.
_REFUND_STATES = {
    "PROCESSING": RefundState.ACCEPTED,
    "SUCCESS": RefundState.SUCCEEDED,
    "CLOSED": RefundState.CLOSED,
    "ABNORMAL": RefundState.ABNORMAL,
}

Receiver = Callable[[Mapping[str, object]], tuple[str, str]]  # app and payee of a transaction


def text(fields: Mapping[str, object], name: str) -> str:
    """A field that must be there and say something."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise Unreadable(f"WeChat Pay sent no {name}")
    return value


def report(transaction: Mapping[str, object], receiver: Receiver) -> ChannelReport:
    """A transaction's state, with a receipt when money came; ``receiver`` reads who got it. Raises Unreadable."""
    number = text(transaction, "out_trade_no")
    said = text(transaction, "trade_state")
    if said not in _STATES:
        raise Unreadable(f"unknown trade_state {said[:40]!r}")
    state = _STATES[said]
    if state is not ChannelState.PAID:
        return ChannelReport(number, state, detail=said)
    amount = transaction.get("amount")
    if not isinstance(amount, dict):
        raise Unreadable("WeChat Pay sent no amount")
    if amount.get("currency", CNY) != CNY or amount.get("payer_currency", CNY) != CNY:
        raise Unreadable(f"the currency is not {CNY}", "currency")
    total = money(amount, "total")
    app_id, payee = receiver(transaction)
    receipt = Receipt(
        number=number,
        transaction_id=text(transaction, "transaction_id"),
        total=total,
        received=_settled(total, transaction.get("promotion_detail") or []),
        payer_paid=money(amount, "payer_total") if "payer_total" in amount else total,
        paid_at=instant(text(transaction, "success_time")),
        app_id=app_id,
        payee=payee,
    )
    return ChannelReport(number, state, receipt, detail=said)


def refund_report(refund: Mapping[str, object]) -> RefundReport:
    """A refund's state. ``amount`` is of the order's amount (``amount.refund``), coupons included, as it was asked for.
    Raises Unreadable. A number that is not of our scheme was given in the channel's console."""
    number, said = text(refund, "out_refund_no"), refund.get("status") or refund.get("refund_status")
    if said not in _REFUND_STATES:
        raise Unreadable(f"unknown refund status {str(said)[:40]!r}")
    amount = refund.get("amount")
    if not isinstance(amount, dict):
        raise Unreadable("WeChat Pay sent no amount")
    if amount.get("currency", CNY) != CNY:
        raise Unreadable(f"the currency is not {CNY}", "currency")
    done = refund.get("success_time") or refund.get("create_time")
    return RefundReport(
        number=number if is_ours(number) else None,
        payment_number=text(refund, "out_trade_no"),
        state=_REFUND_STATES[str(said)],
        amount=money(amount, "refund"),
        channel_id=text(refund, "refund_id"),
        at=instant(done) if isinstance(done, str) else None,
        detail=str(said),
    )


def _settled(total: Money, promotions: object) -> Money:
    """应结订单金额 = 订单金额 − 免充值券金额 (https://pay.weixin.qq.com/doc/v2/partner/4011984263)."""
    if not isinstance(promotions, list) or not all(isinstance(promotion, dict) for promotion in promotions):
        raise Unreadable("promotion_detail is not a list of promotions")
    discount = sum(money(one, "amount").minor for one in promotions if one.get("type") in _NO_MONEY)
    if discount > total.minor:
        raise Unreadable("discounts beyond the total", "amount_invalid")
    return Money(total.minor - discount)


def money(amount: Mapping[str, object], name: str) -> Money:
    """A field that must be an amount in fen."""
    value = amount.get(name)
    if type(value) is not int or value < 0:
        raise Unreadable(f"{name} is not an amount in fen", "amount_invalid")
    return Money(value)


def instant(rfc3339: str) -> datetime:
    """A time with an offset."""
    try:
        moment = datetime.fromisoformat(rfc3339)
    except ValueError as error:
        raise Unreadable("a time that is none") from error
    if moment.tzinfo is None:
        raise Unreadable("a time without an offset")
    return moment
