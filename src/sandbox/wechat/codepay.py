"""Bar codes (微信支付「付款码支付」「撤销订单」, API v3)."""

import re
from typing import Any

from sandbox import payer
from sandbox.model import Trade
from sandbox.wechat.notices import transaction
from sandbox.wechat.orders import Call, Refused, check_mchid, check_open, find, parameter, wanted
from sandbox.world import World

# 18 digits that begin with 10 to 15.
_FORM = re.compile(r"1[0-5][0-9]{16}")
_REVERSIBLE_SECONDS = 7 * 86400.0


def codepay(world: World, call: Call) -> tuple[int, Any]:
    """The merchant has scanned the payer's code: the answer is the outcome, or that nobody knows it yet."""
    now = world.now()
    digits_read = _auth_code(call)
    order = wanted(call, now, "MICROPAY", "", 0)
    order.code = f"codepay:{order.account}:{order.number}"
    order.fingerprint += digits_read
    order.code_expires_at = now + 365 * 86400
    if known := world.store.trade("wechat", order.account, order.number):
        return _again(known, order)
    wallet = payer.take_code(world, "wechat", digits_read, order.number)
    if wallet is None:
        raise Refused(400, "AUTH_CODE_INVALID", "101 付款码已过期或已使用，请刷新再试")
    payer.scan(world, order)
    world.store.save_trade(order)
    if wallet == "asks":
        raise Refused(202, "USERPAYING", "需要用户输入支付密码")
    if wallet == "poor":
        payer.refuse(world, order)
        raise Refused(403, "NOT_ENOUGH", "用户帐号余额不足，请用户充值或更换支付卡后再支付")
    told = transaction(order, payer.pay(world, order))
    if "wrong_amount" in call.faults:
        told["amount"] = told["amount"] | {"total": told["amount"]["total"] + 1}
    return 200, told


def _again(known: Trade, order: Trade) -> tuple[int, Any]:
    check_open(known)
    if known.fingerprint != order.fingerprint or known.refused_at:
        raise Refused(403, "OUT_TRADE_NO_USED", "商户订单号重复，更换付款码必须更换商户订单号")
    raise Refused(202, "USERPAYING", "需要用户输入支付密码")


def _auth_code(call: Call) -> str:
    given, scene = call.body.get("payer"), call.body.get("scene_info")
    code = given.get("auth_code") if isinstance(given, dict) else None
    if not isinstance(code, str) or not code:
        raise parameter("/payer/auth_code", code, "输入源“/body/payer/auth_code”映射到字符串字段规则校验失败")
    store = scene.get("store_info") if isinstance(scene, dict) else None
    named = [store.get(name) for name in ("id", "out_id")] if isinstance(store, dict) else []
    if not any(isinstance(one, str) and 0 < len(one) <= 32 for one in named):
        raise parameter("/scene_info/store_info", store, "门店id与out_id二选一必填")
    if not _FORM.fullmatch(code):
        raise Refused(400, "AUTH_CODE_INVALID", "请扫描微信支付授权码(以10/11/12/13/14/15为前缀的18位数字)")
    return code


def reverse(world: World, call: Call) -> tuple[int, Any]:
    """Undoes a bar code payment whatever became of it; again and again, if it has to be."""
    check_mchid(call, call.body.get(call.mchid_name), "body")
    trade = find(world, call)
    if trade.echo.get("trade_type") != "MICROPAY":
        raise Refused(400, "INVALID_REQUEST", "仅付款码支付的订单可以撤销")
    if world.now() > trade.created_at + _REVERSIBLE_SECONDS:
        # The name that the second version's documents have for it; the third's have none of their own.
        raise Refused(400, "REVERSE_EXPIRE", "订单已超过7天，不能撤销，请调用申请退款")
    if trade.refunds:
        raise Refused(400, "INVALID_REQUEST", "订单已发起退款，不能撤销")
    if not trade.echo.get("reversed"):
        trade.echo["reversed"] = True
        trade.closed_at, trade.refunded = world.now(), bool(trade.payments)
        world.store.save_trade(trade)
    return 200, {**trade.echo["parties"], "out_trade_no": trade.number}
