"""/admin/v1/suspense_items: what people do with money that arrived and pays no order."""

from typing import Annotated

import msgspec
from litestar import Response, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import END, Admin, Sentence, Who, once
from adapters.inbound.http.admin.views import ProposalView, proposal_view
from adapters.inbound.http.kit import Req
from application.settle_held_money import Settlement

TAGS = ["Suspense"]


class SettlementBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What shall become of it."""

    settlement: Annotated[
        Settlement,
        Meta(
            description="`attribute`: it pays `order_id` after all; `refund`: it goes back to its payer; `write_off`.",
            examples=["refund"],
        ),
    ]
    order_id: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z_]{1,64}" + END)] | None,
        Meta(description="Only with `attribute`.", examples=[None]),
    ] = None
    note: Annotated[Sentence, Meta(description="Why, for who decides and who audits.", examples=["asked the payer"])]


@post(
    "/suspense_items/{item_id:str}/settlement",
    summary="Propose what becomes of it",
    operation_id="proposeSettlement",
    tags=TAGS,
    opt=needs("suspense.propose", step_up=True),
)
async def propose_settlement(
    item_id: FromPath[str], data: JSONBody[SettlementBody], request: Req, admin: Admin, actor: Who
) -> Response[ProposalView]:
    """Another person, with `suspense.approve`, decides; then it is done at once and once."""

    async def run() -> ProposalView:
        proposal = await admin.propose_settlement(actor, item_id, data.settlement, data.note, order_id=data.order_id)
        return proposal_view(proposal)

    return await once(admin, request, actor, data, run)


HANDLERS = [propose_settlement]
