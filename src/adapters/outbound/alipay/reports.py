"""What Alipay's trade fields mean: the same in an answer to a query and in a notice."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from adapters.channel_wire import Unreadable
from domain.channels import ChannelReport, ChannelState, Receipt
from domain.errors import InvalidRequest
from domain.money import CNY, Money
from domain.times import SHANGHAI

# trade_status of alipay.trade.query. FINISHED is SUCCESS that can no longer be refunded.
_STATES = {
    "WAIT_BUYER_PAY": ChannelState.PENDING,
    "TRADE_SUCCESS": ChannelState.PAID,
    "TRADE_FINISHED": ChannelState.PAID,
    "TRADE_CLOSED": ChannelState.CLOSED,
}


def text(fields: Mapping[str, object], name: str) -> str:
    """A field that must be there and say something."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise Unreadable(f"Alipay sent no {name}")
    return value


def report(trade: Mapping[str, object], *, app_id: str, payee: str) -> ChannelReport:
    """A trade's state, with a receipt when money came. Raises Unreadable.

    A trade that was paid and then refunded in full is TRADE_CLOSED too; that it has a time of payment tells it from
    one that nobody paid.
    """
    number = text(trade, "out_trade_no")
    status = text(trade, "trade_status")
    if status not in _STATES:
        raise Unreadable(f"unknown trade_status {status[:40]!r}")
    state = _STATES[status]
    paid_at = trade.get("send_pay_date") or trade.get("gmt_payment")
    if state is ChannelState.CLOSED and paid_at:
        state = ChannelState.PAID
    if state is not ChannelState.PAID:
        return ChannelReport(number, state, detail=status)
    for name in ("trans_currency", "pay_currency", "settle_currency"):
        if trade.get(name) not in (None, "", CNY):
            raise Unreadable(f"{name} is not {CNY}", "currency")
    total = amount(trade, "total_amount")
    receipt = Receipt(
        number=number,
        transaction_id=text(trade, "trade_no"),
        total=total,
        # Optional in Alipay's documents; without discounts all three are equal.
        received=amount(trade, "receipt_amount") if trade.get("receipt_amount") else total,
        payer_paid=amount(trade, "buyer_pay_amount") if trade.get("buyer_pay_amount") else total,
        paid_at=instant(paid_at),
        app_id=app_id,
        payee=payee,
    )
    return ChannelReport(number, state, receipt, detail=status)


def charged(answer: Mapping[str, object], *, app_id: str, payee: str) -> ChannelReport:
    """What a bar code payment's answer says: 10000 is paid, 10003 that the payer is asked to confirm (付款码支付).

    It has the fields of a query but for trade_status. Raises Unreadable.
    """
    status = "TRADE_SUCCESS" if answer.get("code") == "10000" else "WAIT_BUYER_PAY"
    return report({**answer, "trade_status": status}, app_id=app_id, payee=payee)


def amount(trade: Mapping[str, object], name: str) -> Money:
    """A field that must be an amount in yuan."""
    try:
        return Money.from_yuan(text(trade, name))
    except InvalidRequest as error:
        raise Unreadable(f"{name}: {error}", error.code) from error


def instant(beijing: object) -> datetime:
    """Alipay's times are Beijing's and say no offset; gmt_refund of a notice has milliseconds."""
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"):
        with suppress(ValueError):
            return datetime.strptime(str(beijing), form).replace(tzinfo=SHANGHAI)
    raise Unreadable("not a time of Alipay's")
