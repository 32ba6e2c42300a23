"""Profit sharing of API v3 (微信支付分账「添加分账接收方」「请求分账」「解冻剩余资金」「查询剩余待分金额」)."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from sandbox.model import Share, SharePart, ShareReturn, Trade
from sandbox.wechat.orders import Call, Refused, parameter, text
from sandbox.wechat.sensitive import plain
from sandbox.wire import day_digits, digits, rfc3339
from sandbox.world import World

_NUMBER = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}")
_TYPES = ("MERCHANT_ID", "PERSONAL_OPENID", "PERSONAL_SUB_OPENID")
_RELATIONS = (
    "SERVICE_PROVIDER", "STORE", "STAFF", "STORE_OWNER", "PARTNER", "HEADQUARTER", "BRAND", "DISTRIBUTOR", "USER",
    "SUPPLIER", "CUSTOM",
)  # fmt: skip
_MOST_RATIO = 3000  # of ten thousand
_MOST_RECEIVERS = _MOST_REQUESTS = 50


class Receiver(msgspec.Struct, frozen=True):
    """Somebody with whom a merchant may share."""

    type: str
    account: str
    relation_type: str
    name: str = ""


class Place(msgspec.Struct, frozen=True):
    """Where a share or a return is found by its number."""

    trade: str


# ── Receivers ────────────────────────────────────────────────────────────────────────────────────────────────────────


def add_receiver(world: World, call: Call) -> tuple[int, Any]:
    """Adding one again changes nothing. A merchant's full name is required; names come encrypted."""
    kind, account, relation = _kind(call.body), text(call, "account"), text(call, "relation_type")
    if relation not in _RELATIONS:
        raise parameter("/relation_type", relation, "与分账方的关系类型不正确")
    if relation == "CUSTOM" and not call.body.get("custom_relation"):
        raise parameter("/custom_relation", None, "自定义的分账关系必填")
    _check_app(call, needed=True)
    name = plain(world, call, "/name", call.body["name"]) if call.body.get("name") is not None else ""
    if kind == "MERCHANT_ID" and not name:
        raise parameter("/name", None, "分账接收方类型是MERCHANT_ID时，商户全称必填")
    world.store.put("receiver", _key(call, account), Receiver(kind, account, relation, name))
    names = ("sub_mchid", "type", "account", "name", "relation_type", "custom_relation")
    return 200, {name: call.body[name] for name in names if name in call.body}


def delete_receiver(world: World, call: Call) -> tuple[int, Any]:
    """Of one that was never added it says the same."""
    kind, account = _kind(call.body), text(call, "account")
    _check_app(call, needed=True)
    world.store.put("receiver", _key(call, account), Receiver(kind, account, ""))
    return 200, {name: call.body[name] for name in ("sub_mchid", "type", "account") if name in call.body}


# ── Shares ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def share(world: World, call: Call) -> tuple[int, Any]:
    """Taken now and done later, each receiver for itself. The number decides: again it is the same share."""
    number, trade = number_of(call, "out_order_no"), _trade(world, call, text(call, "transaction_id"))
    unfreezes, parts = call.body.get("unfreeze_unsplit"), _parts(world, call)
    if not isinstance(unfreezes, bool):
        raise parameter("/unfreeze_unsplit", unfreezes, "是否解冻剩余未分资金必填")
    asked = json.dumps([[one.type, one.account, one.amount, one.description] for one in parts])
    if known := _known(world, call, number, trade, asked):
        return 200, _told(world, trade, known)
    _check(trade, sum(part.amount for part in parts))
    for part in parts:
        receiver = world.store.thing("receiver", _key(call, part.account), Receiver)
        if receiver is None or not receiver.relation_type:
            part.fault = "NO_RELATION"
    if "share_refused" in call.faults:
        parts[-1].fault = "ACCOUNT_ABNORMAL"
    made = _make(world, trade, number, parts, asked=asked)
    if unfreezes:
        _unfreeze(world, call, trade, f"{number}-rest")
    return 200, _told(world, trade, made)


def query(world: World, call: Call) -> tuple[int, Any]:
    """「查询分账结果」, of an unfreezing too."""
    trade = _trade(world, call, str(call.query.get("transaction_id") or ""), where="query")
    number = call.path.get("number") or ""
    known = next((one for one in trade.shares if one.number == number), None)
    if known is None:
        raise Refused(404, "RESOURCE_NOT_EXISTS", "记录不存在")
    return 200, _told(world, trade, known)


def unfreeze(world: World, call: Call) -> tuple[int, Any]:
    """「解冻剩余资金」: what nobody got goes to the merchant, and the order can be shared no more."""
    number, trade = number_of(call, "out_order_no"), _trade(world, call, text(call, "transaction_id"))
    text(call, "description")
    known = next((one for one in trade.shares if one.number == number), None)
    if known is None:
        _check(trade, 0)
        known = _unfreeze(world, call, trade, number)
    return 200, _told(world, trade, known)


def left(world: World, call: Call) -> tuple[int, Any]:
    """「查询剩余待分金额」."""
    trade = world.store.trade_by_transaction("wechat", call.merchant.mchid, call.path.get("transaction") or "")
    if trade is None or not trade.payments:
        raise Refused(404, "RESOURCE_NOT_EXISTS", "订单不存在")
    return 200, {"transaction_id": trade.payments[0].transaction, "unsplit_amount": _left(trade)}


def most(world: World, call: Call) -> tuple[int, Any]:
    """「查询最大分账比例」 of a sub-merchant, in ten-thousandths."""
    del world
    return 200, {"sub_mchid": call.path.get("sub_mchid"), "max_ratio": _MOST_RATIO}


def flows(world: World, mchid: str) -> Iterator[tuple[float, str, SharePart | ShareReturn, int, str]]:
    """What went out of this merchant's account by shares, came into it and came back: moment, words, what, amount."""
    now = world.now()
    for trade in world.store.trades("wechat"):
        payer = trade.echo["parties"].get("sub_mchid") or trade.account
        moved: list[tuple[float, str, SharePart | ShareReturn, int, str]] = [
            (share.done_at, "分账", part, -part.amount, share.number)
            for share in trade.shares
            for part in share.parts
            if not share.finishes
        ]
        moved += [(back.done_at, "分账回退", back, back.amount, back.number) for back in trade.share_returns]
        for at, words, what, amount, number in moved:
            for end, sign in ((payer, 1), (what.account, -1)):
                if end == mchid and not what.fault and at <= now:
                    yield at, words, what, sign * amount, number


# ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _key(call: Call, account: str) -> str:
    """Receivers belong to the merchant, under a provider to one sub-merchant."""
    return f"{call.merchant.mchid} {call.body.get('sub_mchid', '')} {account}"


def _kind(given: Any) -> str:
    kind = given.get("type")
    if kind not in _TYPES:
        raise parameter("/type", kind, "分账接收方类型不正确")
    return str(kind)


def number_of(call: Call, name: str) -> str:
    number = text(call, name)
    if not _NUMBER.fullmatch(number):
        raise parameter(f"/{name}", number, "单号只能是数字、大小写字母_-|*@，1到64个字符")
    return number


def _check_app(call: Call, *, needed: bool) -> None:
    appid = call.body.get("appid")
    if appid is None and not needed:
        return
    if appid not in (call.merchant.appid, *call.merchant.secrets):
        raise Refused(400, "INVALID_REQUEST", "appid与mchid不匹配")


def _trade(world: World, call: Call, transaction: str, *, where: str = "body") -> Trade:
    source = call.body if where == "body" else call.query
    trade = world.store.trade_by_transaction("wechat", call.merchant.mchid, transaction)
    if trade is None or not trade.payments or trade.echo["parties"].get("sub_mchid") != source.get("sub_mchid"):
        raise Refused(404, "RESOURCE_NOT_EXISTS", "订单不存在")
    return trade


def _parts(world: World, call: Call) -> list[SharePart]:
    given = call.body.get("receivers")
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST_RECEIVERS:
        raise parameter("/receivers", None, "分账接收方列表应有1到50个接收方")
    parts = []
    for place, one in enumerate(given):
        where = f"/receivers/{place}"
        if not isinstance(one, dict) or not isinstance(one.get("account"), str):
            raise parameter(f"{where}/account", None, "分账接收方账号必填")
        kind, amount, description = _kind(one), one.get("amount"), one.get("description")
        if type(amount) is not int or amount < 1:
            raise parameter(f"{where}/amount", amount, "分账金额应为大于0的整数，单位为分")
        if not isinstance(description, str) or not 0 < len(description) <= 80:
            raise parameter(f"{where}/description", description, "分账描述必填，不能超过80个字符")
        if kind == "PERSONAL_OPENID":
            _check_app(call, needed=True)
        if one.get("name") is not None:
            plain(world, call, f"{where}/name", one["name"])
        parts.append(SharePart(kind, one["account"], amount, description, f"3601{digits(24)}"))
    if len({part.account for part in parts}) != len(parts):
        raise refused("分账接收方重复")
    return parts


def _known(world: World, call: Call, number: str, trade: Trade, asked: str) -> Share | None:
    place = world.store.thing("share", f"{call.merchant.mchid} {number}", Place)
    if place is None:
        return None
    known = next((one for one in trade.shares if one.number == number), None)
    if known is None or known.asked != asked:
        raise refused("请求参数与之前的分账请求不一致")
    return known


def _left(trade: Trade) -> int:
    if trade.unfrozen or not trade.echo.get("profit_sharing"):
        return 0
    return max(trade.payments[0].received - trade.shared_amount - trade.refunded_amount, 0)


def _check(trade: Trade, amount: int) -> None:
    if not trade.echo.get("profit_sharing"):
        raise refused("非分账订单不支持分账")
    if trade.unfrozen:
        raise refused("分账订单已完结，不支持再次分账")
    if len(trade.shares) >= _MOST_REQUESTS:
        raise refused("同一订单最多发起50次分账")
    if amount > _left(trade):
        raise Refused(403, "NOT_ENOUGH", "分账金额不足")
    if trade.shared_amount + amount > trade.payments[0].amount * _MOST_RATIO // 10_000:
        raise Refused(403, "RULE_LIMIT", "分账金额超过最大分账比例")


def _make(
    world: World, trade: Trade, number: str, parts: list[SharePart], *, asked: str, finishes: bool = False
) -> Share:
    now = world.now()
    made = Share(
        number=number,
        id=f"3008{digits(6)}{day_digits(now)}{digits(10)}",
        made_at=now,
        done_at=now + world.store.settings().share_seconds,
        parts=parts,
        finishes=finishes,
        asked=asked,
    )
    trade.shares.append(made)
    world.store.save_trade(trade)
    world.store.put("share", f"{trade.account} {number}", Place(trade.number))
    return made


def _unfreeze(world: World, call: Call, trade: Trade, number: str) -> Share:
    payee = trade.echo["parties"].get("sub_mchid") or call.merchant.mchid
    rest = SharePart("MERCHANT_ID", payee, _left(trade), "解冻给分账方", f"3601{digits(24)}")
    return _make(world, trade, number, [rest], asked="unfreeze", finishes=True)


def _told(world: World, trade: Trade, one: Share) -> dict[str, Any]:
    done = world.now() >= one.done_at
    result = {True: "CLOSED", False: "SUCCESS"}
    return {
        **sub_merchant(trade),
        "transaction_id": trade.payments[0].transaction,
        "out_order_no": one.number,
        "order_id": one.id,
        "state": "FINISHED" if done else "PROCESSING",
        "receivers": [
            {
                "amount": part.amount,
                "description": part.description,
                "type": part.type,
                "account": part.account,
                "result": result[bool(part.fault)] if done else "PENDING",
                **({"fail_reason": part.fault} if done and part.fault else {}),
                "create_time": rfc3339(one.made_at),
                "finish_time": rfc3339(one.done_at if done else 0),
                "detail_id": part.id,
            }
            for part in one.parts
        ],
    }


def sub_merchant(trade: Trade) -> dict[str, str]:
    sub_mchid = trade.echo["parties"].get("sub_mchid")
    return {"sub_mchid": sub_mchid} if sub_mchid else {}


def refused(message: str) -> Refused:
    return Refused(400, "INVALID_REQUEST", message)


_SHARING = r"/v3/profitsharing"
INTERFACES: list[tuple[str, re.Pattern[str], str, Callable[[World, Call], tuple[int, Any]]]] = [
    ("POST", re.compile(f"{_SHARING}/receivers/add"), "receiver", add_receiver),
    ("POST", re.compile(f"{_SHARING}/receivers/delete"), "receiver", delete_receiver),
    ("POST", re.compile(f"{_SHARING}/orders"), "share", share),
    ("POST", re.compile(f"{_SHARING}/orders/unfreeze"), "share_finish", unfreeze),
    ("GET", re.compile(_SHARING + r"/orders/(?P<number>[^/]+)"), "share_query", query),
    ("GET", re.compile(_SHARING + r"/transactions/(?P<transaction>[^/]+)/amounts"), "share_left", left),
    ("GET", re.compile(_SHARING + r"/merchant-configs/(?P<sub_mchid>[^/]+)"), "share_left", most),
]
