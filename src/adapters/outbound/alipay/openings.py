"""What Alipay is asked for by each method, and what the payer's side then needs."""

import re
from dataclasses import dataclass

from domain.channels import Access, Method, Opening
from domain.times import SHANGHAI


@dataclass(frozen=True, slots=True)
class Product:
    """A method of the open platform and the product that it sells; ``code`` None where the API implies it."""

    method: str
    code: str | None = None


PRODUCTS = {
    Method.ALIPAY_QR: Product("alipay.trade.precreate"),
    Method.ALIPAY_PAGE: Product("alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
    Method.ALIPAY_WAP: Product("alipay.trade.wap.pay", "QUICK_WAP_WAY"),
    Method.ALIPAY_APP: Product("alipay.trade.app.pay", "QUICK_MSECURITY_PAY"),
    Method.ALIPAY_JSAPI: Product("alipay.trade.create", "JSAPI_PAY"),
    Method.ALIPAY_BARCODE: Product("alipay.trade.pay", "FACE_TO_FACE_PAYMENT"),
}
# The documents ask to keep these out of a subject.
_SUBJECT = str.maketrans("/=&", "／＝＆")
_USER_ID = re.compile(r"2088\d{12}")


def wanted(access: Access, opening: Opening) -> dict[str, object]:
    """biz_content. Said twice of one opening it is the same to the letter."""
    biz: dict[str, object] = {
        "out_trade_no": opening.number,
        "total_amount": opening.amount.yuan,
        "subject": opening.subject.translate(_SUBJECT)[:256],
        "time_expire": opening.expires_at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S"),
    }
    if code := PRODUCTS[opening.method].code:
        biz["product_code"] = code
    if opening.method is not Method.ALIPAY_PAGE:  # whose documents know no seller_id: it is the signing merchant's
        biz["seller_id"] = access.account.payee
    if extend := _extended(access, opening):
        biz["extend_params"] = extend
    return biz | _particular(access, opening)


def _extended(access: Access, opening: Opening) -> dict[str, str]:
    extend = {}
    if access.credential.provider:
        extend["sys_service_provider_id"] = access.credential.provider
    if opening.instalments:
        # 花呗分期: 0 % of its fee for the seller, so the payer bears it.
        extend |= {"hb_fq_num": str(opening.instalments), "hb_fq_seller_percent": "0"}
    if opening.shared:
        extend["royalty_freeze"] = "true"  # until it is shared and finished, or for thirty days
    return extend


def _particular(access: Access, opening: Opening) -> dict[str, object]:
    if opening.method is Method.ALIPAY_WAP:
        return {"quit_url": opening.return_url} if opening.return_url else {}
    if opening.method is Method.ALIPAY_JSAPI:
        payer = opening.payer_id or ""
        # A user id is 16 digits from 2088; everything else is the open id that newer applications get.
        buyer = {"buyer_id": payer} if _USER_ID.fullmatch(payer) else {"buyer_open_id": payer}
        return {"op_app_id": access.paying_app, **buyer}
    if opening.method is Method.ALIPAY_BARCODE:
        return {"scene": "bar_code", "auth_code": opening.auth_code or ""}
    return {}
