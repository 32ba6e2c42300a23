"""The one address of Alipay's open platform: who calls, is it signed, which method (支付宝「公共错误码」)."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from litestar import Request, Response, get, route
from litestar.di import NamedDependency
from litestar.types import ASGIApp

from sandbox import payer
from sandbox.alipay import bills, login, opening, refunds, sharing, trade, transfers
from sandbox.alipay.calls import GOOD, Call, Refused
from sandbox.alipay.signing import download, signer
from sandbox.authority import read, serial
from sandbox.faults import Answer, Api, FaultName, plain_500
from sandbox.keys import public_key, sign, verified
from sandbox.model import App, Authorised, Trade, Wallet
from sandbox.pages import language, page
from sandbox.wire import beijing_moment, json_object
from sandbox.world import World

_METHODS: dict[str, tuple[Api, Callable[[World, Call], dict[str, Any]]]] = {
    "alipay.trade.precreate": ("precreate", opening.precreate),
    "alipay.trade.create": ("create", opening.create),
    "alipay.trade.pay": ("pay", opening.pay),
    "alipay.trade.query": ("query", trade.query),
    "alipay.trade.close": ("close", trade.close),
    "alipay.trade.cancel": ("cancel", refunds.cancel),
    "alipay.trade.refund": ("refund", refunds.refund),
    "alipay.trade.fastpay.refund.query": ("refund_query", refunds.query),
    "alipay.fund.trans.uni.transfer": ("transfer", transfers.transfer),
    "alipay.fund.trans.common.query": ("transfer_query", transfers.query),
    "alipay.trade.royalty.relation.bind": ("receiver", sharing.bind),
    "alipay.trade.royalty.relation.unbind": ("receiver", sharing.unbind),
    "alipay.trade.royalty.relation.batchquery": ("receiver_query", sharing.batch_query),
    "alipay.trade.order.settle": ("share", sharing.settle),
    "alipay.trade.order.settle.query": ("share_query", sharing.query),
    "alipay.system.oauth.token": ("login", login.token),
    "alipay.data.dataservice.bill.downloadurl.query": ("bill", bills.address),
    "alipay.open.app.alipaycert.download": ("certificate", download),
}
# Where the payer's own browser or app comes with what the merchant has signed.
_PAGES: dict[str, Callable[[World, Call], Trade]] = {
    "alipay.trade.page.pay": opening.page,
    "alipay.trade.wap.pay": opening.wap,
    "alipay.trade.app.pay": opening.app,
}
_CHARSETS = {"utf-8", "gbk", "gb2312", "gb18030"}
_CERTIFIED = frozenset({"alipay.fund.trans.uni.transfer"})
_MISSING = {
    "method": ("isv.missing-method", "缺少方法名参数"),
    "app_id": ("isv.missing-app-id", "缺少AppID参数"),
    "sign_type": ("isv.missing-signature-type", "缺少签名类型参数"),
    "sign": ("isv.missing-signature", "缺少签名参数"),
    "timestamp": ("isv.missing-timestamp", "缺少时间戳参数"),
    "version": ("isv.missing-version", "缺少版本参数"),
}


@route("/gateway.do", http_method=["GET", "POST"])
async def gateway(request: Request[Any, Any, Any], world: NamedDependency[World]) -> ASGIApp:
    """Parameters may stand in the address, in the form, or in both, as the official SDKs send them."""
    params = _read(request.scope["query_string"], await request.body())
    if params.get("method") in _PAGES and params["method"] != "alipay.trade.app.pay":
        return _page(world, request, params)
    api, _ = _METHODS.get(params.get("method", ""), ("", None))
    faults = world.faults.take("alipay", api) if api else {}
    if "error_500" in faults:
        return plain_500(faults, world.stopping)
    app = world.store.app(params.get("app_id", ""))
    try:
        told = _perform(world, app, params, faults)
        node = told if params["method"] == "alipay.system.oauth.token" else GOOD | told
    except Refused as refused:
        node = refused.node
    return _answer(world, app, params, node, faults)


def _page(world: World, request: Request[Any, Any, Any], params: dict[str, str]) -> ASGIApp:
    """The payer's browser goes on to the cashier of Alipay, or is told what is wrong with the merchant's request."""
    try:
        call = _called(world, world.store.app(params.get("app_id", "")), params, {})
        placed = _PAGES[params["method"]](world, call)
    except Refused as refused:
        shown = page(request, "alipay_error.html", says=refused.node["sub_code"])
        headers = [("Content-Type", "text/html; charset=utf-8"), *shown.headers.items()]
        return Answer(200, shown.content.encode(), headers, faults={}, stopping=world.stopping)
    # Only the path: the page may be seen through another host name than the process knows.
    where = "/alipay/cashier?" + urlencode({"code": placed.code})
    return Answer(303, b"", [("Location", where)], faults={}, stopping=world.stopping)


def app_order(world: World, order: str) -> Trade:
    """What the SDK in a merchant's app does with the order string that it was handed. Raises Refused."""
    params = _read(b"", order.encode())
    if params.get("method") != "alipay.trade.app.pay":
        raise Refused("40002", "isv.invalid-method", "不存在的方法名")
    return opening.app(world, _called(world, world.store.app(params.get("app_id", "")), params, {}))


@get("/alipay/cashier")
async def cashier(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[str]:
    """What a payer sees in a browser before logging in: until then Alipay knows of no trade."""
    placed = world.store.trade_by_code(str(request.query_params.get("code", "")))
    if placed is None or placed.channel != "alipay":
        return page(request, "alipay_error.html", status_code=404, says="ACQ.TRADE_NOT_EXIST")
    back = str(placed.echo.get("return_url", ""))
    phone = "/phone?" + urlencode({"code": placed.code, "lang": language(request)} | ({"return": back} if back else {}))
    return page(request, "alipay_cashier.html", trade=placed, payee=placed.echo["seller_id"], phone=phone)


def _read(query: bytes, form: bytes) -> dict[str, str]:
    """All parameters, decoded by the charset that they themselves name; the form wins over the address."""
    raw = query + b"&" + form
    named = dict(parse_qsl(raw.decode("latin-1"))).get("charset", "utf-8").lower()
    charset = named if named in _CHARSETS else "utf-8"
    pairs = parse_qsl(raw.decode(charset, "replace"), keep_blank_values=True, encoding=charset, errors="replace")
    return dict(pairs)


def _called(world: World, app: App | None, params: Mapping[str, str], faults: Mapping[FaultName, Any]) -> Call:
    """Checks a call in the order in which the gateway complains."""
    for name, (code, text) in _MISSING.items():
        if not params.get(name):
            raise Refused("40001", code, text)
    if app is None:
        raise Refused("40002", "isv.invalid-app-id", "无效的AppID参数")
    _check_form(params)
    _check_certificates(world, app, params)
    signed = "&".join(f"{name}={value}" for name, value in sorted(params.items()) if value and name != "sign")
    charset = params.get("charset", "utf-8")
    if not verified(public_key(app.public_key), signed.encode(charset, "replace"), params["sign"]):
        shown = signed.replace("&", "&amp;").replace('"', "&quot;")
        text = f"验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配，网关生成的验签字符串为：{shown}"
        raise Refused("40002", "isv.invalid-signature", text)
    if params["method"] not in _METHODS and params["method"] not in _PAGES:
        raise Refused("40002", "isv.invalid-method", "不存在的方法名")
    return Call(app, _business(params), params, faults, _merchant(app, params))


def _perform(
    world: World, app: App | None, params: Mapping[str, str], faults: Mapping[FaultName, Any]
) -> dict[str, Any]:
    """Hands a call to its method, unless a fault comes between."""
    call = _called(world, app, params, faults)
    if params["method"] not in _METHODS:
        raise Refused("40002", "isv.invalid-method", "不存在的方法名")
    if "rate_limited" in faults:
        raise Refused("40005", "isv.app-call-limited", "应用调用次数超限")
    if "lost" in faults:
        raise Refused("20000", "isp.unknow-error", "系统繁忙")
    _, method = _METHODS[params["method"]]
    told = method(world, call)
    if "system_error" in faults:
        # The work is done and the merchant is told otherwise: an outcome it cannot know.
        raise Refused("20000", "isp.unknow-error", "系统繁忙")
    return told


def _check_form(params: Mapping[str, str]) -> None:
    checks = (
        (params.get("format", "json").lower() == "json", "isv.invalid-format", "无效的数据格式"),
        (params.get("charset", "utf-8").lower() in _CHARSETS, "isv.invalid-charset", "非法的编码格式"),
        (params["sign_type"] == "RSA2", "isv.invalid-signature-type", "无效的签名类型"),
        (beijing_moment(params["timestamp"]) is not None, "isv.invalid-timestamp", "非法的时间戳参数"),
        (params["version"] == "1.0", "isv.invalid-version", "无效的版本参数"),
    )
    for good, code, text in checks:
        if not good:
            raise Refused("40002", code, text)


def _check_certificates(world: World, app: App, params: Mapping[str, str]) -> None:
    """An application is in one mode: with certificates it names its own and the root on each call; without, it may not
    spend money (支付宝「资金支出类接口」: 公钥证书)."""
    if not app.certificate:
        if params["method"] in _CERTIFIED:
            raise Refused("40002", "isv.missing-app-cert-sn", "缺少应用公钥证书序列号")
        return
    for name in ("app_cert_sn", "alipay_root_cert_sn"):
        if not params.get(name):
            raise Refused("40001", f"isv.missing-{name.replace('_', '-')}", f"缺少{name}参数")
    if params["app_cert_sn"] != serial(read(app.certificate)):
        raise Refused("40002", "isv.app-cert-not-exist", "应用公钥证书不存在")
    if params["alipay_root_cert_sn"] != world.authority.root_serial:
        raise Refused("40002", "isv.invalid-alipay-root-cert-sn", "支付宝根证书序列号错误")


def _merchant(app: App, params: Mapping[str, str]) -> Authorised | None:
    token = params.get("app_auth_token")
    if token and token not in app.merchants:
        raise Refused("20001", "aop.invalid-app-auth-token", "无效的应用授权令牌")
    return app.merchants[token] if token else None


def _business(params: Mapping[str, str]) -> dict[str, Any]:
    # Numbers are kept as they are written: 88.88 must not pass through binary fractions.
    content = json_object(params.get("biz_content") or "{}", parse_float=str)
    if content is None:
        raise Refused("40002", "isv.invalid-parameter", "参数无效：biz_content不是JSON对象")
    return content


def _answer(
    world: World, app: App | None, params: Mapping[str, str], node: dict[str, Any], faults: dict[FaultName, Any]
) -> ASGIApp:
    """Signs exactly the text between the braces; to an app it does not know the gateway signs nothing."""
    charset = params.get("charset", "utf-8").lower()
    charset = charset if charset in _CHARSETS else "utf-8"
    # The gateway escapes slashes, and signs them escaped.
    text = json.dumps(node, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
    raw = text.encode(charset, "replace")
    name = params["method"].replace(".", "_") + "_response" if params.get("method") else "error_response"
    known = params.get("method") in _METHODS
    if params.get("method") == "alipay.system.oauth.token":
        known = "code" not in node  # its refusals come under the common name
    name = name if known else "error_response"
    body = f'{{"{name}":'.encode() + raw
    if app and "unsigned" not in faults:
        key, serial_ = signer(world.store, world.keys, world.authority, app)
        body += f',"alipay_cert_sn":"{serial_}"'.encode() if serial_ else b""
        body += f',"sign":"{sign(key, raw + b" " if "bad_signature" in faults else raw)}"'.encode()
    headers = [("Content-Type", f"text/html;charset={charset}")]
    return Answer(200, body + b"}", headers, faults=faults, stopping=world.stopping)


@get("/phone/alipay/code")
async def show_code(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[str]:
    """The bar code that a payer shows at the counter; `payer` says what happens when it is scanned."""
    wallets: dict[str, Wallet] = {"pays": "pays", "asks": "asks", "poor": "poor"}
    code = payer.show_code(world, "alipay", wallets.get(str(request.query_params.get("payer", "")), "pays"))
    waiting = [
        one
        for one in world.store.trades("alipay")
        if one.echo.get("method") == "alipay.trade.pay" and one.state == "waiting" and not one.refused_at
    ]
    return page(request, "wallet.html", channel="alipay", code=code, waiting=waiting, ways=list(wallets))


handlers = [gateway, cashier, show_code, *bills.handlers]
