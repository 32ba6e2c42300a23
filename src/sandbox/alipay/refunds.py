"""Money given back (支付宝「统一收单交易退款」「交易撤销」): partial or whole, by API or in the seller's console."""

from typing import Any

from sandbox import payer
from sandbox.alipay import notices, sharing
from sandbox.alipay import trade as trades
from sandbox.alipay.calls import Call, business, parameter
from sandbox.model import Refund, Trade
from sandbox.wire import beijing, fen, yuan
from sandbox.world import World

_WITHIN = 365 * 86400.0
_CANCEL_WITHIN = 86400.0


def refund(world: World, call: Call) -> dict[str, Any]:
    """The number decides: a repetition moves nothing and says so (fund_change N)."""
    trade = trades.existing(world, call)
    amount, number = fen(call.text("refund_amount")), call.text("out_request_no")
    if not amount:
        raise parameter("refund_amount")
    known = next((one for one in trade.refunds if one.number == (number or trade.number)), None)
    if known:
        if known.amount != amount:
            raise _refused("ACQ.DISCORDANT_REPEAT_REQUEST", "请求信息不一致", trade)
        return _told(call, trade, known, change="N")
    _check(world, trade, amount, number)
    if "funds_short" in call.faults:
        raise _refused("ACQ.SELLER_BALANCE_NOT_ENOUGH", "卖家余额不足", trade)
    trade.share_returns += sharing.returns(world, call, trade, number or trade.number)
    made = give_back(world, trade, number or trade.number, amount, call.text("refund_reason"))
    return _told(call, trade, made, change="Y")


def _check(world: World, trade: Trade, amount: int, number: str) -> None:
    if trade.state == "closed":
        raise _refused("ACQ.TRADE_HAS_CLOSE", "交易已关闭", trade)
    if trade.state != "paid":
        raise _refused("ACQ.TRADE_STATUS_ERROR", "交易状态非法", trade)
    if trade.echo.get("finished") or world.now() - trade.payments[0].paid_at > _WITHIN:
        raise _refused("ACQ.TRADE_HAS_FINISHED", "交易已完结", trade)
    if not number and amount != trade.amount:
        raise _refused("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限", trade)
    if trade.refunded_amount + amount > trade.amount:
        raise _refused("ACQ.REASON_TRADE_REFUND_FEE_ERR", "退款金额无效", trade)


def _refused(sub_code: str, sub_msg: str, trade: Trade) -> Exception:
    return business(sub_code, sub_msg, trade, refund_fee="0.00", send_back_fee="0.00")


def _told(call: Call, trade: Trade, made: Refund, *, change: str) -> dict[str, Any]:
    """refund_fee is what has gone back of the trade in all, not what this call gave."""
    return {
        **trades.buyer(call),
        "out_trade_no": trade.number,
        "trade_no": trade.transaction,
        "fund_change": change,
        "refund_fee": yuan(trade.refunded_amount),
        "send_back_fee": yuan(made.amount),
        "gmt_refund_pay": beijing(made.made_at),
        "refund_detail_item_list": [{"amount": yuan(made.amount), "fund_channel": "ALIPAYACCOUNT"}],
        **sharing.returned(trade, made.number),
    }


def give_back(world: World, trade: Trade, number: str, amount: int, reason: str, *, notify: bool = True) -> Refund:
    """Moves the money and owes the merchant a notice: TRADE_SUCCESS again, or TRADE_CLOSED when all is back."""
    made = Refund(number=number, amount=amount, made_at=world.now(), reason=reason, notify_url=trade.notify_url)
    trade.refunds.append(made)
    if trade.refunded_amount >= trade.amount:
        trade.refunded, trade.closed_at = True, made.made_at
    world.store.save_trade(trade)
    notice = notices.compose_refund(world.store, trade, made) if notify and trade.notify_url else None
    if notice:
        world.courier.owe(notice)
    return made


def query(world: World, call: Call) -> dict[str, Any]:
    """alipay.trade.fastpay.refund.query: of a refund that it does not know it says nothing but Success."""
    if not call.text("out_request_no"):
        raise parameter("out_request_no")
    trade = trades.existing(world, call)
    found = next((one for one in trade.refunds if one.number == call.text("out_request_no")), None)
    if found is None:
        return {}
    amount = found.amount + 1 if "wrong_amount" in call.faults else found.amount
    told: dict[str, Any] = {
        "out_trade_no": trade.number,
        "trade_no": trade.transaction,
        "out_request_no": found.number,
        "total_amount": yuan(trade.amount),
        "refund_amount": yuan(amount),
        "refund_status": "REFUND_SUCCESS",
        "send_back_fee": yuan(amount),
    }
    told |= sharing.returned(trade, found.number)
    options = call.asked.get("query_options")
    if isinstance(options, list) and "gmt_refund_pay" in options:
        told["gmt_refund_pay"] = beijing(found.made_at)
    return told


def cancel(world: World, call: Call) -> dict[str, str]:
    """Undoes a trade whatever its state: closes it, gives the money back, or kills the unscanned code.

    A merchant's number that nobody knows is undone already, and the answer says so.
    """
    trade = trades.find(world, call)
    if trade is None and call.text("trade_no"):
        raise business("ACQ.TRADE_NOT_EXIST", "交易不存在")
    if "cancel_again" in call.faults:
        raise business("ACQ.SYSTEM_ERROR", "系统异常", trade, retry_flag="Y")
    answer = {"out_trade_no": trade.number if trade else call.text("out_trade_no"), "retry_flag": "N"}
    if trade is None:
        return answer
    if "funds_short" in call.faults and trade.state == "paid":
        raise business("ACQ.SELLER_BALANCE_NOT_ENOUGH", "商户的支付宝账户中无足够的资金进行撤销", trade, retry_flag="Y")
    if trade.state == "paid" and world.now() - trade.payments[0].paid_at > _CANCEL_WITHIN:
        raise business("ACQ.CANCEL_NOT_ALLOWED", "交易不允许撤销", trade, retry_flag="N")
    if trade.transaction:
        answer |= {"trade_no": trade.transaction, "action": "refund" if trade.payments else "close"}
    if trade.state == "paid":
        give_back(world, trade, trade.transaction, trade.amount - trade.refunded_amount, "撤销")
    elif trade.state != "closed":
        payer.close(world, trade)
    return answer
