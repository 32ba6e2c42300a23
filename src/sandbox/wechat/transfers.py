"""Transfers to a user who confirms them (微信支付「商家转账」: 发起转账, 查询, 撤销, 商家转账回调通知).

https://pay.weixin.qq.com/doc/v3/merchant/4012716434, 4012716437, 4012716458.
"""

import re
import secrets
import time
import uuid
from typing import Any, Literal, NamedTuple

import msgspec

from sandbox.keys import hide, public_key, uncover
from sandbox.model import Notice
from sandbox.wechat.orders import Call, Refused, parameter, text
from sandbox.wechat.signing import signers
from sandbox.wire import day_digits, digits, rfc3339
from sandbox.world import World

State = Literal[
    "ACCEPTED", "PROCESSING", "WAIT_USER_CONFIRM", "TRANSFERING", "SUCCESS", "FAIL", "CANCELING", "CANCELLED"
]
FINAL: tuple[State, ...] = ("SUCCESS", "FAIL", "CANCELLED")
_NUMBER = re.compile(r"[0-9A-Za-z]{1,32}")
_TO_CONFIRM = 86400.0
_LEAST, _NAMED_FROM, _MUST_BE_NAMED_FROM = 10, 30, 200_000  # fen
_SAME = ("appid", "openid", "amount", "remark", "user_name", "scene")


class Bill(msgspec.Struct):
    """One 商家转账单. `ends` is what becomes of it once its payee has confirmed."""

    mchid: str
    appid: str
    number: str
    id: str
    openid: str
    amount: int
    remark: str
    scene: str
    notify_url: str
    made_at: float
    changed_at: float
    user_name: str = ""
    state: State = "WAIT_USER_CONFIRM"
    package_info: str = ""
    fail_reason: str = ""
    ends: State = "SUCCESS"


class Flow(NamedTuple):
    """What a transfer moved in the merchant's 运营账户, signed fen."""

    at: float
    bill: Bill
    amount: int


class NotThereError(Exception):
    """Nothing that its payee could confirm."""


def create(world: World, call: Call) -> tuple[int, Any]:
    """「发起转账」. The number decides: asked again, it is the same bill as it stands."""
    asked = _asked(world, call)
    known = world.store.thing("transfer", _key(asked.mchid, asked.number), Bill)
    if known is not None:
        if any(getattr(known, name) != getattr(asked, name) for name in _SAME):
            raise Refused(400, "INVALID_REQUEST", "单号已存在但信息不一致，请查单后比较确认")
        return 200, _created(known)
    if "funds_short" in call.faults:
        message = "商户运营账户资金不足，充值后可以原单号发起重试，请勿更换商户单号"
        raise Refused(403, "NOT_ENOUGH", message)
    if "transfer_refused" in call.faults:
        raise Refused(400, "INVALID_REQUEST", "收款用户OpenID与商户AppID不匹配")
    if "transfer_fails" in call.faults:
        asked.ends = "FAIL"
    due = asked.made_at + _TO_CONFIRM
    if waits := call.faults.get("transfer_waits"):
        asked.state, due = "PROCESSING", asked.made_at + waits.seconds
    _save(world, asked, due)
    return 200, _created(asked)


def query(world: World, call: Call) -> tuple[int, Any]:
    """「商户单号查询转账单」 and 「微信单号查询转账单」."""
    bill = _found(world, call)
    answer = {"mch_id": bill.mchid, **_told(bill), "appid": bill.appid, "transfer_remark": bill.remark}
    if bill.user_name:
        answer["user_name"] = hide(public_key(call.merchant.public_key), bill.user_name)
    if "wrong_amount" in call.faults:
        answer["transfer_amount"] += 1
    return 200, answer


def cancel(world: World, call: Call) -> tuple[int, Any]:
    """「撤销转账」: taken while its payee has not confirmed, and done a little later."""
    bill = _found(world, call)
    if bill.state in ("ACCEPTED", "PROCESSING", "WAIT_USER_CONFIRM"):
        bill.state = "CANCELING"
        _save(world, bill, world.now() + world.store.settings().wechat_refund_seconds)
    if bill.state not in ("CANCELING", "CANCELLED"):
        raise Refused(400, "INVALID_REQUEST", "当前单据状态不支持撤销")
    answer = _told(bill)
    return 200, {name: answer[name] for name in ("out_bill_no", "transfer_bill_no", "state", "update_time")}


def confirm(world: World, package_info: str) -> Bill:
    """The payee opens wx.requestMerchantTransfer with what the merchant handed over, and takes the money."""
    bill = _waiting(world, package_info)
    bill.state = "TRANSFERING"
    _save(world, bill, world.now() + world.store.settings().wechat_refund_seconds)
    return bill


def leave(world: World, package_info: str) -> Bill:
    """The payee lets the day pass: WeChat Pay closes the bill and gives the money back."""
    bill = _waiting(world, package_info)
    _end(world, bill, "FAIL", "OVERDUE_CLOSE")
    return bill


def advance(world: World) -> None:
    """What is under way takes its next step."""
    for bill in world.store.things_due("transfer", Bill, world.now()):
        match bill.state:
            case "PROCESSING":
                bill.state = "WAIT_USER_CONFIRM"
                _save(world, bill, bill.made_at + _TO_CONFIRM)
            case "WAIT_USER_CONFIRM":
                _end(world, bill, "FAIL", "OVERDUE_CLOSE")
            case "CANCELING":
                _end(world, bill, "CANCELLED", "MCH_CANCEL")
            case _:
                _end(world, bill, bill.ends, "" if bill.ends == "SUCCESS" else "NAME_NOT_CORRECT")


def flows(world: World, mchid: str) -> list[Flow]:
    """Debited when the bill is made, given back when it comes to nothing."""
    moved = []
    for bill in world.store.things("transfer", Bill):
        if bill.mchid == mchid:
            moved.append(Flow(bill.made_at, bill, -bill.amount))
            if bill.state in ("FAIL", "CANCELLED"):
                moved.append(Flow(bill.changed_at, bill, bill.amount))
    return sorted(moved, key=lambda flow: flow.at)


def shown(bill: Bill) -> dict[str, Any]:
    """A bill as the control API shows it."""
    return _told(bill) | {
        "appid": bill.appid,
        "user_name": bill.user_name,
        "transfer_remark": bill.remark,
        "package_info": bill.package_info,
    }


def _asked(world: World, call: Call) -> Bill:
    """The bill that is asked for, checked as the documents say."""
    number, appid = text(call, "out_bill_no"), text(call, "appid")
    if not _NUMBER.fullmatch(number):
        raise parameter("/out_bill_no", number, "商户单号只能由数字、大小写字母组成，且不超过32个字符")
    if appid not in (call.merchant.appid, *call.merchant.secrets):
        raise Refused(400, "INVALID_REQUEST", "APPID不存在")
    remark = text(call, "transfer_remark")
    if len(remark) > 32:
        raise parameter("/transfer_remark", remark, "转账备注不能超过32个字符")
    notify_url = call.body.get("notify_url") or ""
    if not (isinstance(notify_url, str) and (not notify_url or re.fullmatch(r"https?://[^?]{1,247}", notify_url))):
        raise parameter("/notify_url", notify_url, "通知地址不正确，且不能携带参数")
    reports = call.body.get("transfer_scene_report_infos")
    if not (isinstance(reports, list) and reports and all(_is_report(report) for report in reports)):
        raise Refused(400, "PARAM_ERROR", "需传入转账场景报备信息，请检查")
    amount = call.body.get("transfer_amount")
    if type(amount) is not int or amount < 1:
        raise parameter("/transfer_amount", amount, "转账金额应为大于0的整数，单位为分")
    if amount < _LEAST:
        raise Refused(400, "INVALID_REQUEST", "超过单笔转账上下限，核实产品设置是否准确")
    now = world.now()
    return Bill(
        mchid=call.merchant.mchid,
        appid=appid,
        number=number,
        id=f"1330000{digits(15)}{day_digits(now)}{digits(10)}",
        openid=text(call, "openid"),
        amount=amount,
        remark=remark,
        scene=text(call, "transfer_scene_id"),
        notify_url=notify_url,
        made_at=now,
        changed_at=now,
        user_name=_name(world, call, amount),
        package_info=secrets.token_urlsafe(48),
    )


def _is_report(report: object) -> bool:
    names = ("info_type", "info_content")
    return isinstance(report, dict) and all(isinstance(report.get(name), str) and report[name] for name in names)


def _name(world: World, call: Call, amount: int) -> str:
    hidden = call.body.get("user_name")
    if hidden is None:
        if amount >= _MUST_BE_NAMED_FROM:
            raise parameter("/user_name", None, "转账金额大于等于2000元时，收款用户姓名必填")
        return ""
    if amount < _NAMED_FROM:
        raise parameter("/user_name", hidden, "转账金额小于0.3元时，不支持填写收款用户姓名")
    signer = signers(world.keys).get(call.serial)
    name = uncover(signer.key, hidden) if signer and isinstance(hidden, str) else None
    if not name:
        raise parameter("/user_name", hidden, "敏感信息解密失败，请检查加密所用的公钥及Wechatpay-Serial")
    return name


def _found(world: World, call: Call) -> Bill:
    mchid, number, id_ = call.merchant.mchid, call.path.get("number"), call.path.get("id")
    if number:
        bill = world.store.thing("transfer", _key(mchid, number), Bill)
    else:
        known = world.store.things("transfer", Bill)
        bill = next((one for one in known if (one.mchid, one.id) == (mchid, id_)), None)
    if bill is None:
        raise Refused(404, "NOT_FOUND", "记录不存在")
    return bill


def _waiting(world: World, package_info: str) -> Bill:
    for bill in world.store.things("transfer", Bill):
        if bill.package_info == package_info and bill.state == "WAIT_USER_CONFIRM":
            return bill
    raise NotThereError


def _end(world: World, bill: Bill, state: State, reason: str) -> None:
    bill.state, bill.fail_reason = state, reason
    _save(world, bill, None)
    if bill.notify_url:
        world.courier.owe(_notice(bill))


def _save(world: World, bill: Bill, due: float | None) -> None:
    bill.changed_at = world.now()
    world.store.put("transfer", _key(bill.mchid, bill.number), bill, due=due)


def _told(bill: Bill) -> dict[str, Any]:
    return {
        "out_bill_no": bill.number,
        "transfer_bill_no": bill.id,
        "state": bill.state,
        "transfer_amount": bill.amount,
        "openid": bill.openid,
        "create_time": rfc3339(bill.made_at),
        "update_time": rfc3339(bill.changed_at),
        **({"fail_reason": bill.fail_reason} if bill.fail_reason else {}),
    }


def _created(bill: Bill) -> dict[str, Any]:
    names = ("out_bill_no", "transfer_bill_no", "create_time", "state", "fail_reason")
    told = _told(bill)
    package = {"package_info": bill.package_info} if bill.state == "WAIT_USER_CONFIRM" else {}
    return {name: told[name] for name in names if name in told} | package


def _notice(bill: Bill) -> Notice:
    return Notice(
        id=str(uuid.uuid4()),
        channel="wechat",
        account=bill.mchid,
        number=bill.number,
        url=bill.notify_url,
        created_at=time.time(),
        content={
            "transaction": {"mch_id": bill.mchid, **_told(bill)},
            "kind": "mch_payment",
            "envelope": {"event_type": "MCHTRANSFER.BILL.FINISHED", "summary": "商家转账单据终态通知"},
        },
    )


def _key(mchid: str, number: str) -> str:
    return f"{mchid} {number}"
