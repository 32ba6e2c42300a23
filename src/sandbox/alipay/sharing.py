"""商家分账: relations (「分账关系绑定」), 「统一收单交易结算」 and its query, and shares that go back with a refund."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from sandbox.alipay import trade as trades
from sandbox.alipay.calls import Call, Refused, business, parameter
from sandbox.model import Share, SharePart, ShareReturn, Trade
from sandbox.wire import beijing, digits, fen, yuan
from sandbox.world import World

_TYPES = ("userId", "loginName", "openId")
_MOST_PERCENT = 30  # of the order, unless another is agreed
_MOST_AT_ONCE = 5  # receivers of one synchronous request
_FROZEN_SECONDS = 30 * 86400.0


class Relation(msgspec.Struct, frozen=True):
    """Somebody with whom a seller may share."""

    type: str
    account: str
    name: str = ""
    memo: str = ""


# ── Relations ────────────────────────────────────────────────────────────────────────────────────────────────────────


def bind(world: World, call: Call) -> dict[str, str]:
    """Adds to the seller's relations; who is there already stays."""
    return _change(world, call, add=True)


def unbind(world: World, call: Call) -> dict[str, str]:
    """Takes out of them; who is not there is no failure."""
    return _change(world, call, add=False)


def batch_query(world: World, call: Call) -> dict[str, Any]:
    """The seller's relations, page by page."""
    if not call.text("out_request_no"):
        raise parameter("out_request_no")
    page, size = (int(call.text(name) or default) for name, default in (("page_num", 1), ("page_size", 20)))
    if page < 1 or not 1 <= size <= 100:
        raise parameter("page_size")
    known = list(_relations(world, call).values())
    return {
        "result_code": "SUCCESS",
        "receiver_list": [msgspec.structs.asdict(one) for one in known[(page - 1) * size : page * size]],
        "total_page_num": -(-len(known) // size),
        "total_record_num": len(known),
        "current_page_num": page,
        "current_page_size": size,
    }


def _change(world: World, call: Call, *, add: bool) -> dict[str, str]:
    given = call.asked.get("receiver_list")
    if not call.text("out_request_no"):
        raise parameter("out_request_no")
    if not isinstance(given, list) or not 1 <= len(given) <= 20:
        raise parameter("receiver_list")
    known = _relations(world, call)
    for one in given:
        if not isinstance(one, dict) or one.get("type") not in _TYPES or not one.get("account"):
            raise parameter("receiver_list.account")
        if one["type"] == "userId" and not (str(one["account"]).isdigit() and len(str(one["account"])) == 16):
            raise business("ACQ.USER_NOT_EXIST", "用户不存在")
        if one["type"] == "loginName" and add and not one.get("name"):
            raise parameter("receiver_list.name")
        known.pop(one["account"], None)
        if add:
            texts = {name: str(one.get(name) or "") for name in ("type", "account", "name", "memo")}
            known[one["account"]] = Relation(**texts)
    world.store.put("relations", call.seller_id, known)
    return {"result_code": "SUCCESS"}


def _relations(world: World, call: Call) -> dict[str, Relation]:
    return world.store.thing("relations", call.seller_id, dict[str, Relation]) or {}


# ── Shares ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def settle(world: World, call: Call) -> dict[str, Any]:
    """Without royalty_mode all parts are done while it answers, or none is; with `async` each for itself, later.

    With royalty_finish what nobody got is the seller's own again: without terms it does nothing else.
    """
    trade, number, finishes = trades.existing(world, call), call.text("out_request_no"), _finishes(call)
    mode, parts = call.text("royalty_mode") or "sync", _parts(call, call.asked.get("royalty_parameters") or [])
    if not number or mode not in ("sync", "async"):
        raise parameter("royalty_mode" if number else "out_request_no")
    if not parts and not finishes:
        raise parameter("royalty_parameters")
    asked = json.dumps([mode, finishes, [[one.type, one.account, one.amount] for one in parts]])
    known = next((one for one in trade.shares if one.number == number), None)
    if known is None:
        _check(world, trade, sum(part.amount for part in parts), mode)
        _check_receivers(world, call, parts, mode)
        known = _made(world, trade, number, parts, asked)
    elif known.asked != asked:
        raise business("ACQ.DISCORDANT_REPEAT_REQUEST", "请求信息不一致", trade)
    return {"trade_no": trade.transaction, "settle_no": known.id}


def _check_receivers(world: World, call: Call, parts: list[SharePart], mode: str) -> None:
    relations = _relations(world, call)
    for part in parts:
        if part.account not in relations:
            part.fault = "ROYALTY_RECEIVER_INVALID"
    if "share_refused" in call.faults and parts:
        parts[-1].fault = "TXN_RESULT_ACCOUNT_STATUS_NOT_NORMAL"
    if mode == "sync" and len(parts) > _MOST_AT_ONCE:
        raise parameter("royalty_parameters")
    for part in parts:
        if mode == "sync" and part.fault:
            raise business(f"ACQ.{part.fault}", "分账收入方不存在或状态异常")


def _made(world: World, trade: Trade, number: str, parts: list[SharePart], asked: str) -> Share:
    now, (mode, finishes, _) = world.now(), json.loads(asked)
    made = Share(
        number=number,
        id=f"{beijing(now)[:10].replace('-', '')}002530070036{digits(16)}",
        made_at=now,
        done_at=now + (world.store.settings().share_seconds if mode == "async" else 0),
        parts=parts,
        finishes=finishes and not parts,
        asked=asked,
    )
    trade.shares.append(made)
    trade.echo["royalty_finished"] = trade.echo.get("royalty_finished", False) or finishes
    world.store.save_trade(trade)
    return made


def query(world: World, call: Call) -> dict[str, Any]:
    """By settle_no, or by both the seller's number of the share and the trade's."""
    settle_no, number = call.text("settle_no"), call.text("out_request_no")
    if not settle_no and not (number and call.text("trade_no")):
        raise parameter("settle_no")
    looked = world.store.trades("alipay") if settle_no else [trades.existing(world, call)]
    for trade in looked:
        for one in trade.shares:
            if trade.account == call.app.app_id and (one.id == settle_no if settle_no else one.number == number):
                return _told(world, call, one)
    raise business("ACQ.SETTLE_NOT_EXIST", "分账单不存在")


def _told(world: World, call: Call, one: Share) -> dict[str, Any]:
    done = world.now() >= one.done_at
    details = []
    for part in one.parts:
        ended = "FAIL" if part.fault else "SUCCESS"
        detail = {
            "operation_type": "transfer",
            "trans_out": call.seller_id,
            "trans_out_type": "userId",
            "trans_in": part.account,
            "trans_in_type": part.type,
            "amount": yuan(part.amount),
            "state": ended if done else "PROCESSING",
        }
        if done:
            detail["execute_dt"] = beijing(one.done_at)
        if done and part.fault:
            detail |= {"error_code": part.fault, "error_desc": "分账失败"}
        details.append(detail)
    return {"out_request_no": one.number, "operation_dt": beijing(one.made_at), "royalty_detail_list": details}


def _finishes(call: Call) -> bool:
    extend = call.asked.get("extend_params") or {}
    if not isinstance(extend, dict) or str(extend.get("royalty_finish", "false")) not in ("true", "false"):
        raise parameter("extend_params.royalty_finish")
    return str(extend.get("royalty_finish")) == "true"


def _parts(call: Call, given: Any) -> list[SharePart]:
    if not isinstance(given, list):
        raise parameter("royalty_parameters")
    parts = []
    for one in given:
        amount = fen(str(one.get("amount"))) if isinstance(one, dict) else None
        if not amount or one.get("royalty_type", "transfer") != "transfer":
            raise parameter("royalty_parameters.amount")
        if one.get("trans_in_type") not in _TYPES or not one.get("trans_in"):
            raise parameter("royalty_parameters.trans_in")
        if one.get("trans_out") not in (None, call.seller_id):
            raise parameter("royalty_parameters.trans_out")
        parts.append(SharePart(one["trans_in_type"], str(one["trans_in"]), amount, str(one.get("desc") or "")))
    return parts


def _check(world: World, trade: Trade, amount: int, mode: str) -> None:
    if not trade.payments or trade.refunded or trade.echo.get("finished"):
        raise business("ACQ.TRADE_STATUS_ERROR", "交易状态不合法", trade)
    if trade.echo.get("royalty_finished"):
        raise business("ACQ.ROYALTY_FINISHED", "该交易分账已完结", trade)
    frozen = (trade.echo.get("extend_params") or {}).get("royalty_freeze") == "true"
    if frozen and world.now() > trade.payments[0].paid_at + _FROZEN_SECONDS:
        raise business("ACQ.ROYALTY_FINISHED", "冻结资金已自动解冻", trade)
    if {mode} != {json.loads(one.asked)[0] for one in trade.shares if not one.finishes} | {mode}:
        raise business("ACQ.TRADE_SETTLE_ERROR", "同步分账和异步分账不能混用", trade)
    most = trade.amount * _MOST_PERCENT // 100
    left = trade.payments[0].received - trade.refunded_amount - trade.shared_amount
    if trade.shared_amount + amount > most or amount > left:
        raise business("ACQ.ALLOC_AMOUNT_VALIDATE_ERROR", "分账金额超过最大可分账金额", trade)


# ── With a refund ────────────────────────────────────────────────────────────────────────────────────────────────────


def returns(world: World, call: Call, trade: Trade, number: str) -> list[ShareReturn]:
    """What receivers give back with this refund (refund_royalty_parameters): all of it, or there is no refund."""
    given, now = call.asked.get("refund_royalty_parameters") or [], world.now()
    if not isinstance(given, list):
        raise parameter("refund_royalty_parameters")
    made: list[ShareReturn] = []
    for one in given:
        amount = fen(str(one.get("amount"))) if isinstance(one, dict) else None
        account = str(one.get("trans_out") or "") if isinstance(one, dict) else ""
        if not amount or not account:
            raise parameter("refund_royalty_parameters")
        got = sum(
            part.amount
            for share in trade.shares
            for part in share.parts
            if part.account == account and not part.fault and share.done_at <= now
        )
        back = sum(each.amount for each in [*trade.share_returns, *made] if each.account == account)
        if back + amount > got:
            raise Refused("40004", "ACQ.REFUND_ROYALTY_AMOUNT_ERROR", "退分账金额超过已分账金额")
        if "return_refused" in call.faults:
            raise business("ACQ.SELLER_BALANCE_NOT_ENOUGH", "分账收入方余额不足", trade)
        made.append(ShareReturn(number, digits(28), "", account, amount, now, now, str(one.get("desc") or "")))
    return made


def returned(trade: Trade, number: str) -> dict[str, Any]:
    """What went back with this refund, as answers and queries tell it."""
    found = [
        {
            "refund_amount": yuan(one.amount),
            "royalty_type": "transfer",
            "result_code": "SUCCESS",
            "trans_out": one.account,
            "trans_in": trade.echo["seller_id"],
        }
        for one in trade.share_returns
        if one.number == number
    ]
    return {"refund_royaltys": found} if found else {}


def flows(world: World, seller_id: str) -> Iterator[tuple[float, Trade, str, int]]:
    """What went out of this account by shares, came into it and came back: moment, trade, the other end, amount."""
    now = world.now()
    for trade in world.store.trades("alipay"):
        payer = trade.echo.get("seller_id", "")
        moved = [(one.done_at, part.account, -part.amount, part.fault) for one in trade.shares for part in one.parts]
        moved += [(back.done_at, back.account, back.amount, back.fault) for back in trade.share_returns]
        for at, account, amount, fault in moved:
            for end, other, sign in ((payer, account, 1), (account, payer, -1)):
                if end == seller_id and not fault and at <= now:
                    yield at, trade, other, sign * amount
