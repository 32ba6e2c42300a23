"""/admin/v1/refunds: an operator gives a merchant's money back to a payer."""

from typing import Annotated, Literal

import msgspec
from litestar import Response, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import END, Admin, Sentence, Who, once
from adapters.inbound.http.admin.views import ProposalView, proposal_view
from adapters.inbound.http.bodies import NewRefund
from adapters.inbound.http.kit import Req
from adapters.inbound.http.refund_views import RefundView, refund_view
from domain.redirections import BANKS, Card, Destination


@post(
    "/refunds",
    summary="Refund an order",
    operation_id="refundByOperator",
    tags=["Refunds"],
    opt=needs("refunds.request", step_up=True),
)
async def refund_by_operator(data: JSONBody[NewRefund], request: Req, admin: Admin, actor: Who) -> Response[RefundView]:
    """Reserved at once. Up to 1,000.00 it goes to the channel; above, it waits as `awaiting_approval` until another
    person, with `refunds.approve`, decides the proposal. The number is one of the merchant's own refund numbers."""

    async def run() -> RefundView:
        return refund_view(await admin.refund_by_operator(actor, data.wish()))

    return await once(admin, request, actor, data, run)


class CardBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Another debit card of the payer's."""

    bank: Annotated[
        Annotated[str, Meta(max_length=32)],
        Meta(description="WeChat Pay's name of the bank: " + ", ".join(sorted(BANKS)) + ".", examples=["ICBC_DEBIT"]),
    ]
    number: Annotated[
        Annotated[str, Meta(min_length=12, max_length=24, pattern=r"^[0-9 ]+" + END)],
        Meta(description="Its number: digits, spaces do not matter.", examples=["6222 0212 3456 7890 128"]),
    ]
    holder: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64)], Meta(description="Whose it is.", examples=["张三"])
    ]

    def card(self) -> Card:
        return Card(self.bank, self.number.replace(" ", ""), self.holder)


class RedirectionBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Where an abnormal refund shall go."""

    to: Annotated[
        Literal["payer_card", "merchant_account"],
        Meta(
            description="`payer_card`: another card of the payer's; `merchant_account`: the bank account of who "
            "received the payment, who then has to pay the payer.",
            examples=["payer_card"],
        ),
    ]
    card: Annotated[CardBody | None, Meta(description="Only with `payer_card`.")] = None
    note: Annotated[Sentence, Meta(description="Why, for who decides and who audits.", examples=["the payer called"])]


@post(
    "/refunds/{refund_id:str}/redirection",
    summary="Propose where an abnormal refund goes",
    operation_id="proposeRedirection",
    tags=["Refunds"],
    opt=needs("refunds.request", step_up=True),
)
async def propose_redirection(
    refund_id: FromPath[str], data: JSONBody[RedirectionBody], request: Req, admin: Admin, actor: Who
) -> Response[ProposalView]:
    """For a WeChat Pay refund that cannot reach the payer the way it came. Another person, with `refunds.approve`,
    decides; the channel is then told within a sweep, and the card's number is kept no longer than that."""

    async def run() -> ProposalView:
        card = data.card.card() if data.card else None
        return proposal_view(
            await admin.propose_redirection(actor, refund_id, Destination(data.to), data.note, card=card)
        )

    return await once(admin, request, actor, data, run, compared=False)


HANDLERS = [refund_by_operator, propose_redirection]
