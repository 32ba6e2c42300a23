"""Profit sharing at Alipay (商家分账): relations, alipay.trade.order.settle and its query."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from adapters.channel_wire import Unreadable
from adapters.outbound.alipay.refusals import refunded, sub_code
from adapters.outbound.alipay.reports import amount, instant, text
from domain.channels import Access, Channel
from domain.errors import ChannelRejected, OutcomeUnknown
from domain.sharing import (
    RETURNS_WITH_REFUND,
    PartReport,
    PartResult,
    ReceiverAccount,
    ReceiverKind,
    ReturnReport,
    ReturnRequest,
    ShareReport,
    ShareRequest,
    ShareState,
)

_TYPES = {ReceiverKind.ALIPAY_USER: "userId", ReceiverKind.ALIPAY_LOGIN: "loginName"}
_RESULTS = {"PROCESSING": PartResult.PENDING, "SUCCESS": PartResult.SUCCEEDED, "FAIL": PartResult.CLOSED}
# The documents: the outcome is open, repeat with the same number and amounts.
_OPEN = "ACQ.TRADE_SETTLE_ERROR"

Ask = Callable[[Access, str, Mapping[str, object]], Coroutine[Any, Any, Mapping[str, Any]]]


class AlipaySharing:
    """Sharing. Asynchronous, so that each receiver's part ends for itself. Shares come back with a refund alone."""

    kinds = frozenset(_TYPES)
    returns_with_refund = Channel.ALIPAY in RETURNS_WITH_REFUND

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def register(self, access: Access, receiver: ReceiverAccount) -> None:
        await self._relate(access, "bind", receiver)

    async def remove(self, access: Access, receiver: ReceiverAccount) -> None:
        await self._relate(access, "unbind", receiver)

    async def share(self, access: Access, request: ShareRequest) -> ShareReport:
        terms = [
            {
                "royalty_type": "transfer",
                "trans_out": access.account.payee,
                "trans_out_type": "userId",
                "trans_in": part.account,
                "trans_in_type": _TYPES[part.kind],
                "amount": part.amount.yuan,
                "desc": part.description,
                **({"trans_in_name": part.name} if part.kind is ReceiverKind.ALIPAY_LOGIN else {}),
            }
            for part in request.parts
        ]
        return await self._settle(access, request, {"royalty_parameters": terms, "royalty_mode": "async"})

    async def finish(self, access: Access, request: ShareRequest) -> ShareReport:
        """Done while it answers: there is nothing in it to wait for."""
        asked = {"extend_params": {"royalty_finish": "true"}, "royalty_mode": "async"}
        report = await self._settle(access, request, asked)
        return ShareReport(number=report.number, state=ShareState.FINISHED, channel_id=report.channel_id)

    async def ask(self, access: Access, request: ShareRequest) -> ShareReport:
        named = {"out_request_no": request.number, "trade_no": request.transaction_id}
        answer = await self._ask(access, "alipay.trade.order.settle.query", named)
        if sub_code(answer).endswith("NOT_EXIST"):
            return ShareReport(number=request.number, state=ShareState.ABSENT, detail=sub_code(answer))
        refunded(answer)
        if answer.get("out_request_no") != request.number:
            raise OutcomeUnknown("Alipay answered for another share", code="answer_mismatch")
        try:
            parts = tuple(_part(one) for one in answer.get("royalty_detail_list") or ())
            done = all(part.result is not PartResult.PENDING for part in parts)
            times = [str(one["execute_dt"]) for one in answer.get("royalty_detail_list") or () if one.get("execute_dt")]
            return ShareReport(
                number=request.number,
                state=ShareState.FINISHED if done else ShareState.PROCESSING,
                parts=parts,
                at=instant(max(times)) if done and times else None,
            )
        except Unreadable as error:
            raise OutcomeUnknown(str(error), code=error.code) from error

    async def return_share(self, access: Access, request: ReturnRequest) -> ReturnReport:
        raise ChannelRejected("Alipay returns shares with a refund", code="returns_with_refund")

    async def ask_return(self, access: Access, request: ReturnRequest) -> ReturnReport:
        raise ChannelRejected("Alipay returns shares with a refund", code="returns_with_refund")

    async def _relate(self, access: Access, verb: str, receiver: ReceiverAccount) -> None:
        """The receiver's own number is the request's: again it is the same."""
        named = {"type": _TYPES[receiver.kind], "account": receiver.account}
        if receiver.name:
            named["name"] = receiver.name
        asked = {"receiver_list": [named], "out_request_no": f"{receiver.number}{verb}"[:32]}
        answer = await self._ask(access, f"alipay.trade.royalty.relation.{verb}", asked)
        refunded(answer)
        if answer.get("result_code") != "SUCCESS":
            raise ChannelRejected(f"Alipay: {answer.get('result_code')}", code="receiver_refused")

    async def _settle(self, access: Access, request: ShareRequest, asked: Mapping[str, object]) -> ShareReport:
        biz = {"out_request_no": request.number, "trade_no": request.transaction_id, **asked}
        answer = await self._ask(access, "alipay.trade.order.settle", biz)
        if sub_code(answer) == _OPEN:
            raise OutcomeUnknown("Alipay does not know yet whether it is shared", code=_OPEN)
        refunded(answer)
        if answer.get("trade_no") != request.transaction_id:
            raise OutcomeUnknown("Alipay answered for another trade", code="answer_mismatch")
        settle_no = str(answer.get("settle_no") or "") or None
        return ShareReport(number=request.number, state=ShareState.PROCESSING, channel_id=settle_no)


def _part(told: Mapping[str, Any]) -> PartReport:
    if told.get("state") not in _RESULTS:
        raise Unreadable(f"unknown state {str(told.get('state'))[:40]!r}")
    return PartReport(
        account=text(told, "trans_in"),
        amount=amount(told, "amount"),
        result=_RESULTS[told["state"]],
        reason=str(told.get("error_code") or ""),
    )
