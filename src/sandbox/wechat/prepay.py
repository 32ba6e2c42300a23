"""Placing an order of API v3 (微信支付「Native下单」「JSAPI/小程序下单」「APP下单」「H5下单」)."""

import secrets
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sandbox.model import Trade
from sandbox.wechat.identity import Payer
from sandbox.wechat.orders import Call, Refused, check_open, parameter, text, wanted
from sandbox.wire import BEIJING, digits
from sandbox.world import World

_CODE_LIFE = 2 * 3600.0
_H5_LIFE = 5 * 60.0
_H5_TYPES = ("Wap", "iOS", "Android")


def native(world: World, call: Call) -> tuple[int, Any]:
    """A code to scan."""
    code = f"weixin://wxpay/bizpayurl?pr={secrets.token_urlsafe(6)}zz"
    return 200, {"code_url": _placed(world, wanted(call, world.now(), "NATIVE", code, _CODE_LIFE)).code}


def jsapi(world: World, call: Call) -> tuple[int, Any]:
    """For a payer who is known, inside WeChat: an official account's page or a mini-program."""
    order = wanted(call, world.now(), "JSAPI", _prepay_id(), _CODE_LIFE)
    order.echo["payer"] = _payer(world, call)
    order.fingerprint += repr(order.echo["payer"])
    return 200, {"prepay_id": _placed(world, order).code}


def app(world: World, call: Call) -> tuple[int, Any]:
    """For the open platform's SDK in the merchant's own app."""
    return 200, {"prepay_id": _placed(world, wanted(call, world.now(), "APP", _prepay_id(), _CODE_LIFE)).code}


def h5(world: World, call: Call) -> tuple[int, Any]:
    """For a browser outside WeChat, which is sent to `h5_url`."""
    order = wanted(call, world.now(), "MWEB", _prepay_id(), _H5_LIFE)
    scene = call.body.get("scene_info")
    if not isinstance(scene, dict):
        raise parameter("/scene_info", scene, "输入源“/body/scene_info”映射到值字段“场景信息”规则校验失败，值缺失")
    address, info = scene.get("payer_client_ip"), scene.get("h5_info")
    if not isinstance(address, str) or not 0 < len(address) <= 45:
        raise parameter("/scene_info/payer_client_ip", address, "用户终端IP不正确")
    if not isinstance(info, dict) or info.get("type") not in _H5_TYPES:
        raise parameter("/scene_info/h5_info/type", info, "场景类型应为Wap、iOS或Android")
    placed = _placed(world, order)
    page = f"{world.public_url}/cgi-bin/mmpayweb-bin/checkmweb"
    return 200, {"h5_url": f"{page}?prepay_id={placed.code}&package={placed.echo['package']}"}


def _placed(world: World, order: Trade) -> Trade:
    """The same order again before its end is the same order; its way to pay is renewed when that has expired."""
    now = world.now()
    known = world.store.trade("wechat", order.account, order.number)
    if known:
        check_open(known)
        ended = known.deadline is not None and now > known.deadline
        if known.fingerprint != order.fingerprint or ended:
            raise Refused(403, "OUT_TRADE_NO_USED", "商户订单号重复")
        if now <= known.code_expires_at:
            return known
        known.code, known.code_expires_at = order.code, order.code_expires_at
        order = known
    order.echo.setdefault("package", digits(10))
    world.store.save_trade(order)
    return order


def _payer(world: World, call: Call) -> dict[str, str]:
    """The openid, which belongs to one of the apps in the request."""
    given = call.body.get("payer")
    names = {"sp_openid": "sp_appid", "sub_openid": "sub_appid"} if call.partner else {"openid": "appid"}
    named = {name: given[name] for name in names if given.get(name)} if isinstance(given, dict) else {}
    if len(named) != 1 or not all(isinstance(one, str) and len(one) <= 128 for one in named.values()):
        raise parameter("/payer", given, f"payer下的{'、'.join(names)}必填其一")
    ((name, openid),) = named.items()
    app_id = text(call, names[name])
    known = world.store.thing("openid", openid, Payer)
    if known and known.appid != app_id:
        raise Refused(400, "PARAM_ERROR", "openid与appid不匹配", {"field": f"/payer/{name}", "location": "body"})
    return named


def _prepay_id() -> str:
    stamp = datetime.fromtimestamp(time.time(), BEIJING).strftime("%Y%m%d%H%M%S")
    return f"wx{stamp}{secrets.token_hex(10)}"


PLACING: dict[str, Callable[[World, Call], tuple[int, Any]]] = {"native": native, "jsapi": jsapi, "app": app, "h5": h5}
