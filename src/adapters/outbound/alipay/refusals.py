"""What a signed answer other than success means: Alipay's 公共错误码 and each method's own 业务错误码."""

from collections.abc import Mapping
from typing import Any

from domain.errors import AccountRefused, ChannelRejected, ChannelUnavailable, OutcomeUnknown

ABSENT = "ACQ.TRADE_NOT_EXIST"
# The number stands for a trade already: what became of that one is to be asked.
TAKEN = frozenset(
    {
        "ACQ.TRADE_HAS_SUCCESS",
        "ACQ.TRADE_HAS_FINISHED",
        "ACQ.CONTEXT_INCONSISTENT",
        "ACQ.TRADE_BUYER_NOT_MATCH",
        "ACQ.TRADE_STATUS_ERROR",
    }
)
# Not waiting for its buyer: paid, or closed already (https://docs.open.alipay.com/api_1/alipay.trade.close, 错误码).
NOT_OPEN = frozenset({"ACQ.TRADE_STATUS_ERROR", "ACQ.REASON_TRADE_STATUS_INVALID", "ACQ.REASON_ILLEGAL_STATUS"})

NO_TRANSFER = "ORDER_NOT_EXIST"

_SUCCESS = "10000"
_PAID = frozenset({"ACQ.TRADE_HAS_SUCCESS", "ACQ.TRADE_HAS_FINISHED"})
_FUNDS_SHORT = frozenset({"ACQ.SELLER_BALANCE_NOT_ENOUGH", "PAYER_BALANCE_NOT_ENOUGH", "BALANCE_IS_NOT_ENOUGH"})
_UNDER_WAY = frozenset({"REQUEST_PROCESSING", "PROCESS_FAIL"})  # of a transfer: the documents ask to query
_LATER = "ACQ.REFUND_CHARGE_ERROR"  # 退收费异常: nothing was refunded, and the documents ask to repeat it after a while
# About the application or the seller, whatever the payment: no contract or none any more, an application that it does
# not know, a seller that is blocked, a merchant that has not authorised us.
_OF_ACCOUNT = frozenset(
    {
        "ACQ.ACCESS_FORBIDDEN",
        "ACQ.PARTNER_ERROR",
        "ACQ.SELLER_BEEN_BLOCKED",
        "isv.insufficient-isv-permissions",
        "aop.invalid-app-auth-token",
    }
)
_DEFINITE = frozenset({"20001", "40001", "40002", "40003", "40004", "40006"})


def sub_code(answer: Mapping[str, Any]) -> str:
    """The business refusal that an answer is, or ""."""
    return str(answer.get("sub_code") or "") if answer.get("code") == "40004" else ""


def accepted(answer: Mapping[str, Any]) -> None:
    """Returns for a success; raises what a signed refusal means when it is about a payment."""
    _raise(answer, trade_paid=_PAID)


def refunded(answer: Mapping[str, Any]) -> None:
    """The same about a refund or a reversal, where a trade that has finished is merely past its time to refund."""
    _raise(answer, trade_paid=frozenset())


def _raise(answer: Mapping[str, Any], *, trade_paid: frozenset[str]) -> None:
    code, reason = str(answer.get("code")), str(answer.get("sub_code") or "")
    detail = f"{code} {reason} {answer.get('sub_msg') or ''}"[:200]
    if code == _SUCCESS:
        return
    if code == "40005":
        raise ChannelUnavailable(f"Alipay wants fewer calls: {detail}")
    if reason == _LATER:
        raise ChannelUnavailable(f"Alipay wants it again later: {detail}")
    if reason in trade_paid:
        raise ChannelRejected(f"Alipay: {detail}", code="trade_paid")
    if reason in _FUNDS_SHORT:
        raise ChannelRejected(f"Alipay: {detail}", code="channel_funds_short")
    if reason in _OF_ACCOUNT:
        raise AccountRefused(f"Alipay: {detail}", code=reason)
    if code in _DEFINITE and reason not in _UNDER_WAY and not reason.endswith("SYSTEM_ERROR"):
        raise ChannelRejected(f"Alipay: {detail}", code=reason or None)
    # 20000 isp.unknow-error and ACQ.SYSTEM_ERROR ask to try again; a code that we do not know promises nothing.
    raise OutcomeUnknown(f"Alipay: {detail}")
