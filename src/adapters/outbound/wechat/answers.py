"""What WeChat Pay's signed answers mean: yes, a definite no, it did not listen, or it may still go either way."""

import json
import re
from collections.abc import Mapping
from typing import Any

from domain.errors import AccountRefused, ChannelRejected, ChannelUnavailable, OutcomeUnknown

ABSENT = frozenset({"ORDER_NOT_EXIST", "ORDERNOTEXIST"})
PAID = frozenset({"ORDERPAID", "ORDER_PAID"})
CLOSED = frozenset({"ORDER_CLOSED", "ORDERCLOSED"})
REVERSED = frozenset({"ORDER_REVERSED", "ORDERREVERSED"})
PAYING = frozenset({"USERPAYING", "USER_PAYING"})
# Of everything that is not an order: a transfer, a share, an application.
_NOTHING = frozenset({"NOT_FOUND", "RESOURCE_NOT_EXISTS"})
NO_REFUND = frozenset({"RESOURCE_NOT_EXISTS", "REFUND_NOT_EXIST", "REFUNDNOTEXIST"})
# A code or a number that serves once: it may be this very payment, whose answer was lost, that has used it.
USED = frozenset({"AUTH_CODE_INVALID", "AUTH_CODE_ERROR", "OUT_TRADE_NO_USED"}) | PAID
_FEWER_CALLS = frozenset({"FREQUENCY_LIMITED", "FREQUENCY_LIMIT_EXCEED", "RATELIMIT_EXCEED", "RATELIMIT_EXCEEDED"})
# The documents ask to query after these, under whatever status they come.
_OPEN = frozenset({"SYSTEM_ERROR", "SYSTEMERROR", "BANK_ERROR", "BANKERROR", "BIZERR_NEED_RETRY"}) | PAYING
# About the merchant account, whatever the payment: without this permission, unknown, or its appid is not bound to it.
_OF_ACCOUNT = frozenset({"NO_AUTH", "MCH_NOT_EXISTS", "APPID_MCHID_NOT_MATCH"})
_FUNDS_SHORT = frozenset({"NOT_ENOUGH", "NOTENOUGH"})
# INVALID_REQUEST has as many meanings as messages. These two are worth telling from the rest, which are definite.
_SHORT_WORDS = re.compile("余额不足|资金不足")
_LATER_WORDS = re.compile("频率|频繁|稍后|繁忙|间隔")


def content(text: str | bytes) -> Mapping[str, Any]:
    """The object in an answer's body; none in an empty one. Raises OutcomeUnknown."""
    try:
        answer = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise OutcomeUnknown("WeChat Pay's answer cannot be read", code="answer_invalid") from error
    if not isinstance(answer, dict):
        raise OutcomeUnknown("WeChat Pay's answer is not an object", code="answer_invalid")
    return answer


def code_of(answer: Mapping[str, Any]) -> str:
    """The error code of an answer; empty where it has none."""
    return str(answer.get("code") or "")


def absent(status: int, answer: Mapping[str, Any], *more: str) -> bool:
    """Whether WeChat Pay does not know what was asked for. ``more`` are codes that say so of this kind of thing."""
    return status == 404 and code_of(answer) in _NOTHING.union(more)


def accepted(status: int, answer: Mapping[str, Any], *, success: int) -> None:
    """Returns for this very success; raises what any other signed answer means
    (error tables of https://pay.weixin.qq.com/doc/v3/merchant/4012556398 and 4013070356)."""
    if status == success:
        return
    code, detail = code_of(answer), told(status, answer)
    if code in _FEWER_CALLS:
        raise ChannelUnavailable(f"WeChat Pay wants fewer calls: {detail}")
    if status == 401:
        raise ChannelUnavailable(f"WeChat Pay does not accept our signature: {detail}")
    if code in PAID:
        raise ChannelRejected(f"WeChat Pay: {detail}", code="trade_paid")
    if code in _OF_ACCOUNT and 400 <= status < 500:
        raise AccountRefused(f"WeChat Pay: {detail}", code=code)
    if 400 <= status < 500 and code and code not in _OPEN:
        raise ChannelRejected(f"WeChat Pay: {detail}", code=code)
    # 202 USERPAYING, 5xx, SYSTEM_ERROR: it may still go either way.
    raise OutcomeUnknown(f"WeChat Pay: {detail}")


def outgoing_accepted(status: int, answer: Mapping[str, Any]) -> None:
    """As ``accepted``, for a request to refund or to transfer money (error tables of
    https://pay.weixin.qq.com/doc/v3/merchant/4012556457 and 4012716434).

    A merchant account that is short is ``channel_funds_short``; what asks for patience did nothing, and the same
    request may come again.
    """
    code, message = code_of(answer), str(answer.get("message") or "")
    vague = 400 <= status < 500 and code == "INVALID_REQUEST"
    if code in _FUNDS_SHORT or (vague and _SHORT_WORDS.search(message)):
        raise ChannelRejected(f"WeChat Pay: {told(status, answer)}", code="channel_funds_short")
    if vague and _LATER_WORDS.search(message):
        raise ChannelUnavailable(f"WeChat Pay wants it later: {told(status, answer)}")
    accepted(status, answer, success=200)


def told(status: int, answer: Mapping[str, Any]) -> str:
    """An answer in a few words, for people."""
    return f"{status} {code_of(answer)} {answer.get('message') or ''}"[:200]
