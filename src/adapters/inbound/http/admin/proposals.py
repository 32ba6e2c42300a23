"""/admin/v1/proposals: what one person has proposed and another decides."""

from typing import Annotated

from litestar import Response, get, post
from litestar.openapi.spec import Example
from litestar.params import FromPath, JSONBody, QueryParameter

from adapters.inbound.http.admin.bodies import RejectBody
from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin, Who, once
from adapters.inbound.http.admin.views import ProposalPage, ProposalView, page_of, proposal_view
from adapters.inbound.http.kit import Cursor, Limit, Req
from domain.proposals import ProposalStatus

TAGS = ["Proposals"]

Status = Annotated[
    ProposalStatus | None, QueryParameter(description="Only these.", examples=[Example(value="proposed")])
]
OfMerchant = Annotated[
    str | None,
    QueryParameter(
        max_length=40,
        description="Only this merchant's.",
        examples=[Example(value="mch_01KB5P4Z0W3V7H2M9T8Q6R5N4B")],
    ),
]


@get("/proposals", summary="List proposals", operation_id="listProposals", tags=TAGS, opt=needs("proposals.read"))
async def list_proposals(
    admin: Admin,
    status: Status = None,
    merchant_id: OfMerchant = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> ProposalPage:
    """Newest first. `status=proposed` is the queue of what waits for a decision."""
    page = await admin.people.proposals(
        status=str(status) if status else None, merchant_id=merchant_id, cursor=cursor, limit=limit
    )
    found: ProposalPage = page_of(ProposalPage, ProposalView, "proposal", page)
    return found


@get(
    "/proposals/{proposal_id:str}",
    summary="Get a proposal",
    operation_id="getProposal",
    tags=TAGS,
    opt=needs("proposals.read"),
)
async def get_proposal(proposal_id: FromPath[str], admin: Admin) -> ProposalView:
    """One proposal, with all that its executor will be given."""
    return proposal_view(await admin.decide_proposal.get(proposal_id))


@post(
    "/proposals/{proposal_id:str}/approve",
    status_code=200,
    summary="Approve and execute",
    operation_id="approveProposal",
    tags=TAGS,
    opt=needs("proposals.decide", step_up=True),
)
async def approve(proposal_id: FromPath[str], request: Req, admin: Admin, actor: Who) -> Response[ProposalView]:
    """Execute what another has proposed, at once and once. You hold the permission that it names."""

    async def run() -> ProposalView:
        return proposal_view(await admin.decide_proposal.approve(actor, proposal_id))

    return await once(admin, request, actor, None, run, status=200)


@post(
    "/proposals/{proposal_id:str}/reject",
    status_code=200,
    summary="Reject",
    operation_id="rejectProposal",
    tags=TAGS,
    opt=needs("proposals.decide", step_up=True),
)
async def reject(
    proposal_id: FromPath[str], data: JSONBody[RejectBody], request: Req, admin: Admin, actor: Who
) -> Response[ProposalView]:
    """Nothing is executed, and the reason is kept."""

    async def run() -> ProposalView:
        return proposal_view(await admin.decide_proposal.reject(actor, proposal_id, data.reason))

    return await once(admin, request, actor, data, run, status=200)


@post(
    "/proposals/{proposal_id:str}/withdraw",
    status_code=200,
    summary="Withdraw",
    operation_id="withdrawProposal",
    tags=TAGS,
    opt=needs("proposals.withdraw"),
)
async def withdraw(proposal_id: FromPath[str], request: Req, admin: Admin, actor: Who) -> Response[ProposalView]:
    """Take back your own, while it is undecided."""

    async def run() -> ProposalView:
        return proposal_view(await admin.decide_proposal.withdraw(actor, proposal_id))

    return await once(admin, request, actor, None, run, status=200)


HANDLERS = [list_proposals, get_proposal, approve, reject, withdraw]
