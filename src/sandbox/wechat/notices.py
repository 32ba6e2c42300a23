"""WeChat Pay's notices (微信支付「支付成功回调通知」,「退款结果通知」): a signed envelope, its content encrypted."""

import json
import time
import uuid
from typing import Any

from sandbox.keys import Keys, seal
from sandbox.model import Crafting, Merchant, Message, Notice, Payment, Trade
from sandbox.store import Store
from sandbox.wechat.signing import choose_signer, signed_headers
from sandbox.wire import rfc3339

OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
_DESCRIPTIONS = {
    "NOTPAY": "订单未支付",
    "SUCCESS": "支付成功",
    "CLOSED": "订单已关闭",
    "REFUND": "转入退款",
    "REVOKED": "订单已撤销",
    "USERPAYING": "用户支付中",
    "PAYERROR": "支付失败，请重新下单支付",
}


def trade_state(trade: Trade, payment: Payment | None) -> str:
    """The state of an order (「查询订单」, trade_state)."""
    if trade.echo.get("reversed"):
        return "REVOKED"
    if payment:
        return "REFUND" if trade.refunds else "SUCCESS"
    if trade.closed_at is not None:
        return "CLOSED"
    if trade.echo.get("trade_type") != "MICROPAY":
        return "NOTPAY"
    return "PAYERROR" if trade.refused_at else "USERPAYING"


def transaction(trade: Trade, payment: Payment | None, state: str | None = None) -> dict[str, Any]:
    """A transaction as the query answers it and as a notice carries it."""
    state = state or trade_state(trade, payment)
    told: dict[str, Any] = {**trade.echo["parties"], "out_trade_no": trade.number}
    told |= {"trade_state": state, "trade_state_desc": _DESCRIPTIONS[state], "attach": trade.echo.get("attach", "")}
    if payment is None:
        total = {"total": trade.amount, "currency": "CNY"}
        return told | {"amount": total, "payer": {}, "promotion_detail": []}
    service = "sp_mchid" in trade.echo["parties"]
    return told | {
        "transaction_id": payment.transaction,
        "trade_type": trade.echo.get("trade_type", "NATIVE"),
        "bank_type": "OTHERS",
        "success_time": rfc3339(payment.paid_at),
        "payer": trade.echo.get("payer") or {"sp_openid" if service else "openid": OPENID},
        "amount": {
            "total": payment.amount,
            "payer_total": payment.payer_paid,
            "currency": "CNY",
            "payer_currency": "CNY",
        },
        **_promotions(payment),
    }


def _promotions(payment: Payment) -> dict[str, Any]:
    """NOCASH coupons lower what the merchant receives; CASH ones are paid for by WeChat Pay."""
    nocash, cash = payment.amount - payment.received, payment.received - payment.payer_paid
    coupons = [("NOCASH", nocash, {"merchant_contribute": nocash}), ("CASH", cash, {"wechatpay_contribute": cash})]
    details = [
        {"coupon_id": f"1095{place}9", "name": "沙箱立减券", "scope": "GLOBAL", "type": kind, "amount": amount}
        | {"stock_id": "931386", "wechatpay_contribute": 0, "merchant_contribute": 0, "other_contribute": 0}
        | {"currency": "CNY"}
        | contribution
        for place, (kind, amount, contribution) in enumerate(coupons)
        if amount > 0
    ]
    return {"promotion_detail": details} if details else {}


def compose(trade: Trade, payment: Payment | None) -> Notice | None:
    """The only thing WeChat Pay tells by itself about an order: that it was paid."""
    if payment is None:
        return None
    return Notice(
        id=str(uuid.uuid4()),
        channel="wechat",
        account=trade.account,
        number=trade.number,
        url=trade.notify_url,
        created_at=time.time(),
        content={"transaction": transaction(trade, payment, "SUCCESS"), "envelope": {}},
    )


def render(keys: Keys, store: Store, notice: Notice, crafting: Crafting) -> Message:
    """The envelope of this try: same id and content, fresh encryption, time and signature."""
    merchant = store.merchant(notice.account)
    apiv3_key = merchant.apiv3_key if merchant else "0" * 32
    kind = notice.content.get("kind", "transaction")
    plain = json.dumps(notice.content["transaction"], ensure_ascii=False, separators=(",", ":"))
    envelope = {
        "id": notice.id,
        "create_time": rfc3339(notice.created_at),
        "resource_type": "encrypt-resource",
        "event_type": "TRANSACTION.SUCCESS",
        "summary": "支付成功",
        "resource": {"original_type": kind, **seal(apiv3_key, plain, kind)},
    }
    _lay_over(envelope, notice.content.get("envelope", {}))
    body = json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()
    settings = store.settings()
    signer = choose_signer(keys, settings.wechat_signer, crafting.serial, signing=settings.wechat_signing)
    headers = signed_headers(signer, body, crafting)
    return Message({"Content-Type": "application/json", **headers}, body)


def _lay_over(below: dict[str, Any], above: dict[str, Any]) -> None:
    for name, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(name), dict):
            _lay_over(below[name], value)
        elif value is None:
            below.pop(name, None)
        else:
            below[name] = value


def parties(merchant: Merchant, body: dict[str, Any], *, partner: bool) -> dict[str, str]:
    """Who is who in a transaction, under the names of the direct or the partner (服务商) mode."""
    if not partner:
        return {"appid": body["appid"], "mchid": merchant.mchid}
    names = ("sp_appid", "sp_mchid", "sub_appid", "sub_mchid")
    return {name: body[name] for name in names if body.get(name)}


def taken(status: int, body: bytes) -> bool:
    """200 or 204; what the body says does not matter."""
    del body
    return status in (200, 204)


def spoil_amount(notice: Notice) -> Notice:
    """The same notice, honestly signed and sealed, over an amount that is a fen too high."""
    wrong = Notice(**{name: getattr(notice, name) for name in notice.__struct_fields__})
    told = notice.content["transaction"]
    if "transfer_amount" in told:
        wrong.content = notice.content | {"transaction": told | {"transfer_amount": told["transfer_amount"] + 1}}
        return wrong
    total = told["amount"]["total"] + 1
    wrong.content = notice.content | {
        "transaction": told | {"amount": told["amount"] | {"total": total, "payer_total": total}}
    }
    return wrong
