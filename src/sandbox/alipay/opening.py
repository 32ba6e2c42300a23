"""The ways to open a payment: a code to scan, a page, an app's order string, a trade number, a payer's bar code."""

import re
import secrets
from collections.abc import Mapping
from typing import Any

from sandbox import payer
from sandbox.alipay import trade as trades
from sandbox.alipay.calls import Call, Refused, business, parameter
from sandbox.model import Trade
from sandbox.wire import beijing, beijing_moment, end_of_day, fen, yuan
from sandbox.world import World

_NUMBER = re.compile(r"[0-9A-Za-z_]{1,64}")
_SPAN = re.compile(r"(\d{1,6})([mhdc])")
_CODE_LIFE = 2 * 3600.0
_MOST_FEN = 100_000_000_00
_LONGEST_SECONDS = 15 * 86400.0
# 花呗分期: how many instalments there are, and who bears the fee (0: the payer, 100: the seller).
_INSTALMENTS, _SELLER_PERCENT = ("3", "6", "12", "24"), ("0", "100")


def precreate(world: World, call: Call) -> dict[str, str]:
    """Hands out a QR code. There is no trade yet: that is made when a payer scans it."""
    trade = _placed(world, call, "")
    return {"out_trade_no": trade.number, "qr_code": trade.code}


def page(world: World, call: Call) -> Trade:
    """alipay.trade.page.pay: a payer at a computer. There is no trade before they log in."""
    return _placed(world, call, "FAST_INSTANT_TRADE_PAY")


def wap(world: World, call: Call) -> Trade:
    """alipay.trade.wap.pay: a payer with a telephone's browser."""
    return _placed(world, call, "QUICK_WAP_WAY")


def app(world: World, call: Call) -> Trade:
    """alipay.trade.app.pay: the SDK in a merchant's app hands the order string over and the trade is made."""
    trade = _placed(world, call, "QUICK_MSECURITY_PAY")
    payer.scan(world, trade)
    return trade


def create(world: World, call: Call) -> dict[str, str]:
    """alipay.trade.create: a trade for a payer who is inside Alipay already, at once."""
    if not call.text("buyer_id") and not call.text("buyer_open_id"):
        raise parameter("buyer_id")
    if call.text("product_code") == "JSAPI_PAY" and not call.text("op_app_id"):
        raise parameter("op_app_id")
    trade = _placed(world, call, call.text("product_code"))
    payer.scan(world, trade)
    if trade.code != trade.transaction:
        trade.code = trade.transaction  # what the payer's phone opens it by
        world.store.save_trade(trade)
    return {"out_trade_no": trade.number, "trade_no": trade.transaction}


def pay(world: World, call: Call) -> dict[str, Any]:
    """alipay.trade.pay: the merchant has scanned the payer's bar code."""
    code = call.text("auth_code")
    if call.text("scene") not in ("bar_code", "wave_code", "security_code", ""):
        raise parameter("scene")
    if not code:
        raise business("ACQ.AUTH_TOKEN_IS_NOT_EXIST", "支付授权码为空")
    wanted = _wanted(call, world.now())
    known = world.store.trade("alipay", call.app.app_id, wanted.number)
    if known:
        _check_repeat(known, wanted)
        return _charged(call, known)
    wallet = payer.take_code(world, "alipay", code, wanted.number)
    if wallet is None:
        raise business("ACQ.PAYMENT_AUTH_CODE_INVALID", "付款码无效", wanted)
    if wallet == "poor":
        raise business("ACQ.BUYER_BALANCE_NOT_ENOUGH", "买家余额不足", wanted)
    wanted.code = code
    payer.scan(world, wanted)
    if wallet == "pays":
        payer.pay(world, wanted)
    return _charged(call, wanted)


def _charged(call: Call, trade: Trade) -> dict[str, Any]:
    told = {**trades.buyer(call), "out_trade_no": trade.number, "trade_no": trade.transaction}
    if not trade.payments:
        nothing = dict.fromkeys(("buyer_pay_amount", "invoice_amount", "point_amount", "receipt_amount"), "0.00")
        waiting = {"code": "10003", "msg": " order success pay inprocess"}  # with the blank that Alipay sends
        return told | waiting | nothing | {"total_amount": yuan(trade.amount)}
    payment = trade.payments[0]
    return told | trades.money(payment) | {"gmt_payment": beijing(payment.paid_at)}


def _placed(world: World, call: Call, product: str) -> Trade:
    """The trade that was asked for before, or a new one; never another under the same number."""
    if product and call.text("product_code") not in ("", product):
        raise business("ACQ.ACCESS_FORBIDDEN", "无权限使用接口")
    now = world.now()
    wanted = _wanted(call, now)
    known = world.store.trade("alipay", call.app.app_id, wanted.number)
    if known:
        _check_repeat(known, wanted)
        if known.payable(now) == "payable":
            return known
        # The code ran out unscanned: the same order may have a new one.
    world.store.save_trade(wanted)
    return wanted


def _check_repeat(known: Trade, wanted: Trade) -> None:
    if known.state == "paid":
        raise business("ACQ.TRADE_HAS_SUCCESS", "交易已被支付", known)
    if known.state == "closed":
        raise business("ACQ.TRADE_HAS_CLOSE", "交易已经关闭", known)
    if known.fingerprint != wanted.fingerprint:
        raise business("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改", known)


def _wanted(call: Call, now: float) -> Trade:
    number, subject, amount = call.text("out_trade_no"), call.text("subject"), fen(call.text("total_amount"))
    if not _NUMBER.fullmatch(number):
        raise parameter("out_trade_no")
    if not 0 < len(subject) <= 256:
        raise parameter("subject")
    if amount is None or not 1 <= amount <= _MOST_FEN:
        raise parameter("total_amount")
    deadline = _time_expire(call, now)
    life = _span(call, "qr_code_timeout_express", now)
    if life is not None:
        deadline = min(now + life, deadline or now + life)
    echo: dict[str, Any] = {name: call.text(name) for name in ("body", "passback_params") if call.text(name)}
    echo |= {"seller_id": call.text("seller_id") or call.seller_id, "method": call.params["method"]}
    echo |= {name: call.params[name] for name in ("return_url",) if call.params.get(name)}
    echo |= {"extend_params": extend} if (extend := _extend(call)) else {}
    if call.merchant:
        echo["auth_app_id"] = call.merchant.app_id
    return Trade(
        channel="alipay",
        account=call.app.app_id,
        number=number,
        amount=amount,
        subject=subject,
        notify_url=call.params.get("notify_url", ""),
        code=f"https://qr.alipay.com/bax{secrets.randbelow(10**5):05d}{secrets.token_hex(8)}",
        code_expires_at=now + (_CODE_LIFE if life is None else life),
        created_at=now,
        fingerprint=repr((amount, subject, echo["seller_id"])),
        deadline=deadline,
        pay_within=_span(call, "timeout_express", now),
        echo=echo,
    )


def _extend(call: Call) -> Mapping[str, Any]:
    extend = call.asked.get("extend_params") or {}
    if not isinstance(extend, dict):
        raise parameter("extend_params")
    if (number := extend.get("hb_fq_num")) is not None and str(number) not in _INSTALMENTS:
        raise parameter("extend_params.hb_fq_num")
    if (percent := extend.get("hb_fq_seller_percent")) is not None and str(percent) not in _SELLER_PERCENT:
        raise parameter("extend_params.hb_fq_seller_percent")
    if (freeze := extend.get("royalty_freeze")) is not None and str(freeze) not in ("true", "false"):
        raise parameter("extend_params.royalty_freeze")
    return extend


def _time_expire(call: Call, now: float) -> float | None:
    text = call.text("time_expire")
    moment = beijing_moment(text) if text else None
    if text and moment is None:
        raise parameter("time_expire")
    if moment is not None and moment <= now:
        raise Refused("40004", "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR", "当前时间已超过允许支付的时间")
    return moment


def _span(call: Call, name: str, now: float) -> float | None:
    """1m to 15d in minutes, hours or days; `1c` lasts until the end of the day."""
    text = call.text(name)
    if not text:
        return None
    found = _SPAN.fullmatch(text)
    if not found:
        raise parameter(name)
    if found[2] == "c":
        return end_of_day(now) - now
    seconds = int(found[1]) * {"m": 60.0, "h": 3600.0, "d": 86400.0}[found[2]]
    if not 60 <= seconds <= _LONGEST_SECONDS:
        raise parameter(name)
    return seconds
