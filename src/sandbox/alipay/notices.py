"""Alipay's asynchronous notices (支付宝「异步通知说明」): a signed form, taken when the answer is `success`."""

import json
import secrets
import time
from typing import Any
from urllib.parse import urlencode

from sandbox.alipay.signing import signer
from sandbox.authority import Authority
from sandbox.keys import Keys, sign
from sandbox.model import App, Crafting, Message, Notice, Payment, Refund, Trade
from sandbox.store import Store
from sandbox.wire import beijing, fen, yuan

BUYER = {
    "buyer_id": "2088102177846880",
    "buyer_open_id": "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5",
    "buyer_logon_id": "159****5620",
}


def trade_status(trade: Trade) -> str:
    """The state as Alipay names it; a trade that nobody scanned does not exist there."""
    if trade.state == "paid" and trade.echo.get("finished"):
        return "TRADE_FINISHED"  # its time for refunds is over
    return {"waiting": "WAIT_BUYER_PAY", "paid": "TRADE_SUCCESS", "closed": "TRADE_CLOSED"}[trade.state]


def compose(store: Store, trade: Trade, payment: Payment | None) -> Notice | None:
    """What Alipay tells about a payment, or about the closing of the trade."""
    app = store.app(trade.account)
    content = _money(payment) if payment else _closing(trade)
    if payment and trade.echo.get("finished"):
        content["trade_status"] = "TRADE_FINISHED"
    return _notice(trade, _fields(trade, app) | content) if app else None


def compose_refund(store: Store, trade: Trade, refund: Refund) -> Notice | None:
    """What Alipay tells about a refund: not its amount, but what has gone back of the trade in all."""
    app = store.app(trade.account)
    if app is None:
        return None
    content = {
        "refund_fee": yuan(trade.refunded_amount),
        "gmt_refund": f"{beijing(refund.made_at)}.{int(refund.made_at * 1000) % 1000:03d}",
        "out_biz_no": refund.number,
        "gmt_payment": beijing(trade.payments[0].paid_at),
        **_closing(trade),
    }
    return _notice(trade, _fields(trade, app) | content)


def _notice(trade: Trade, content: dict[str, Any]) -> Notice:
    now = time.time()
    return Notice(
        id=f"{beijing(now)[:10].replace('-', '')}00222{secrets.randbelow(10**21):021d}",
        channel="alipay",
        account=trade.account,
        number=trade.number,
        url=trade.notify_url,
        created_at=now,
        content=content,
    )


def _fields(trade: Trade, app: App) -> dict[str, Any]:
    optional = {name: trade.echo[name] for name in ("body", "passback_params") if trade.echo.get(name)}
    return {
        "notify_type": "trade_status_sync",
        "charset": "utf-8",
        "version": "1.0",
        "app_id": trade.account,
        "auth_app_id": trade.echo.get("auth_app_id", trade.account),
        "trade_no": trade.transaction,
        "out_trade_no": trade.number,
        "seller_id": trade.echo.get("seller_id", app.seller_id),
        "seller_email": "seller@sandbox.example",
        "trade_status": trade_status(trade),
        "total_amount": yuan(trade.amount),
        "subject": trade.subject,
        "gmt_create": beijing(trade.scanned_at or trade.created_at),
        **_buyer(app),
        **optional,
    }


def _buyer(app: App) -> dict[str, str]:
    unknown = "buyer_id" if app.payer_as == "open_id" else "buyer_open_id"
    return {name: value for name, value in BUYER.items() if name != unknown}


def _money(payment: Payment) -> dict[str, str]:
    bills = [("ALIPAYACCOUNT", payment.payer_paid)]
    bills += [("MCOUPON", payment.amount - payment.received), ("COUPON", payment.received - payment.payer_paid)]
    fund_bills = [{"amount": yuan(amount), "fundChannel": channel} for channel, amount in bills if amount > 0]
    return {
        "trade_no": payment.transaction,
        "trade_status": "TRADE_SUCCESS",
        "total_amount": yuan(payment.amount),
        "receipt_amount": yuan(payment.received),
        "invoice_amount": yuan(payment.payer_paid),
        "buyer_pay_amount": yuan(payment.payer_paid),
        "point_amount": "0.00",
        "gmt_payment": beijing(payment.paid_at),
        "fund_bill_list": json.dumps(fund_bills, separators=(",", ":")),
    }


def _closing(trade: Trade) -> dict[str, str]:
    return {"gmt_close": beijing(trade.closed_at)} if trade.closed_at else {}


def render(store: Store, keys: Keys, authority: Authority, notice: Notice, crafting: Crafting) -> Message:
    """The form as it is POSTed; `notify_time` is the time of this try, `notify_id` that of the notice."""
    sent = {"notify_time": beijing(time.time() + crafting.timestamp_offset), "notify_id": notice.id}
    form = {name: _text(value) for name, value in (sent | notice.content).items() if value is not None}
    signed = "&".join(f"{name}={value}" for name, value in sorted(form.items()) if value and name != "sign_type")
    if crafting.sign == "bad":
        signed += " but not this"
    form.setdefault("sign_type", "RSA2")
    if crafting.sign != "none":
        key, _ = signer(store, keys, authority, store.app(notice.account))
        form["sign"] = sign(key, signed.encode())
    if crafting.sign == "probe":
        form["sign"] = "WECHATPAY/SIGNTEST/" + form["sign"]
    return Message({"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, urlencode(form).encode())


def signed_return(store: Store, keys: Keys, authority: Authority, trade: Trade) -> str:
    """Where a browser goes after page.pay and wap.pay, with what Alipay says of the trade there; "" for no return_url.

    It is signed as a notice is, and proves less: the payer carries it.
    """
    app, address = store.app(trade.account), trade.echo.get("return_url")
    if app is None or not address:
        return ""
    said = {
        "app_id": trade.account,
        "auth_app_id": trade.echo.get("auth_app_id", trade.account),
        "charset": "utf-8",
        "method": f"{trade.echo['method']}.return",
        "out_trade_no": trade.number,
        "seller_id": trade.echo.get("seller_id", app.seller_id),
        "timestamp": beijing(time.time()),
        "total_amount": yuan(trade.amount),
        "trade_no": trade.transaction,
        "version": "1.0",
    }
    key, _ = signer(store, keys, authority, app)
    signature = sign(key, "&".join(f"{name}={value}" for name, value in sorted(said.items())).encode())
    joint = "&" if "?" in address else "?"
    return f"{address}{joint}{urlencode(said | {'sign_type': 'RSA2', 'sign': signature})}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def taken(status: int, body: bytes) -> bool:
    """Exactly seven characters; a redirect or one character more is a refusal."""
    return status == 200 and body == b"success"


def spoil_amount(notice: Notice) -> Notice:
    """The same notice with an honest signature over an amount that is a fen too high."""
    wrong = Notice(**{name: getattr(notice, name) for name in notice.__struct_fields__})
    amount = (fen(str(notice.content.get("total_amount", ""))) or 0) + 1
    wrong.content = notice.content | {"total_amount": yuan(amount)}
    if "receipt_amount" in notice.content:
        wrong.content["receipt_amount"] = yuan(amount)
    if "refund_fee" in notice.content:
        wrong.content["refund_fee"] = yuan((fen(str(notice.content["refund_fee"])) or 0) + 1)
    return wrong
