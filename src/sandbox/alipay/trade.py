"""What all trades have in common, however they were made: being found, asked about and closed (支付宝「统一收单」)."""

from typing import Any

from sandbox import payer
from sandbox.alipay.calls import Call, business, parameter
from sandbox.alipay.notices import BUYER, trade_status
from sandbox.model import Payment, Trade
from sandbox.wire import beijing, fen, yuan
from sandbox.world import World


def query(world: World, call: Call) -> dict[str, Any]:
    """A trade by either number."""
    trade = existing(world, call)
    told: dict[str, Any] = {
        **buyer(call),
        "buyer_user_type": "PRIVATE",
        "out_trade_no": trade.number,
        "trade_no": trade.transaction,
        "trade_status": trade_status(trade),
        "total_amount": yuan(trade.amount),
        "subject": trade.subject,
    }
    payments = [one for one in trade.payments if one.transaction == call.text("trade_no")] or trade.payments
    for payment in payments[:1]:
        told |= money(payment) | {"trade_no": payment.transaction, "send_pay_date": beijing(payment.paid_at)}
    if "wrong_amount" in call.faults:
        told["total_amount"] = yuan((fen(told["total_amount"]) or 0) + 1)
    return told


def buyer(call: Call) -> dict[str, str]:
    """Who paid, as the application may know them."""
    if call.app.payer_as == "open_id":
        return {"buyer_logon_id": BUYER["buyer_logon_id"], "buyer_open_id": BUYER["buyer_open_id"]}
    return {"buyer_logon_id": BUYER["buyer_logon_id"], "buyer_user_id": BUYER["buyer_id"]}


def money(payment: Payment) -> dict[str, Any]:
    """What was paid, with the discounts that the merchant (MCOUPON) or Alipay (COUPON) gave."""
    parts = [("ALIPAYACCOUNT", payment.payer_paid), ("MCOUPON", payment.amount - payment.received)]
    parts.append(("COUPON", payment.received - payment.payer_paid))
    return {
        "total_amount": yuan(payment.amount),
        "receipt_amount": yuan(payment.received),
        "buyer_pay_amount": yuan(payment.payer_paid),
        "invoice_amount": yuan(payment.payer_paid),
        "point_amount": "0.00",
        "fund_bill_list": [{"amount": yuan(sum_), "fund_channel": name} for name, sum_ in parts if sum_ > 0],
    }


def close(world: World, call: Call) -> dict[str, str]:
    """Ends a scanned and unpaid trade; one that nobody scanned does not exist and cannot be closed."""
    trade = existing(world, call)
    if trade.state != "waiting":
        raise business("ACQ.TRADE_STATUS_ERROR", "交易状态不合法", trade)
    payer.close(world, trade)
    if late := call.faults.get("late_success"):
        payer.pay_later(world, trade, late.seconds)
    return {"out_trade_no": trade.number, "trade_no": trade.transaction}


def find(world: World, call: Call) -> Trade | None:
    payer.close_expired(world)
    number, transaction = call.text("out_trade_no"), call.text("trade_no")
    if not number and not transaction:
        raise parameter("out_trade_no")
    if transaction:
        return world.store.trade_by_transaction("alipay", call.app.app_id, transaction)
    return world.store.trade("alipay", call.app.app_id, number)


def existing(world: World, call: Call) -> Trade:
    trade = find(world, call)
    if trade is None or not trade.transaction:
        raise business("ACQ.TRADE_NOT_EXIST", "交易不存在")
    return trade
