"""Profit sharing at WeChat Pay (分账, https://pay.weixin.qq.com/docs/merchant/products/profit-sharing/apilist.html)."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from adapters.channel_wire import Unreadable
from adapters.outbound.wechat import answers, parties
from adapters.outbound.wechat.reports import instant, money, text
from adapters.outbound.wechat.sdk import Merchant
from domain.channels import Access, Channel
from domain.errors import ChannelUnavailable, InvalidRequest, OutcomeUnknown
from domain.sharing import (
    RETURNS_WITH_REFUND,
    PartReport,
    PartResult,
    ReceiverAccount,
    ReceiverKind,
    ReturnReport,
    ReturnRequest,
    ReturnState,
    ShareReport,
    ShareRequest,
    ShareState,
)

_NUMBER = re.compile(r"[0-9A-Za-z]{1,64}")
_ACCOUNT = re.compile(r"[0-9A-Za-z_-]{1,64}")
_TYPES = {ReceiverKind.WECHAT_MERCHANT: "MERCHANT_ID", ReceiverKind.WECHAT_OPENID: "PERSONAL_OPENID"}
_STATES = {"PROCESSING": ShareState.PROCESSING, "FINISHED": ShareState.FINISHED}
_RESULTS = {"PENDING": PartResult.PENDING, "SUCCESS": PartResult.SUCCEEDED, "CLOSED": PartResult.CLOSED}
_RETURNS = {"PROCESSING": ReturnState.PROCESSING, "SUCCESS": ReturnState.SUCCEEDED, "FAILED": ReturnState.FAILED}
# INVALID_REQUEST while the payment is not settled yet, or an earlier share is under way.
_LATER = re.compile("稍后|处理中|未结算|频繁")

Ask = Callable[[Access, Callable[[Merchant], Awaitable[tuple[int, Any]]]], Awaitable[tuple[int, Mapping[str, Any]]]]


class WechatSharing:
    """Sharing. A share comes back before a refund and apart from it; only merchants give back."""

    kinds = frozenset(_TYPES)
    returns_with_refund = Channel.WECHAT in RETURNS_WITH_REFUND

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def register(self, access: Access, receiver: ReceiverAccount) -> None:
        _account(receiver.account)
        status, answer = await self._ask(
            access,
            lambda wechat: wechat.profitsharing_add_receiver(
                _TYPES[receiver.kind],
                receiver.account,
                receiver.relation.upper(),
                name=receiver.name or None,
                sub_mchid=parties.sub_merchant(access),
            ),
        )
        answers.accepted(status, answer, success=200)

    async def remove(self, access: Access, receiver: ReceiverAccount) -> None:
        _account(receiver.account)
        status, answer = await self._ask(
            access,
            lambda wechat: wechat.profitsharing_delete_receiver(
                _TYPES[receiver.kind], receiver.account, sub_mchid=parties.sub_merchant(access)
            ),
        )
        answers.accepted(status, answer, success=200)

    async def share(self, access: Access, request: ShareRequest) -> ShareReport:
        _checked(request.number, request.transaction_id)
        receivers = [
            {
                "type": _TYPES[part.kind],
                "account": part.account,
                "amount": part.amount.minor,
                "description": part.description[:80],
                **({"name": part.name} if part.name else {}),
            }
            for part in request.parts
        ]
        status, answer = await self._ask(
            access,
            lambda wechat: wechat.profitsharing_order(
                request.transaction_id,
                request.number,
                receivers,
                False,  # what is left stays frozen
                sub_mchid=parties.sub_merchant(access),
            ),
        )
        _taken(status, answer)
        return _reported(request.number, answer)

    async def ask(self, access: Access, request: ShareRequest) -> ShareReport:
        _checked(request.number, request.transaction_id)
        status, answer = await self._ask(
            access,
            lambda wechat: wechat.profitsharing_order_query(
                request.transaction_id, request.number, sub_mchid=parties.sub_merchant(access)
            ),
        )
        if answers.absent(status, answer):
            return ShareReport(number=request.number, state=ShareState.ABSENT)
        answers.accepted(status, answer, success=200)
        return _reported(request.number, answer)

    async def finish(self, access: Access, request: ShareRequest) -> ShareReport:
        _checked(request.number, request.transaction_id)
        status, answer = await self._ask(
            access,
            lambda wechat: wechat.profitsharing_unfreeze(
                request.transaction_id, request.number, "分账完结", sub_mchid=parties.sub_merchant(access)
            ),
        )
        _taken(status, answer)
        return _reported(request.number, answer)

    async def return_share(self, access: Access, request: ReturnRequest) -> ReturnReport:
        _checked(request.number, request.share_number)
        status, answer = await self._ask(
            access,
            lambda wechat: wechat.profitsharing_return(
                request.number,
                request.account,
                request.amount.minor,
                "退款",
                out_order_no=request.share_number,
                sub_mchid=parties.sub_merchant(access),
            ),
        )
        answers.outgoing_accepted(status, answer)
        return _returned(request, answer)

    async def ask_return(self, access: Access, request: ReturnRequest) -> ReturnReport:
        _checked(request.number, request.share_number)
        status, answer = await self._ask(
            access,
            lambda wechat: wechat.profitsharing_return_query(
                request.share_number, request.number, sub_mchid=parties.sub_merchant(access)
            ),
        )
        if answers.absent(status, answer):
            return ReturnReport(number=request.number, state=ReturnState.ABSENT)
        answers.accepted(status, answer, success=200)
        return _returned(request, answer)


def _taken(status: int, answer: Mapping[str, Any]) -> None:
    """Returns for a success; what is merely too early did nothing, and the same request may come again."""
    vague = 400 <= status < 500 and answers.code_of(answer) == "INVALID_REQUEST"
    if vague and _LATER.search(str(answer.get("message") or "")):
        raise ChannelUnavailable(f"WeChat Pay wants it later: {answers.told(status, answer)}")
    answers.accepted(status, answer, success=200)


def _reported(number: str, answer: Mapping[str, Any]) -> ShareReport:
    """A share in an answer to us, which must be the one that was asked about."""
    if answer.get("out_order_no") != number or answer.get("state") not in _STATES:
        raise OutcomeUnknown("WeChat Pay answered for another share", code="answer_mismatch")
    try:
        given: list[Mapping[str, Any]] = answer["receivers"] if isinstance(answer.get("receivers"), list) else []
        state = _STATES[answer["state"]]
        ends = [str(one["finish_time"]) for one in given if one.get("finish_time")]
        return ShareReport(
            number=number,
            state=state,
            parts=tuple(_part(one) for one in given),
            channel_id=text(answer, "order_id"),
            at=instant(max(ends)) if ends and state is ShareState.FINISHED else None,
        )
    except Unreadable as error:
        raise OutcomeUnknown(str(error), code=error.code) from error


def _part(told: Mapping[str, Any]) -> PartReport:
    if told.get("result") not in _RESULTS:
        raise Unreadable(f"unknown result {str(told.get('result'))[:40]!r}")
    return PartReport(
        account=text(told, "account"),
        amount=money(told, "amount"),
        result=_RESULTS[told["result"]],
        reason=str(told.get("fail_reason") or ""),
    )


def _returned(request: ReturnRequest, answer: Mapping[str, Any]) -> ReturnReport:
    named = (answer.get("out_return_no"), answer.get("out_order_no"))
    if named != (request.number, request.share_number) or answer.get("result") not in _RETURNS:
        raise OutcomeUnknown("WeChat Pay answered for another return", code="answer_mismatch")
    try:
        return ReturnReport(
            number=request.number,
            state=_RETURNS[answer["result"]],
            amount=money(answer, "amount"),
            at=instant(answer["finish_time"]) if answer.get("finish_time") else None,
            reason=str(answer.get("fail_reason") or ""),
        )
    except Unreadable as error:
        raise OutcomeUnknown(str(error), code=error.code) from error


def _checked(*numbers: str) -> None:
    for number in numbers:
        if not _NUMBER.fullmatch(number):
            raise InvalidRequest("not a number that WeChat Pay takes as we send it", code="number_invalid")


def _account(account: str) -> None:
    if not _ACCOUNT.fullmatch(account):
        raise InvalidRequest("not an account of WeChat Pay", code="receiver_account_invalid", pointer="/account")
