"""/admin/v1/discrepancies: what does not agree, whose it is, both sides of it, and what shall be done about it."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post
from litestar.openapi.spec import Example
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin, Sentence, Who, once
from adapters.inbound.http.admin.statements import TAGS, AccountId, Day
from adapters.inbound.http.admin.views import NextCursor, ProposalView, proposal_view, row_view
from adapters.inbound.http.kit import Cursor, Limit, Req
from adapters.inbound.http.views import OBJECT, Time
from domain.channels import Mode
from domain.reconciliation import REMEDIES, DifferenceKind, DiscrepancyStatus, Ours, Remedy
from domain.statements import FundLine, Line, LineKind, LineStatus, Movement
from domain.times import rfc3339

Fen = Annotated[
    int,
    Meta(
        description="Minor units: what the account at the channel holds more than our books say because of it; for a "
        "fee, what the channel charged more than expected.",
        examples=[-100],
    ),
]

Minor = Annotated[int, Meta(description="Minor units.", examples=[10_000])]
N = Annotated[int, Meta(ge=1, description="The line of the bill.", examples=[17])]
Number = Annotated[str, Meta(description="The merchant's number there.", examples=["PTY01KB5P4Z0W3V7H2M9T8Q6R5N4D7"])]
Transaction = Annotated[str, Meta(description="The channel's number.", examples=["4200000001"])]


class DiscrepancyView(msgspec.Struct, kw_only=True):
    """One difference (差错)."""

    id: Annotated[str, Meta(description="Our id.", examples=["dis_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    object: Annotated[Literal["discrepancy"], OBJECT]
    account_id: Annotated[str, Meta(description="In whose bill.", examples=["cha_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    mode: Annotated[Mode, Meta(description="Live money or test money.", examples=["live"])]
    day: Day
    kind: Annotated[DifferenceKind, Meta(description="What differs.", examples=["amount"])]
    status: Annotated[DiscrepancyStatus, Meta(description="Where it stands.", examples=["open"])]
    number: Annotated[
        str, Meta(description="The channel number that it is about.", examples=["PTY01KB5P4Z0W3V7H2M9T8Q6R5N4D7"])
    ]
    transaction_id: Annotated[str, Meta(description="The channel's number.", examples=["4200000001"])]
    line_n: Annotated[int | None, Meta(description="The line of the bill, from 1.", examples=[17])]
    ours_id: Annotated[str | None, Meta(description="Our record.", examples=["pay_01KB5P4Z0W3V7H2M9T8Q6R5N4C"])]
    amount: Fen
    remedies: Annotated[list[Remedy], Meta(description="What can be proposed for it.", examples=[["accept_channel"]])]
    remedy: Annotated[Remedy | None, Meta(description="What was decided.", examples=[None])]
    note: Annotated[str, Meta(description="Why.", examples=[""])]
    owner: Annotated[str | None, Meta(description="Who has taken it on.", examples=["opr_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    age_days: Annotated[int, Meta(ge=0, description="Whole days that it has been open, or was.", examples=[2])]
    found_at: Time
    resolved_at: Annotated[str | None, Meta(description="When it was settled.", examples=[None])]
    resolved_by: Annotated[str | None, Meta(description="By whom.", examples=[None])]


class DiscrepancyPage(msgspec.Struct, kw_only=True):
    """Discrepancies, newest first."""

    data: Annotated[list[DiscrepancyView], Meta(description="This page.")]
    next_cursor: NextCursor


class LineView(msgspec.Struct, kw_only=True):
    """What a trade bill says of one payment or refund."""

    n: N
    day: Day
    kind: Annotated[LineKind, Meta(description="Payment or refund.", examples=["payment"])]
    number: Number
    payment_number: Number
    transaction_id: Transaction
    total: Minor
    received: Annotated[int, Meta(description="What the account is credited, or debited.", examples=[10_000])]
    currency: Annotated[str, Meta(description="Of all amounts.", examples=["CNY"])]
    fee: Annotated[int, Meta(description="Charged; negative where it was given back.", examples=[38])]
    status: Annotated[LineStatus, Meta(description="As the bill has it.", examples=["succeeded"])]
    at: Time


class FlowView(msgspec.Struct, kw_only=True):
    """What a fund bill says of one movement."""

    n: N
    fund: Annotated[str, Meta(description="Which account at the channel.", examples=["BASIC"])]
    flow_id: Annotated[str, Meta(description="The channel's number of the movement.", examples=["4200000920"])]
    transaction_id: Transaction
    number: Number
    movement: Annotated[Movement, Meta(description="Why it moved.", examples=["payment"])]
    amount: Annotated[int, Meta(description="Signed.", examples=[-38])]
    balance: Annotated[int, Meta(description="The account's after it.", examples=[9_962])]
    words: Annotated[str, Meta(description="In the channel's words.", examples=["交易 扣除交易手续费"])]
    at: Time


class RecordView(msgspec.Struct, kw_only=True):
    """What we recorded of one payment or refund, in the words of a bill."""

    id: Annotated[str, Meta(description="Our id.", examples=["pay_01KB5P4Z0W3V7H2M9T8Q6R5N4C"])]
    kind: Annotated[LineKind, Meta(description="Payment or refund.", examples=["payment"])]
    number: Number
    transaction_id: Transaction
    account_id: Annotated[str, Meta(description="Where we hold it to be.", examples=["cha_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    received: Annotated[int, Meta(description="What the account is credited, or debited.", examples=[10_000])]
    currency: Annotated[str, Meta(description="Of all amounts.", examples=["CNY"])]
    fee: Annotated[int, Meta(description="What we expect to be charged.", examples=[38])]
    status: Annotated[LineStatus, Meta(description="In a bill's words.", examples=["succeeded"])]
    day: Day


class DiscrepancyWithSides(DiscrepancyView, kw_only=True):
    """One difference with both sides beside each other: lists, for a line may be there twice."""

    theirs: Annotated[list[LineView], Meta(description="The trade bill's lines.")]
    moved: Annotated[list[FlowView], Meta(description="The fund bill's lines of the same transaction.")]
    ours: Annotated[list[RecordView], Meta(description="Our records.")]


class OwnerBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whose it shall be."""

    owner: Annotated[
        Annotated[str, Meta(max_length=40)] | None,
        Meta(description="An operator; null for nobody.", examples=["opr_01KB5P4Z0W3V7H2M9T8Q6R5N4B"]),
    ]


class RemedyBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to do about it."""

    remedy: Annotated[Remedy, Meta(description="One of the discrepancy's `remedies`.", examples=["accept_channel"])]
    note: Annotated[Sentence, Meta(description="Why.", examples=["confirmed with the channel by phone"])]


@get(
    "/discrepancies",
    summary="List discrepancies",
    operation_id="listDiscrepancies",
    tags=TAGS,
    opt=needs("reconciliation.read"),
)
async def list_discrepancies(
    *,
    admin: Admin,
    account_id: AccountId = None,
    day: Annotated[
        date | None, QueryParameter(description="Only of this day.", examples=[Example(value="2026-11-01")])
    ] = None,
    kind: Annotated[
        DifferenceKind | None, QueryParameter(description="Only these.", examples=[Example(value="amount")])
    ] = None,
    status: Annotated[
        DiscrepancyStatus | None, QueryParameter(description="Only these.", examples=[Example(value="open")])
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> DiscrepancyPage:
    """Newest first. `status=open` is the queue of what waits for a decision."""
    page = await admin.reconciliation.discrepancies(
        account_id=account_id,
        day=day,
        kind=str(kind) if kind else None,
        status=str(status) if status else None,
        cursor=cursor,
        limit=limit,
    )
    now = admin.clock.now()
    return DiscrepancyPage(data=[_of_row(row, now) for row in page.rows], next_cursor=page.next_cursor)


@get(
    "/discrepancies/{discrepancy_id:str}",
    summary="Look at a discrepancy and its two sides",
    operation_id="getDiscrepancy",
    tags=TAGS,
    opt=needs("reconciliation.read"),
)
async def get_discrepancy(discrepancy_id: FromPath[str], admin: Admin) -> DiscrepancyWithSides:
    """What the bills in force say and what we recorded, as of now."""
    one, sides = await admin.view_discrepancy(discrepancy_id)
    return DiscrepancyWithSides(
        **msgspec.structs.asdict(_of_row(asdict(one), admin.clock.now())),
        theirs=[_line_view(line) for line in sides.theirs],
        moved=[_flow_view(flow) for flow in sides.moved],
        ours=[_record_view(record) for record in sides.ours],
    )


@post(
    "/discrepancies/{discrepancy_id:str}/owner",
    status_code=200,
    summary="Take a discrepancy on",
    operation_id="ownDiscrepancy",
    tags=TAGS,
    opt=needs("reconciliation.resolve"),
)
async def own_discrepancy(
    discrepancy_id: FromPath[str], data: JSONBody[OwnerBody], request: Req, admin: Admin, actor: Who
) -> Response[DiscrepancyView]:
    """Or hand it to another operator, or to nobody. 409 `discrepancy_settled` for what is open no longer."""

    async def run() -> DiscrepancyView:
        owned = await admin.own_discrepancy(actor, discrepancy_id, data.owner)
        return _of_row(asdict(owned), admin.clock.now())

    return await once(admin, request, actor, data, run, status=200)


@post(
    "/discrepancies/{discrepancy_id:str}/remedy",
    summary="Propose a remedy",
    operation_id="proposeRemedy",
    tags=TAGS,
    opt=needs("reconciliation.resolve"),
)
async def propose_remedy(
    discrepancy_id: FromPath[str], data: JSONBody[RemedyBody], request: Req, admin: Admin, actor: Who
) -> Response[ProposalView]:
    """Another person, with `reconciliation.approve`, decides; then it is posted at once and once."""

    async def run() -> ProposalView:
        return proposal_view(await admin.propose_remedy(actor, discrepancy_id, data.remedy, data.note))

    return await once(admin, request, actor, data, run)


def _of_row(row: Any, now: datetime) -> DiscrepancyView:
    shown = {
        **row,
        "day": row["day"].isoformat(),
        "remedies": sorted(REMEDIES[DifferenceKind(row["kind"])]),
        "age_days": max(0, ((row["resolved_at"] or now) - row["found_at"]).days),
    }
    view: DiscrepancyView = row_view(DiscrepancyView, shown, "discrepancy")
    return view


def _line_view(line: Line) -> LineView:
    return LineView(
        n=line.n,
        day=line.day.isoformat(),
        kind=line.kind,
        number=line.number,
        payment_number=line.payment_number,
        transaction_id=line.transaction_id,
        total=line.total.minor,
        received=line.received.minor,
        currency=line.received.currency,
        fee=line.fee,
        status=line.status,
        at=rfc3339(line.at),
    )


def _flow_view(flow: FundLine) -> FlowView:
    return FlowView(**asdict(flow) | {"at": rfc3339(flow.at)})


def _record_view(one: Ours) -> RecordView:
    return RecordView(
        id=one.id,
        kind=one.kind,
        number=one.number,
        transaction_id=one.transaction_id,
        account_id=one.account_id,
        received=one.received.minor,
        currency=one.received.currency,
        fee=one.fee,
        status=one.status,
        day=one.channel_date.isoformat(),
    )


HANDLERS = [list_discrepancies, get_discrepancy, own_discrepancy, propose_remedy]
