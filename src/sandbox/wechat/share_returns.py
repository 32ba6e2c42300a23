"""Shares that come back (微信支付分账「请求分账回退」「查询分账回退结果」)."""

import re
from collections.abc import Callable
from typing import Any

from sandbox.model import Share, ShareReturn, Trade
from sandbox.wechat.orders import Call, Refused, parameter, text
from sandbox.wechat.sharing import Place, number_of, refused, sub_merchant
from sandbox.wire import day_digits, digits, rfc3339
from sandbox.world import World

_WITHIN = 180 * 86400.0


def give_back(world: World, call: Call) -> tuple[int, Any]:
    """「请求分账回退」: done while it answers, as a rule. Only merchants give back, of a share that is finished."""
    number, account, amount = number_of(call, "out_return_no"), text(call, "return_mchid"), call.body.get("amount")
    if type(amount) is not int or amount < 1:
        raise parameter("/amount", amount, "回退金额应为大于0的整数，单位为分")
    text(call, "description")
    trade, original = _shared(world, call, call.body)
    known = next((one for one in trade.share_returns if one.number == number), None)
    if known:
        if (known.share, known.account, known.amount) != (original.number, account, amount):
            raise refused("请求参数与之前的回退请求不一致")
        return 200, _returned(world, trade, known)
    part = next((one for one in original.parts if one.account == account and one.type == "MERCHANT_ID"), None)
    now = world.now()
    if part is None or part.fault or now < original.done_at:
        raise refused("原分账单未完成，或未分给该商户")
    back = sum(
        one.amount
        for one in trade.share_returns
        if (one.share, one.account) == (original.number, account) and not one.fault
    )
    if back + amount > part.amount:
        raise refused("回退金额超过可回退金额")
    if now > original.made_at + _WITHIN:
        raise refused("分账单已超过可回退的期限")
    if "funds_short" in call.faults:
        raise Refused(403, "NOT_ENOUGH", "回退方账户余额不足")
    made = ShareReturn(
        number=number,
        id=f"3008{digits(6)}{day_digits(now)}{digits(10)}",
        share=original.number,
        account=account,
        amount=amount,
        made_at=now,
        done_at=now + world.store.settings().share_return_seconds,
        description=call.body["description"],
        fault="PAYER_ACCOUNT_ABNORMAL" if "return_refused" in call.faults else "",
    )
    trade.share_returns.append(made)
    world.store.save_trade(trade)
    return 200, _returned(world, trade, made)


def query(world: World, call: Call) -> tuple[int, Any]:
    """「查询分账回退结果」."""
    trade, original = _shared(world, call, call.query)
    number = call.path.get("number")
    known = next((one for one in trade.share_returns if one.number == number and one.share == original.number), None)
    if known is None:
        raise Refused(404, "RESOURCE_NOT_EXISTS", "记录不存在")
    return 200, _returned(world, trade, known)


def _shared(world: World, call: Call, source: Any) -> tuple[Trade, Share]:
    number, id_ = source.get("out_order_no"), source.get("order_id")
    if bool(number) == bool(id_):
        raise parameter("/out_order_no", number, "微信分账单号与商户分账单号二选一填写")
    place = world.store.thing("share", f"{call.merchant.mchid} {number}", Place) if number else None
    trades = world.store.trades("wechat", place.trade) if place else []
    trades = world.store.trades("wechat") if id_ else trades
    for trade in trades:
        for one in trade.shares:
            ours = trade.account == call.merchant.mchid and number in (None, one.number) and id_ in (None, one.id)
            if ours and trade.echo["parties"].get("sub_mchid") == source.get("sub_mchid"):
                return trade, one
    raise Refused(404, "RESOURCE_NOT_EXISTS", "原分账单不存在")


def _returned(world: World, trade: Trade, one: ShareReturn) -> dict[str, Any]:
    original = next(each for each in trade.shares if each.number == one.share)
    done = world.now() >= one.done_at
    ended = "FAILED" if one.fault else "SUCCESS"
    return {
        **sub_merchant(trade),
        "order_id": original.id,
        "out_order_no": one.share,
        "out_return_no": one.number,
        "return_id": one.id,
        "return_mchid": one.account,
        "amount": one.amount,
        "description": one.description,
        "result": ended if done else "PROCESSING",
        **({"fail_reason": one.fault} if done and one.fault else {}),
        "create_time": rfc3339(one.made_at),
        **({"finish_time": rfc3339(one.done_at)} if done else {}),
    }


_RETURNS = r"/v3/profitsharing/return-orders"
INTERFACES: list[tuple[str, re.Pattern[str], str, Callable[[World, Call], tuple[int, Any]]]] = [
    ("POST", re.compile(_RETURNS), "share_return", give_back),
    ("GET", re.compile(_RETURNS + r"/(?P<number>[^/]+)"), "share_return_query", query),
]
