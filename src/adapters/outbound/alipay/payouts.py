"""Payouts at Alipay: 单笔转账 to an account (alipay.fund.trans.uni.transfer, alipay.fund.trans.common.query)."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from adapters.channel_wire import Unreadable
from adapters.outbound.alipay.refusals import NO_TRANSFER, refunded, sub_code
from adapters.outbound.alipay.reports import amount, instant
from domain.channels import Access
from domain.errors import ChannelRejected, InvalidRequest, OutcomeUnknown
from domain.money import Money
from domain.payouts import PayeeKind, PayoutReport, PayoutRequest, PayoutState

_KIND = {"product_code": "TRANS_ACCOUNT_NO_PWD", "biz_scene": "DIRECT_TRANSFER"}
_IDENTITIES = {
    PayeeKind.ALIPAY_USER: "ALIPAY_USER_ID",
    PayeeKind.ALIPAY_LOGIN: "ALIPAY_LOGON_ID",
    PayeeKind.ALIPAY_OPEN: "ALIPAY_OPEN_ID",
}
_STATES = {
    "SUCCESS": PayoutState.PAID,
    "DEALING": PayoutState.PENDING,
    "INIT": PayoutState.PENDING,
    "WAIT_PAY": PayoutState.PENDING,
    "FAIL": PayoutState.FAILED,
    "CLOSED": PayoutState.FAILED,
    "REFUND": PayoutState.BOUNCED,
}
_TITLE = 64  # characters

Ask = Callable[[Access, str, Mapping[str, object]], Coroutine[Any, Any, Mapping[str, Any]]]


class AlipayPayouts:
    """Payouts. Alipay wants certificate mode for them, and transfers what it does not refuse while it answers.

    There is nothing to cancel. Its own notices of transfers come by subscription to its message service, which we do
    not have: the ladder asks.
    """

    fund = "BASIC"
    kinds = frozenset(_IDENTITIES)

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def offered(self, access: Access) -> None:
        # With bare keys its gateway answers isv.missing-app-cert-sn to whatever spends money this way.
        if "app_certificate" not in access.credential.public:
            raise InvalidRequest(
                "Alipay wants certificate mode (公钥证书) for transfers",
                code="certificate_mode_required",
                pointer="/source",
            )

    async def pay(self, access: Access, request: PayoutRequest) -> PayoutReport:
        payee = {"identity": request.payee, "identity_type": _IDENTITIES[request.kind], "name": request.name}
        biz = _KIND | {
            "out_biz_no": request.number,
            "trans_amount": request.amount.yuan,
            "order_title": request.title[:_TITLE],
            "payee_info": payee,
        }
        answer = await self._ask(access, "alipay.fund.trans.uni.transfer", biz)
        refunded(answer)
        return _reported(request.number, answer, "trans_date")

    async def ask(self, access: Access, number: str) -> PayoutReport:
        answer = await self._ask(access, "alipay.fund.trans.common.query", _KIND | {"out_biz_no": number})
        if sub_code(answer) == NO_TRANSFER:
            return PayoutReport(number=number, state=PayoutState.ABSENT, detail=NO_TRANSFER)
        refunded(answer)
        return _reported(number, answer, "pay_date")

    async def cancel(self, access: Access, number: str) -> PayoutReport:
        raise ChannelRejected("Alipay does not take a transfer back", code="payout_not_cancellable")


def _reported(number: str, answer: Mapping[str, Any], dated: str) -> PayoutReport:
    """A transfer in an answer to us, which must be the one that was asked about."""
    status = answer.get("status")
    if answer.get("out_biz_no") != number or status not in _STATES:
        raise OutcomeUnknown(f"Alipay answered for another transfer, or {status!r}"[:80], code="answer_mismatch")
    try:
        return PayoutReport(
            number=number,
            state=_STATES[status],
            amount=amount(answer, "trans_amount") if answer.get("trans_amount") else None,
            charge=amount(answer, "order_fee") if answer.get("order_fee") else Money(0),
            channel_id=str(answer.get("order_id") or "") or None,
            at=instant(answer[dated]) if answer.get(dated) else None,
            detail=str(answer.get("fail_reason") or answer.get("error_code") or status),
        )
    except Unreadable as error:
        raise OutcomeUnknown(str(error), code=error.code) from error
