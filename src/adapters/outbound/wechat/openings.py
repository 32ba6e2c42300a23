"""How each method is opened at WeChat Pay, and what the payer's side then gets to work with."""

import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from adapters.outbound.wechat import parties
from adapters.outbound.wechat.reports import text
from adapters.outbound.wechat.sdk import Merchant, WeChatPayType
from domain.channels import Access, ActionType, Method, Opening, PayerAction
from domain.errors import InvalidRequest
from domain.times import SHANGHAI

TYPES = {
    Method.WECHAT_NATIVE: WeChatPayType.NATIVE,
    Method.WECHAT_JSAPI: WeChatPayType.JSAPI,
    Method.WECHAT_MINIPROGRAM: WeChatPayType.MINIPROG,
    Method.WECHAT_H5: WeChatPayType.H5,
    Method.WECHAT_APP: WeChatPayType.APP,
    Method.WECHAT_BARCODE: WeChatPayType.CODEPAY,
}


def order(access: Access, opening: Opening) -> dict[str, Any]:
    """The arguments of the SDK's ``pay``. Raises InvalidRequest for an opening that lacks what its method needs."""
    asked: dict[str, Any] = {
        "pay_type": TYPES[opening.method],
        "description": opening.subject[:127],
        "out_trade_no": opening.number,
        "amount": {"total": opening.amount.minor, "currency": opening.amount.currency},
        "sub_appid": access.account.sub_app_id,
        "sub_mchid": parties.sub_merchant(access),
    }
    if opening.shared:
        asked["settle_info"] = {"profit_sharing": True}
    if opening.method is Method.WECHAT_BARCODE:
        # Neither an expiry nor a notice: the answer is the outcome, or the queries after it. A store is required
        # (https://pay.weixin.qq.com/docs/merchant/apis/code-payment-v3/direct/code-pay.html); ``out_id`` is the
        # merchant's own name of one.
        asked["payer"] = {"auth_code": _needed(opening, "auth_code")}
        asked["scene_info"] = {"store_info": {"out_id": access.account.id[:32]}}
        return asked
    asked["time_expire"] = opening.expires_at.astimezone(SHANGHAI).isoformat(timespec="seconds")
    asked["notify_url"] = opening.notice_url
    if opening.method.needs_payer:
        asked["payer"] = {_openid_name(access): _needed(opening, "payer_id")}
    if opening.method is Method.WECHAT_H5:
        asked["scene_info"] = {"payer_client_ip": _needed(opening, "payer_ip"), "h5_info": {"type": "Wap"}}
    return asked


def action(merchant: Merchant, access: Access, opening: Opening, answer: Mapping[str, Any]) -> PayerAction:
    """What the answer lets the payer do next. Raises Unreadable."""
    match opening.method:
        case Method.WECHAT_NATIVE:
            return PayerAction(ActionType.QR_CODE, text(answer, "code_url"))
        case Method.WECHAT_H5:
            back = f"&redirect_url={quote(opening.return_url, safe='')}" if opening.return_url else ""
            return PayerAction(ActionType.REDIRECT, text(answer, "h5_url") + back)
        case Method.WECHAT_APP:
            return _app(merchant, access, text(answer, "prepay_id"))
        case _:
            return _jsapi(merchant, access, text(answer, "prepay_id"))


def _jsapi(merchant: Merchant, access: Access, prepay_id: str) -> PayerAction:
    """For WeixinJSBridge and wx.requestPayment (https://pay.weixin.qq.com/doc/v3/merchant/4012791857)."""
    app_id, package = access.paying_app, f"prepay_id={prepay_id}"
    timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
    fields = {
        "appId": app_id,
        "timeStamp": timestamp,
        "nonceStr": nonce,
        "package": package,
        "signType": "RSA",
        "paySign": merchant.sign([app_id, timestamp, nonce, package]),
    }
    return PayerAction(ActionType.SDK, prepay_id, fields)


def _app(merchant: Merchant, access: Access, prepay_id: str) -> PayerAction:
    """For the open platform's SDK (https://pay.weixin.qq.com/doc/v3/merchant/4013070351). ``partnerid`` is whom the
    money is for: a sub-merchant under a provider."""
    app_id = access.paying_app
    timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
    fields = {
        "appid": app_id,
        "partnerid": access.account.payee,
        "prepayid": prepay_id,
        "package": "Sign=WXPay",
        "noncestr": nonce,
        "timestamp": timestamp,
        "sign": merchant.sign([app_id, timestamp, nonce, prepay_id]),
    }
    return PayerAction(ActionType.SDK, prepay_id, fields)


def _openid_name(access: Access) -> str:
    if access.credential.provider is None:
        return "openid"
    return "sub_openid" if access.account.sub_app_id else "sp_openid"


def _needed(opening: Opening, name: str) -> str:
    value: str | None = getattr(opening, name)
    if not value:
        raise InvalidRequest(f"{opening.method} needs {name}", code=f"{name}_required", pointer=f"/{name}")
    return value
