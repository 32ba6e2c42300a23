"""Payouts at WeChat Pay: 商家转账, which the payee confirms (https://pay.weixin.qq.com/doc/v3/merchant/4012716434)."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from adapters.channel_wire import Unreadable
from adapters.outbound.wechat import answers
from adapters.outbound.wechat.reports import instant, money, text
from adapters.outbound.wechat.sdk import Merchant
from domain.channels import Access
from domain.errors import ChannelRejected, ChannelUnavailable, InvalidRequest, OutcomeUnknown
from domain.payouts import PayeeKind, PayoutReport, PayoutRequest, PayoutState

FINISHED = "MCHTRANSFER.BILL.FINISHED"
_NUMBER = re.compile(r"[0-9A-Za-z]{1,32}")
_TITLE = 32  # characters
# https://pay.weixin.qq.com/doc/v3/merchant/4012716437. TRANSFERING: confirmed, and not done yet.
_STATES = {
    "ACCEPTED": PayoutState.PENDING,
    "PROCESSING": PayoutState.PENDING,
    "WAIT_USER_CONFIRM": PayoutState.AWAITING_PAYEE,
    "TRANSFERING": PayoutState.PENDING,
    "SUCCESS": PayoutState.PAID,
    "FAIL": PayoutState.FAILED,
    "CANCELING": PayoutState.PENDING,
    "CANCELLED": PayoutState.CANCELLED,
}

Ask = Callable[[Access, Callable[[Merchant], Awaitable[tuple[int, Any]]]], Awaitable[tuple[int, Mapping[str, Any]]]]


class WechatPayouts:
    """Payouts. The money leaves 运营账户, whoever's payments it is.

    A credential's ``public`` has ``transfer_scene``, as WeChat Pay granted it to the merchant: JSON with the scene's
    ``id`` and what is to be reported with it, ``{"id": "1009", "reports": {"采购商品名称": "货款"}}``.
    """

    fund = "OPERATION"
    kinds = frozenset({PayeeKind.WECHAT_OPENID})

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def offered(self, access: Access) -> None:
        try:
            _of_a_merchant(access)
            _scene(access)
        except (ChannelRejected, ChannelUnavailable) as missing:
            raise InvalidRequest(str(missing), code=missing.code, pointer="/source") from missing

    async def pay(self, access: Access, request: PayoutRequest) -> PayoutReport:
        """The same number again gives the bill as it stands, with another package_info while it waits."""
        _checked(access, request.number)
        scene, reports = _scene(access)
        status, answer = await self._ask(
            access,
            lambda wechat: wechat.mch_transfer_bills(
                out_bill_no=request.number,
                transfer_scene_id=scene,
                openid=request.payee,
                transfer_amount=request.amount.minor,
                transfer_remark=request.title[:_TITLE],
                user_name=request.name,
                transfer_scene_report_infos=reports,
                notify_url=request.notice_url,
            ),
        )
        answers.outgoing_accepted(status, answer)
        return _reported(request.number, answer)

    async def ask(self, access: Access, number: str) -> PayoutReport:
        _checked(access, number)
        status, answer = await self._ask(access, lambda wechat: wechat.mch_transfer_bills_query(out_bill_no=number))
        if answers.absent(status, answer):
            return PayoutReport(number=number, state=PayoutState.ABSENT, detail=answers.code_of(answer))
        answers.accepted(status, answer, success=200)
        return _reported(number, answer)

    async def cancel(self, access: Access, number: str) -> PayoutReport:
        _checked(access, number)
        status, answer = await self._ask(access, lambda wechat: wechat.mch_transfer_bills_cancel(number))
        answers.accepted(status, answer, success=200)
        return _reported(number, answer)


def noticed(bill: Mapping[str, object], access: Access) -> PayoutReport | None:
    """The payout that a notice tells of, if it is this merchant's. Raises Unreadable."""
    named = bill.get("mch_id") or bill.get("mchid") or access.account.payee
    return _report(bill) if named == access.account.payee else None


def _report(bill: Mapping[str, object]) -> PayoutReport:
    said = text(bill, "state")
    if said not in _STATES:
        raise Unreadable(f"unknown state {said[:40]!r}")
    at = bill.get("update_time") or bill.get("create_time")
    made, confirmation = bill.get("create_time"), bill.get("package_info")
    return PayoutReport(
        number=text(bill, "out_bill_no"),
        state=_STATES[said],
        amount=money(bill, "transfer_amount") if "transfer_amount" in bill else None,
        channel_id=text(bill, "transfer_bill_no"),
        at=instant(at) if isinstance(at, str) else None,
        debited_at=instant(made) if isinstance(made, str) else None,
        confirmation=confirmation if isinstance(confirmation, str) and confirmation else None,
        detail=str(bill.get("fail_reason") or said),
    )


def _reported(number: str, answer: Mapping[str, Any]) -> PayoutReport:
    """A bill in an answer to us, which must be the one that was asked about."""
    if answer.get("out_bill_no") != number:
        raise OutcomeUnknown("WeChat Pay answered for another transfer", code="answer_mismatch")
    try:
        return _report(answer)
    except Unreadable as error:
        raise OutcomeUnknown(str(error), code=error.code) from error


def _checked(access: Access, number: str) -> None:
    if not _NUMBER.fullmatch(number):
        raise InvalidRequest("not a number that WeChat Pay takes as we send it", code="number_invalid")
    _of_a_merchant(access)


def _of_a_merchant(access: Access) -> None:
    if access.credential.provider is not None:
        # Sub-merchants pay over paths of their own, which the SDK does not have.
        raise ChannelRejected("a service provider's account pays nobody out", code="payouts_not_offered")


def _scene(access: Access) -> tuple[str, list[dict[str, str]]]:
    kept = access.credential.public.get("transfer_scene")
    if not kept:
        raise ChannelUnavailable("the transfer scene is not set up", code="transfer_scene_missing")
    try:
        scene = json.loads(kept)
        reports = [{"info_type": str(type_), "info_content": str(said)} for type_, said in scene["reports"].items()]
        return str(scene["id"]), reports
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ChannelUnavailable("the transfer scene cannot be read", code="transfer_scene_missing") from error
