"""Transfers to an Alipay account (支付宝「单笔转账」): alipay.fund.trans.uni.transfer and its query."""

from typing import Any, Literal, NamedTuple

import msgspec

from sandbox.alipay.calls import Call, Refused, business
from sandbox.wire import beijing, day_digits, digits, fen, yuan
from sandbox.world import World

State = Literal["SUCCESS", "DEALING", "FAIL", "REFUND"]
_PRODUCT, _SCENE = "TRANS_ACCOUNT_NO_PWD", "DIRECT_TRANSFER"
_KINDS = ("ALIPAY_USER_ID", "ALIPAY_LOGON_ID", "ALIPAY_OPEN_ID")
_LEAST = 10  # fen
_BOUNCES_AFTER = 1.0  # seconds, unless the fault says otherwise
_SAME = ("amount", "identity", "kind", "name", "title")


class Transfer(msgspec.Struct):
    """One 转账单. `ends` is what becomes of it at its next step."""

    account: str
    seller_id: str
    number: str
    id: str
    fund_id: str
    amount: int
    identity: str
    kind: str
    name: str
    title: str
    made_at: float
    changed_at: float
    state: State = "SUCCESS"
    ends: State = "SUCCESS"
    reason: str = ""


class Flow(NamedTuple):
    """What a transfer moved in the payer's account, signed fen."""

    at: float
    transfer: Transfer
    amount: int


def transfer(world: World, call: Call) -> dict[str, Any]:
    """The number decides: a repetition answers what became of the first."""
    asked = _asked(world, call)
    key = _key(asked.account, asked.number)
    known = world.store.thing("alipay_transfer", key, Transfer)
    if known is not None:
        if any(getattr(known, name) != getattr(asked, name) for name in _SAME):
            raise business("PAYMENT_INFO_INCONSISTENCY", "两次请求商户单号一样，但是参数不一致")
        return _told(known)
    if "funds_short" in call.faults:
        raise business("PAYER_BALANCE_NOT_ENOUGH", "付款方余额不足")
    if "transfer_refused" in call.faults:
        raise business("PAYEE_USER_INFO_ERROR", "支付宝账号和姓名不匹配，请确认姓名是否正确")
    due = None
    if bounces := call.faults.get("transfer_bounces"):
        asked.ends, due = "REFUND", asked.made_at + (bounces.seconds or _BOUNCES_AFTER)
    if late := call.faults.get("transfer_waits") or call.faults.get("transfer_fails"):
        asked.state, due = "DEALING", asked.made_at + late.seconds
        asked.ends = "FAIL" if "transfer_fails" in call.faults else "SUCCESS"
    world.store.put("alipay_transfer", key, asked, due=due)
    return _told(asked)


def query(world: World, call: Call) -> dict[str, Any]:
    """By the number of either side; the merchant's own only together with product and scene."""
    number, id_ = call.text("out_biz_no"), call.text("order_id")
    if id_:
        known = world.store.things("alipay_transfer", Transfer)
        found = next((one for one in known if (one.account, one.id) == (call.app.app_id, id_)), None)
    elif number and (call.text("product_code"), call.text("biz_scene")) == (_PRODUCT, _SCENE):
        found = world.store.thing("alipay_transfer", _key(call.app.app_id, number), Transfer)
    else:
        raise _invalid("out_biz_no")
    if found is None:
        raise business("ORDER_NOT_EXIST", "转账订单不存在")
    amount = found.amount + 1 if "wrong_amount" in call.faults else found.amount
    told = {
        "out_biz_no": found.number,
        "order_id": found.id,
        "pay_fund_order_id": found.fund_id,
        "status": found.state,
        "trans_amount": yuan(amount),
        "order_fee": "0.00",
    }
    if found.state in ("SUCCESS", "REFUND"):
        told["pay_date"] = beijing(found.made_at)
    if found.state in ("FAIL", "REFUND"):
        told["fail_reason"] = found.reason
    if found.state == "FAIL":
        told["error_code"] = "PAYEE_ACCOUNT_STATUS_ERROR"
    return told


def advance(world: World) -> None:
    """What is under way comes to its end, and what bounces comes back."""
    for one in world.store.things_due("alipay_transfer", Transfer, world.now()):
        one.state, one.changed_at = one.ends, world.now()
        one.reason = {"FAIL": "收款账户异常", "REFUND": "收款账户异常，资金已退回"}.get(one.state, "")
        world.store.put("alipay_transfer", _key(one.account, one.number), one)


def flows(world: World, account: str) -> list[Flow]:
    """Debited when it is made, given back when it fails or bounces."""
    moved = []
    for one in world.store.things("alipay_transfer", Transfer):
        if one.account == account:
            moved.append(Flow(one.made_at, one, -one.amount))
            if one.state in ("FAIL", "REFUND"):
                moved.append(Flow(one.changed_at, one, one.amount))
    return sorted(moved, key=lambda flow: flow.at)


def _asked(world: World, call: Call) -> Transfer:
    number, amount = call.text("out_biz_no"), fen(call.text("trans_amount"))
    if not number or len(number) > 64:
        raise _invalid("out_biz_no")
    if (call.text("product_code"), call.text("biz_scene")) != (_PRODUCT, _SCENE):
        raise _invalid("product_code")
    if not call.text("order_title"):
        raise _invalid("order_title")
    payee = call.asked.get("payee_info")
    payee = payee if isinstance(payee, dict) else {}
    kind, identity, name = (str(payee.get(part) or "") for part in ("identity_type", "identity", "name"))
    if kind not in _KINDS or not identity or (kind == "ALIPAY_LOGON_ID" and not name):
        raise _invalid("payee_info")
    if amount is None:
        raise _invalid("trans_amount")
    if amount < _LEAST:
        raise business("EXCEED_LIMIT_SM_MIN_AMOUNT", "单笔最低转账金额0.1元")
    if call.merchant:
        raise Refused("40006", "isv.insufficient-isv-permissions", "ISV权限不足")
    now = world.now()
    return Transfer(
        account=call.app.app_id,
        seller_id=call.seller_id,
        number=number,
        id=f"{day_digits(now)}110070000006{digits(12)}",
        fund_id=f"{day_digits(now)}110070001506{digits(12)}",
        amount=amount,
        identity=identity,
        kind=kind,
        name=name,
        title=call.text("order_title"),
        made_at=now,
        changed_at=now,
    )


def _told(one: Transfer) -> dict[str, Any]:
    told = {"out_biz_no": one.number, "order_id": one.id, "status": one.state}
    if one.state != "DEALING":
        told |= {"pay_fund_order_id": one.fund_id, "trans_date": beijing(one.made_at)}
    return told


def _invalid(name: str) -> Refused:
    return business("INVALID_PARAMETER", f"参数有误：{name}")


def _key(account: str, number: str) -> str:
    return f"{account} {number}"
