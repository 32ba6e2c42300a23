"""Refunds of API v3 (微信支付「申请退款」「查询单笔退款」「发起异常退款」「退款结果通知」)."""

import re
import time
import uuid
from typing import Any

import msgspec

from sandbox.model import Notice, Payment, Refund, RefundState, Trade
from sandbox.wechat.orders import Call, Refused, parameter
from sandbox.wechat.sensitive import plain
from sandbox.wire import day_digits, digits, rfc3339
from sandbox.world import World

_NUMBER = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}")
_YEAR_SECONDS = 365 * 86400.0
_MOST_PARTIALS = 50
_STATUS: dict[RefundState, str] = {
    "accepted": "PROCESSING",
    "succeeded": "SUCCESS",
    "closed": "CLOSED",
    "abnormal": "ABNORMAL",
}
_SUMMARIES = {"SUCCESS": "退款成功", "CLOSED": "退款关闭", "ABNORMAL": "退款异常"}


_BANKS = "CMB COMM ABC CCB ICBC BOC PAB SPDB CITIC CEB CMBC CIB GDB PSBC NBCB"
_CARDS = frozenset(f"{bank}_DEBIT" for bank in _BANKS.split())


class Place(msgspec.Struct, frozen=True):
    """Where a refund is found by its number: in which trade of which merchant."""

    mchid: str
    trade: str
    number: str


def create(world: World, call: Call) -> tuple[int, Any]:
    """Takes a request for a refund; what becomes of it a query or a notice says. The same number is the same refund."""
    number = _checked(call)
    trade, asked = _trade(world, call), call.body["amount"]
    payment = trade.payments[0]
    if place := world.store.thing("refund", _key(call.merchant.mchid, number), Place):
        known = _of(trade, number) if place.trade == trade.number else None
        if known is None or (known.amount, payment.amount) != (asked["refund"], asked["total"]):
            raise _refused("订单金额或退款金额与之前请求不一致，请核实后再试")
        return 200, told(trade, known)
    _check(world, trade, payment, asked)
    if "funds_short" in call.faults:
        raise Refused(403, "NOT_ENOUGH", "基本账户余额不足，请充值后重新发起")
    if "account_abnormal" in call.faults:
        raise Refused(403, "USER_ACCOUNT_ABNORMAL", "用户账户异常或注销，退款请求失败")
    ends: RefundState = "abnormal" if "refund_abnormal" in call.faults else "succeeded"
    ends = "closed" if "refund_closed" in call.faults else ends
    refund = make(world, trade, number, asked["refund"], tell=call.body.get("notify_url") or "", ends=ends)
    return 200, told(trade, refund)


def make(world: World, trade: Trade, number: str, amount: int, *, tell: str, ends: RefundState = "succeeded") -> Refund:
    """A refund that WeChat Pay has taken: from a merchant's request, or from its own console."""
    payment, now, before = trade.payments[0], world.now(), trade.refunded_amount
    refund = Refund(
        number=number,
        amount=amount,
        made_at=now,
        id=f"5030{digits(6)}{day_digits(now)}{digits(11)}",
        notify_url=tell,
        state="accepted",
        ends=ends,
        payer_part=_share(payment.payer_paid, payment, before, amount),
        received_part=_share(payment.received, payment, before, amount),
    )
    trade.refunds.append(refund)
    _save(world, trade, refund, due=now + world.store.settings().wechat_refund_seconds)
    return refund


def query(world: World, call: Call) -> tuple[int, Any]:
    """「查询单笔退款（通过商户退款单号）」."""
    number = call.path.get("number") or ""
    trade, refund = _found(world, call.merchant.mchid, number)
    if trade.echo["parties"].get("sub_mchid") != call.query.get("sub_mchid"):
        raise Refused(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
    answer = told(trade, refund)
    if "wrong_amount" in call.faults:
        answer["amount"]["refund"] += 1
    return 200, answer


def abnormal(world: World, call: Call) -> tuple[int, Any]:
    """「发起异常退款」: to another card of the payer's, or to the merchant, who pays the payer himself."""
    number, way = call.body.get("out_refund_no"), call.body.get("type")
    if way not in ("USER_BANK_CARD", "MERCHANT_BANK_CARD"):
        raise parameter("/type", way, "异常退款处理方式不正确")
    if way == "USER_BANK_CARD" and not all(call.body.get(name) for name in ("bank_type", "bank_account", "real_name")):
        raise parameter("/bank_account", None, "退款至用户银行卡时，开户银行、收款银行卡号与收款用户姓名必填")
    trade, refund = _found(world, call.merchant.mchid, str(number))
    if refund.id != call.path.get("refund_id"):
        raise Refused(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
    if refund.state != "abnormal":
        raise _refused("退款单状态不是退款异常")
    if way == "USER_BANK_CARD":
        _card(world, call)
    refund.state, refund.ends = "accepted", "succeeded"
    if "refund_abnormal" in call.faults:
        refund.ends = "abnormal"
    _save(world, trade, refund, due=world.now() + world.store.settings().wechat_refund_seconds)
    return 200, told(trade, refund)


def _card(world: World, call: Call) -> None:
    """The card, opened: it has to be one of the banks that are paid to."""
    if call.body["bank_type"] not in _CARDS:
        raise parameter("/bank_type", call.body["bank_type"], "不支持的开户银行")
    number = plain(world, call, "/bank_account", call.body["bank_account"])
    plain(world, call, "/real_name", call.body["real_name"])
    if not re.fullmatch(r"[0-9]{12,19}", number):
        raise parameter("/bank_account", None, "收款银行卡号格式错误")


def advance(world: World) -> None:
    """What was accepted comes to its end, and the merchant hears of it."""
    now = world.now()
    for place in world.store.things_due("refund", Place, now):
        trade, refund = _found(world, place.mchid, place.number)
        refund.state = refund.ends
        refund.done_at = now if refund.ends == "succeeded" else None
        _save(world, trade, refund, due=None)
        if refund.notify_url:
            world.courier.owe(_notice(trade, refund))


def told(trade: Trade, refund: Refund) -> dict[str, Any]:
    """A refund as the answers have it."""
    payment = trade.payments[0]
    done = {"success_time": rfc3339(refund.done_at)} if refund.done_at else {}
    return {
        "refund_id": refund.id,
        "out_refund_no": refund.number,
        "transaction_id": payment.transaction,
        "out_trade_no": trade.number,
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": rfc3339(refund.made_at),
        "status": _STATUS[refund.state],
        "funds_account": "AVAILABLE",
        **done,
        "amount": {
            "total": payment.amount,
            "refund": refund.amount,
            "from": [],
            "payer_total": payment.payer_paid,
            "payer_refund": refund.payer_part,
            "settlement_refund": refund.received_part,
            "settlement_total": payment.received,
            "discount_refund": refund.amount - refund.payer_part,
            "currency": "CNY",
        },
        "promotion_detail": [],
    }


def _notice(trade: Trade, refund: Refund) -> Notice:
    answer, status = told(trade, refund), _STATUS[refund.state]
    merchants = {name: value for name, value in trade.echo["parties"].items() if name.endswith("mchid")}
    names = ("transaction_id", "out_trade_no", "refund_id", "out_refund_no", "success_time", "user_received_account")
    amounts = ("total", "refund", "payer_total", "payer_refund")
    content = {
        **merchants,
        **{name: answer[name] for name in names if name in answer},
        "refund_status": status,
        "amount": {name: answer["amount"][name] for name in amounts},
    }
    return Notice(
        id=str(uuid.uuid4()),
        channel="wechat",
        account=trade.account,
        number=trade.number,
        url=refund.notify_url,
        created_at=time.time(),
        content={
            "transaction": content,
            "kind": "refund",
            "envelope": {"event_type": f"REFUND.{status}", "summary": _SUMMARIES[status]},
        },
    )


def _checked(call: Call) -> str:
    """The refund's number, when the request has the form of one."""
    number, reason, address = (call.body.get(name) for name in ("out_refund_no", "reason", "notify_url"))
    if not isinstance(number, str) or not _NUMBER.fullmatch(number):
        raise parameter("/out_refund_no", number, "商户退款单号只能是数字、大小写字母_-|*@，1到64个字符")
    if reason is not None and not (isinstance(reason, str) and 0 < len(reason) <= 80):
        raise parameter("/reason", reason, "退款原因不能超过80个字符")
    if address is not None and not (
        isinstance(address, str) and re.match(r"https?://[^?]+$", address) and len(address) <= 256
    ):
        raise parameter("/notify_url", address, "退款结果回调url不正确，且不能携带参数")
    amount = call.body.get("amount")
    if not isinstance(amount, dict):
        raise parameter("/amount", amount, "输入源“/body/amount”映射到值字段“金额信息”规则校验失败，值缺失")
    for name in ("refund", "total"):
        if type(amount.get(name)) is not int or amount[name] < 1:
            raise parameter(f"/amount/{name}", amount.get(name), "金额应为大于0的整数，单位为分")
    if amount.get("currency") != "CNY":
        raise parameter("/amount/currency", amount.get("currency"), "退款币种必填，且只支持人民币")
    return number


def _trade(world: World, call: Call) -> Trade:
    number, transaction = call.body.get("out_trade_no"), call.body.get("transaction_id")
    if bool(number) == bool(transaction) or not isinstance(number or transaction, str):
        raise parameter("/transaction_id", transaction, "transaction_id与out_trade_no二选一必填")
    mchid = call.merchant.mchid
    if number:
        trade = world.store.trade("wechat", mchid, number)
    else:
        trade = world.store.trade_by_transaction("wechat", mchid, str(transaction))
    if trade is None or not trade.payments or trade.echo["parties"].get("sub_mchid") != call.body.get("sub_mchid"):
        raise Refused(404, "RESOURCE_NOT_EXISTS", "订单不存在")
    return trade


def _check(world: World, trade: Trade, payment: Payment, asked: dict[str, int]) -> None:
    """Whether this order may be refunded so much, now."""
    if trade.echo.get("reversed"):
        raise _refused("订单已撤销，不能退款")
    if world.now() > payment.paid_at + _YEAR_SECONDS:
        raise _refused("订单已超过可退款的最大期限")
    if asked["total"] != payment.amount:
        raise _refused("订单金额或退款金额与之前请求不一致，请核实后再试")
    left = payment.amount - trade.refunded_amount
    if left == 0:
        raise _refused("订单已全额退款")
    if asked["refund"] > left:
        raise _refused("累计退款金额大于支付金额")
    if len(trade.refunds) >= _MOST_PARTIALS:
        raise _refused("订单的部分退款次数超过50次")
    if trade.refunds and world.now() < trade.refunds[-1].made_at + world.store.settings().wechat_refund_gap:
        raise Refused(429, "FREQUENCY_LIMITED", "频率限制，同一笔订单多次退款的请求需相隔1分钟")


def _share(whole: int, payment: Payment, before: int, amount: int) -> int:
    """The part of `whole` that goes with this refund, so that all parts add up to it."""
    return (before + amount) * whole // payment.amount - before * whole // payment.amount


def _found(world: World, mchid: str, number: str) -> tuple[Trade, Refund]:
    place = world.store.thing("refund", _key(mchid, number), Place)
    trade = world.store.trade("wechat", mchid, place.trade) if place else None
    refund = _of(trade, number) if trade else None
    if trade is None or refund is None:
        raise Refused(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
    return trade, refund


def _of(trade: Trade, number: str) -> Refund | None:
    return next((refund for refund in trade.refunds if refund.number == number), None)


def _save(world: World, trade: Trade, refund: Refund, *, due: float | None) -> None:
    world.store.save_trade(trade)
    place = Place(trade.account, trade.number, refund.number)
    world.store.put("refund", _key(trade.account, refund.number), place, due=due)


def _key(mchid: str, number: str) -> str:
    return f"{mchid} {number}"


def _refused(message: str) -> Refused:
    return Refused(400, "INVALID_REQUEST", message)
