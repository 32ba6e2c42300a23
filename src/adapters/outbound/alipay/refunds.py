"""Refunds at Alipay: what is asked, and what answers, queries and notices say of them."""

from collections.abc import Mapping

from adapters.channel_wire import Unreadable
from adapters.outbound.alipay.reports import amount, instant, text
from domain.channels import RefundReport, RefundRequest, RefundState
from domain.numbers import is_ours

_REFUND_FIELDS = ("refund_fee", "gmt_refund", "out_biz_no")


def wanted(request: RefundRequest) -> dict[str, object]:
    """biz_content of alipay.trade.refund. Without its own number a second partial refund would repeat the first."""
    biz: dict[str, object] = {
        "out_trade_no": request.payment_number,
        "out_request_no": request.number,
        "refund_amount": request.amount.yuan,
    }
    if request.taken_back:
        biz["refund_royalty_parameters"] = [
            {
                "royalty_type": "transfer",
                "trans_out": part.account,
                "trans_out_type": "loginName" if part.by_login else "userId",
                "amount": part.amount.yuan,
            }
            for part in request.taken_back
        ]
    return biz | ({"refund_reason": request.reason[:256]} if request.reason else {})


def done(answer: Mapping[str, object], request: RefundRequest) -> RefundReport | None:
    """The refund that an answer speaks of as just made; None where it says that no money moved now (fund_change N).

    Its refund_fee is what has gone back of the payment in all. Raises Unreadable.
    """
    if text(answer, "out_trade_no") != request.payment_number:
        raise Unreadable("Alipay answered for another number", "answer_mismatch")
    if text(answer, "fund_change") != "Y":
        return None
    return RefundReport(
        number=request.number,
        payment_number=request.payment_number,
        state=RefundState.SUCCEEDED,
        amount=request.amount,
        payment_refunded=amount(answer, "refund_fee") if answer.get("refund_fee") else None,
        channel_id=request.number,
        at=instant(answer["gmt_refund_pay"]) if answer.get("gmt_refund_pay") else None,
    )


def found(answer: Mapping[str, object], request: RefundRequest) -> RefundReport:
    """What alipay.trade.fastpay.refund.query says. Raises Unreadable.

    Only refund_status REFUND_SUCCESS is a refund: without the field it never came, or failed, and may be made again
    under its number.
    """
    status = answer.get("refund_status")
    if not status:
        return absent(request, "no refund_status")
    if status != "REFUND_SUCCESS":
        raise Unreadable(f"refund_status {str(status)[:40]!r}")
    named = (text(answer, "out_trade_no"), text(answer, "out_request_no"))
    if named != (request.payment_number, request.number):
        raise Unreadable("Alipay answered for another refund", "answer_mismatch")
    return RefundReport(
        number=request.number,
        payment_number=request.payment_number,
        state=RefundState.SUCCEEDED,
        amount=amount(answer, "refund_amount"),
        channel_id=request.number,
        at=instant(answer["gmt_refund_pay"]) if answer.get("gmt_refund_pay") else None,
    )


def absent(request: RefundRequest, detail: str) -> RefundReport:
    return RefundReport(
        number=request.number, payment_number=request.payment_number, state=RefundState.ABSENT, detail=detail
    )


def is_notice(fields: Mapping[str, str]) -> bool:
    """Whether a notice of a trade is sent because of a refund."""
    return any(fields.get(name) for name in _REFUND_FIELDS)


def noticed(fields: Mapping[str, str]) -> RefundReport:
    """The refund that a notice tells of. Raises Unreadable.

    out_biz_no is the out_request_no that it was made with; one made in Alipay's own console has Alipay's number, or
    that of the trade. refund_fee (总退款金额) counts all refunds of the trade.
    """
    number = fields.get("out_biz_no") or None
    return RefundReport(
        number=number if number and is_ours(number) and number != fields.get("out_trade_no") else None,
        payment_number=text(fields, "out_trade_no"),
        state=RefundState.SUCCEEDED,
        payment_refunded=amount(fields, "refund_fee") if fields.get("refund_fee") else None,
        channel_id=number,
        at=instant(fields["gmt_refund"]) if fields.get("gmt_refund") else None,
        detail=fields.get("trade_status", ""),
    )
