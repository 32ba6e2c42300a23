"""Orders of API v3 (微信支付「查询订单」「关闭订单」, and what every way of placing one checks), direct and partner."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox import payer
from sandbox.faults import Fault, FaultName
from sandbox.model import Merchant, Trade
from sandbox.wechat.notices import parties, transaction
from sandbox.wire import rfc3339_moment
from sandbox.world import World

_NUMBER = re.compile(r"[0-9A-Za-z_\-|*]{6,32}")
_DEFAULT_LIFE = 7 * 86400.0
# Later ends are cut down without a word.
_LONGEST_LIFE = 90 * 86400.0
_MISSING = object()


class Refused(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, code: str, message: str, detail: Mapping[str, Any] | None = None) -> None:
        super().__init__(code)
        body: dict[str, Any] = {"code": code, "message": message}
        self.answer: tuple[int, Any] = status, (body | {"detail": dict(detail)} if detail else body)


@dataclass(frozen=True)
class Call:
    """A verified call: who makes it, what the address names, what it asks, and the faults that strike it.

    `serial` names the key of ours that sensitive fields are meant for.
    """

    merchant: Merchant
    path: Mapping[str, str | None]
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    faults: Mapping[FaultName, Fault]
    serial: str = ""

    @property
    def partner(self) -> bool:
        return bool(self.path.get("partner"))

    @property
    def mchid_name(self) -> str:
        return "sp_mchid" if self.partner else "mchid"


def wanted(call: Call, now: float, trade_type: str, code: str, life: float) -> Trade:
    """The order that is asked for, checked as every way of placing one does; `code` opens it for `life` seconds."""
    names = ("sp_appid", "sp_mchid", "sub_mchid") if call.partner else ("appid", "mchid")
    at_the_counter = trade_type == "MICROPAY"  # its answer is its outcome: no notice, no expiry
    for name in (*names, "description", "out_trade_no", *(() if at_the_counter else ("notify_url",))):
        text(call, name)
    check_mchid(call, call.body[call.mchid_name], "body")
    if call.body[names[0]] not in (call.merchant.appid, *call.merchant.secrets):
        raise Refused(400, "APPID_MCHID_NOT_MATCH", "appid与mchid不匹配")
    number, description = call.body["out_trade_no"], call.body["description"]
    if not _NUMBER.fullmatch(number):
        raise parameter("/out_trade_no", number, "商户订单号应为6到32个字符，只能是数字、大小写字母_-|*")
    if len(description) > 127:
        raise parameter("/description", description, "商品描述不能超过127个字符")
    notify_url = "" if at_the_counter else call.body["notify_url"]
    if not at_the_counter and (not re.match(r"https?://", notify_url) or len(notify_url) > 255):
        raise parameter("/notify_url", notify_url, "通知地址不正确")
    attach = call.body.get("attach", "")
    if not isinstance(attach, str) or len(attach) > 128:
        raise parameter("/attach", attach, "附加数据不能超过128个字符")
    total = _total(call)
    named = parties(call.merchant, dict(call.body), partner=call.partner)
    return Trade(
        channel="wechat",
        account=call.merchant.mchid,
        number=number,
        amount=total,
        subject=description,
        notify_url=notify_url,
        code=code,
        code_expires_at=now + life,
        created_at=now,
        fingerprint=repr((trade_type, total, description, attach, notify_url, sorted(named.items()), *_to_share(call))),
        deadline=None if at_the_counter else _time_expire(call, now),
        echo={"parties": named, "attach": attach, "trade_type": trade_type} | _to_share(call),
    )


def _to_share(call: Call) -> dict[str, Any]:
    """Whether the money waits to be shared (settle_info.profit_sharing)."""
    settle = call.body.get("settle_info") or {}
    marked = settle.get("profit_sharing", False) if isinstance(settle, dict) else None
    if not isinstance(marked, bool):
        raise parameter("/settle_info/profit_sharing", marked, "是否指定分账应为布尔值")
    return {"profit_sharing": True} if marked else {}


def _total(call: Call) -> int:
    amount = call.body.get("amount")
    if not isinstance(amount, dict):
        raise parameter("/amount", amount, "输入源“/body/amount”映射到数值字段“订单金额”规则校验失败，值缺失")
    total, currency = amount.get("total"), amount.get("currency", "CNY")
    if type(total) is not int or not 1 <= total <= 10**10:
        raise parameter("/amount/total", total, "订单总金额应为大于0的整数，单位为分")
    if currency != "CNY":
        raise parameter("/amount/currency", currency, "境内商户号仅支持人民币")
    return total


def _time_expire(call: Call, now: float) -> float:
    text = call.body.get("time_expire")
    if text is None:
        return now + _DEFAULT_LIFE
    moment = rfc3339_moment(text) if isinstance(text, str) else None
    # A minute at least, less what the request and the clocks may lose.
    if moment is None or moment < now + 55:
        raise parameter("/time_expire", text, "支付结束时间应为RFC3339格式，且不早于下单一分钟后")
    return min(moment, now + _LONGEST_LIFE)


def query(world: World, call: Call) -> tuple[int, Any]:
    """「商户订单号查询订单」 and 「微信支付订单号查询订单」."""
    trade, wanted = find(world, call), call.path.get("transaction")
    payments = [one for one in trade.payments if wanted in (None, one.transaction)]
    told = transaction(trade, payments[0] if payments and not trade.refunded else None)
    if "wrong_amount" in call.faults:
        told["amount"] = told["amount"] | {"total": told["amount"]["total"] + 1}
    return 200, told


def close(world: World, call: Call) -> tuple[int, Any]:
    """Ends an unpaid order; the empty answer says yes."""
    trade = find(world, call)
    check_open(trade)
    payer.close(world, trade)
    if late := call.faults.get("late_success"):
        payer.pay_later(world, trade, late.seconds)
    return 204, None


def check_open(trade: Trade) -> None:
    """Refuses an order that is done with, by the code of its end."""
    if trade.echo.get("reversed"):
        raise Refused(400, "ORDER_REVERSED", "该订单已撤销")
    if trade.state == "paid":
        raise Refused(400, "ORDERPAID", "该订单已支付")
    if trade.state == "closed":
        raise Refused(400, "ORDER_CLOSED", "该订单已关闭")


def find(world: World, call: Call) -> Trade:
    """The order that the address names, if it is the caller's."""
    where, source = ("body", call.body) if call.path.get("number") and call.body else ("query", call.query)
    mchid = source.get(call.mchid_name, _MISSING)
    if mchid is _MISSING:
        raise parameter(call.mchid_name, None, "商户号缺失", where)
    check_mchid(call, mchid, where)
    number, transaction_no = call.path.get("number"), call.path.get("transaction")
    if transaction_no:
        trade = world.store.trade_by_transaction("wechat", call.merchant.mchid, transaction_no)
    else:
        trade = world.store.trade("wechat", call.merchant.mchid, number or "")
    if trade is None:
        raise Refused(404, "ORDER_NOT_EXIST", "订单不存在")
    if call.partner and source.get("sub_mchid") != trade.echo["parties"].get("sub_mchid"):
        raise Refused(404, "ORDER_NOT_EXIST", "订单不存在")
    return trade


def check_mchid(call: Call, mchid: object, where: str) -> None:
    """The merchant in the request is the one that signed it."""
    if mchid == call.merchant.mchid:
        return
    if not (isinstance(mchid, str) and mchid.isdigit()):
        raise parameter(call.mchid_name, mchid, "商户号不正确", where)
    raise Refused(400, "MCH_NOT_EXISTS", "商户号不存在，或与签名所用的商户号不一致")


def text(call: Call, name: str) -> str:
    """A text in the body that has to be there."""
    value = call.body.get(name)
    if not isinstance(value, str) or not value:
        raise parameter(f"/{name}", value, f"输入源“/body/{name}”映射到字符串字段规则校验失败")
    return value


def parameter(field: str, value: object, issue: str, where: str = "body") -> Refused:
    return Refused(400, "PARAM_ERROR", "参数错误", {"field": field, "value": value, "issue": issue, "location": where})
