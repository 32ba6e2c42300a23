"""The doors of the merchant API v3: whose signature, which interface, and the signed answer."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from litestar import Request, route
from litestar.di import NamedDependency
from litestar.types import ASGIApp

from sandbox.faults import Answer, FaultName, plain_500
from sandbox.keys import seal
from sandbox.model import Crafting, Merchant
from sandbox.wechat import applyments, bills, codepay, orders, prepay, refunds, share_returns, sharing, transfers
from sandbox.wechat.orders import Call, Refused
from sandbox.wechat.signing import (
    choose_signer,
    credentials,
    fault_of,
    signed_headers,
    signed_message,
    signers,
)
from sandbox.wire import json_object, rfc3339
from sandbox.world import World

_ORDERS = r"/v3/pay/(?P<partner>partner/)?transactions"
_NUMBER = r"/out-trade-no/(?P<number>[^/]+)"
_REFUNDS = r"/v3/refund/domestic/refunds"
_UPLOAD = "/v3/merchant/media/upload"
_APPLYMENTS = "/v3/applyment4sub/applyment"
_TRANSFERS = r"/v3/fund-app/mch-transfer/transfer-bills"
_BILL = r"/out-bill-no/(?P<number>[^/]+)"


def certificates(world: World, call: Call) -> tuple[int, Any]:
    """「下载平台证书」: the platform certificates that sign or will sign, sealed with the merchant's APIv3 key."""
    listed = world.keys.wechat_platforms[world.store.settings().wechat_retired :]
    return 200, {
        "data": [
            {
                "serial_no": platform.serial,
                "effective_time": rfc3339(platform.certificate.not_valid_before_utc.timestamp()),
                "expire_time": rfc3339(platform.certificate.not_valid_after_utc.timestamp()),
                "encrypt_certificate": seal(call.merchant.apiv3_key, platform.pem, "certificate"),
            }
            for platform in listed
        ]
    }


_INTERFACES = [
    *(("POST", re.compile(f"{_ORDERS}/{api}"), api, perform) for api, perform in prepay.PLACING.items()),
    ("POST", re.compile(f"{_ORDERS}/codepay"), "codepay", codepay.codepay),
    ("GET", re.compile(_ORDERS + _NUMBER), "query", orders.query),
    ("GET", re.compile(_ORDERS + r"/id/(?P<transaction>[^/]+)"), "query", orders.query),
    ("POST", re.compile(_ORDERS + _NUMBER + "/close"), "close", orders.close),
    ("POST", re.compile(_ORDERS + _NUMBER + "/reverse"), "reverse", codepay.reverse),
    ("POST", re.compile(_REFUNDS), "refund", refunds.create),
    ("GET", re.compile(_REFUNDS + r"/(?P<number>[^/]+)"), "refund_query", refunds.query),
    (
        "POST",
        re.compile(_REFUNDS + r"/(?P<refund_id>[^/]+)/apply-abnormal-refund"),
        "abnormal_refund",
        refunds.abnormal,
    ),
    ("POST", re.compile(_TRANSFERS), "transfer", transfers.create),
    ("GET", re.compile(_TRANSFERS + _BILL), "transfer_query", transfers.query),
    ("GET", re.compile(_TRANSFERS + r"/transfer-bill-no/(?P<id>[^/]+)"), "transfer_query", transfers.query),
    ("POST", re.compile(_TRANSFERS + _BILL + "/cancel"), "transfer_cancel", transfers.cancel),
    *sharing.INTERFACES,
    *share_returns.INTERFACES,
    ("GET", re.compile(r"/v3/certificates"), "certificates", certificates),
    ("GET", re.compile(r"/v3/bill/tradebill"), "bill", bills.trade_bill),
    ("GET", re.compile(r"/v3/bill/fundflowbill"), "bill", bills.fund_bill),
    ("GET", re.compile(r"/v3/billdownload/file"), "bill_file", bills.file),
    ("POST", re.compile(_UPLOAD), "media", applyments.upload),
    ("POST", re.compile(_APPLYMENTS + "/?"), "applyment", applyments.submit),
    ("GET", re.compile(_APPLYMENTS + r"/business_code/(?P<code>[^/]+)/?"), "applyment_query", applyments.query),
    ("GET", re.compile(_APPLYMENTS + r"/applyment_id/(?P<id>[^/]+)/?"), "applyment_query", applyments.query),
]


@route("/v3/{interface:path}", http_method=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def v3(request: Request[Any, Any, Any], world: NamedDependency[World]) -> ASGIApp:
    """Every interface of API v3, so that an unknown one is answered as WeChat Pay answers it."""
    path = request.scope["path"]
    known = [
        (api, perform, found.groupdict())
        for method, pattern, api, perform in _INTERFACES
        if method == request.method and (found := pattern.fullmatch(path))
    ]
    api, perform, parts = known[0] if known else ("", None, {})
    faults = world.faults.take("wechat", api) if api else {}
    if "error_500" in faults:
        return plain_500(faults, world.stopping)
    merchant, told = None, Refused(404, "RESOURCE_NOT_EXISTS", "请求的接口不存在").answer
    try:
        body = await request.body()
        if path == _UPLOAD:
            # Signed is what is said of the image, not the image.
            meta, image = applyments.meta_of(request.headers.get("content-type", ""), body)
            merchant, content = _caller(world, request, meta), {"meta": meta, "file": image}
        else:
            merchant, content = _caller(world, request, body), None
        if perform:
            serial = request.headers.get("wechatpay-serial", "")
            call = Call(merchant, parts, request.query_params, content or _json(body), faults, serial)
            told = _performed(world, perform, call)
    except Refused as refused:
        told = refused.answer
    return _answer(world, request, merchant, told, faults)


def _performed(world: World, perform: Callable[[World, Call], tuple[int, Any]], call: Call) -> tuple[int, Any]:
    if "rate_limited" in call.faults:
        raise Refused(429, "FREQUENCY_LIMITED", "频率限制，请降低请求频率")
    if "lost" in call.faults:
        raise Refused(500, "SYSTEM_ERROR", "系统错误，请稍后重试")
    told = perform(world, call)
    if "system_error" in call.faults:
        # The work is done and the merchant is told otherwise: an outcome it cannot know.
        raise Refused(500, "SYSTEM_ERROR", "系统错误，请稍后重试")
    return told


def _caller(world: World, request: Request[Any, Any, Any], body: bytes) -> Merchant:
    """The merchant that signed the request: method, address as sent, time, nonce and body."""
    parts = credentials(request.headers.get("authorization", ""))
    if parts is None:
        raise Refused(401, "SIGN_ERROR", "Http头缺少Authorization，或其值的格式错误")
    merchant = world.store.merchant(parts["mchid"])
    if merchant is None:
        raise Refused(401, "SIGN_ERROR", "商户号不存在，或未配置API证书")
    query = request.scope["query_string"].decode("latin-1")
    raw_path = request.scope["raw_path"].decode("latin-1").partition("?")[0]
    url = raw_path + ("?" + query if query else "")
    if fault := fault_of(parts, merchant, request.method, url, body):
        text = signed_message(parts, request.method, url, body).decode("utf-8", "replace")
        shown = {"method": request.method, "url": url, "sign_message_length": len(text)}
        shown["truncated_sign_message"] = text[:120]
        detail = {"detail": {"issue": "sign not match"}, "field": "signature", "location": "authorization"}
        raise Refused(401, "SIGN_ERROR", fault, detail | {"sign_information": shown})
    wanted = request.headers.get("wechatpay-serial")
    if wanted and wanted not in signers(world.keys):
        detail = {"field": "Wechatpay-Serial", "value": wanted, "location": "header"}
        raise Refused(400, "PARAM_ERROR", "平台证书序列号或微信支付公钥ID有误", detail)
    return merchant


def _json(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    content = json_object(body)
    if content is None:
        raise Refused(400, "PARAM_ERROR", "请求体不是合法的JSON对象", {"location": "body", "issue": "malformed JSON"})
    return content


def _answer(
    world: World,
    request: Request[Any, Any, Any],
    merchant: Merchant | None,
    told: tuple[int, Any],
    faults: Mapping[FaultName, Any],
) -> ASGIApp:
    """Signs every answer to a known merchant, the empty 204 too."""
    status, content = told
    if isinstance(content, bytes):  # a bill: a file, and not signed
        plain = [("Content-Type", "application/octet-stream")]
        return Answer(status, content, plain, faults=dict(faults), stopping=world.stopping)
    body = b"" if content is None else json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    headers: dict[str, str] = {}
    if merchant:
        wanted = request.headers.get("wechatpay-serial")
        wanted = wanted if wanted in signers(world.keys) else None
        settings = world.store.settings()
        signer = choose_signer(world.keys, settings.wechat_signer, wanted, signing=settings.wechat_signing)
        headers = signed_headers(signer, body, Crafting(sign="bad" if "bad_signature" in faults else "good"))
    if "unsigned" in faults:
        headers = {"Request-ID": headers.get("Request-ID", "")}
    if status != 204:
        headers["Content-Type"] = "application/json; charset=utf-8"
    return Answer(status, body, list(headers.items()), faults=dict(faults), stopping=world.stopping)
