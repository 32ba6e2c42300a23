"""/admin/v1/statement-days: how far each day has come."""

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post
from litestar.openapi.spec import Example
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin, Sentence, Who, once
from adapters.inbound.http.admin.views import NextCursor, ProposalView, proposal_view, row_view, time_of
from adapters.inbound.http.kit import Cursor, Limit, Req
from adapters.inbound.http.views import OBJECT
from domain.channels import Mode
from domain.errors import InvalidRequest
from domain.statements import DayStatus, StatementDay

TAGS = ["Reconciliation"]

AccountId = Annotated[
    str | None,
    QueryParameter(
        max_length=40,
        description="Only this channel account's.",
        examples=[Example(value="cha_01KB5P4Z0W3V7H2M9T8Q6R5N4B")],
    ),
]
Count = Annotated[int, Meta(ge=0, description="How many.", examples=[3])]
Day = Annotated[str, Meta(description="The day in Shanghai, where channels keep their books.", examples=["2026-11-01"])]


class DayView(msgspec.Struct, kw_only=True):
    """One day of one channel account (对账日)."""

    object: Annotated[Literal["statement_day"], OBJECT]
    account_id: Annotated[str, Meta(description="Whose day.", examples=["cha_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    day: Day
    mode: Annotated[Mode, Meta(description="Live money or test money.", examples=["live"])]
    status: Annotated[DayStatus, Meta(description="How far it has come.", examples=["matched"])]
    files: Annotated[
        dict[str, str], Meta(description="SHA-256 of each bill in force.", examples=[{"trade": "9f86d081884c7d65"}])
    ]
    matched: Annotated[Count, Meta(description="Lines that agree with our records.")]
    differences: Annotated[Count, Meta(description="Open discrepancies after the last run.")]
    held: Annotated[Count, Meta(description="What waits for a neighbouring day (缓冲池).")]
    foreign: Annotated[Count, Meta(description="Lines of the merchant's own business.")]
    next_at: Annotated[str | None, Meta(description="When the channel is asked again.", examples=[None])]
    note: Annotated[str, Meta(description="Why it is not further.", examples=[""])]
    closed_by: Annotated[str | None, Meta(description="Who closed it.", examples=["system"])]


class DayPage(msgspec.Struct, kw_only=True):
    """Days, newest first."""

    data: Annotated[list[DayView], Meta(description="This page.")]
    next_cursor: NextCursor


class ClosingBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Why a day is to be closed although differences are open."""

    note: Annotated[Sentence, Meta(description="Why.", examples=["the channel corrects it next month"])]


@get(
    "/statement-days",
    summary="List statement days",
    operation_id="listStatementDays",
    tags=TAGS,
    opt=needs("reconciliation.read"),
)
async def list_days(
    admin: Admin,
    account_id: AccountId = None,
    status: Annotated[
        DayStatus | None, QueryParameter(description="Only these.", examples=[Example(value="with_differences")])
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> DayPage:
    """Newest first."""
    page = await admin.reconciliation.days(
        account_id=account_id, status=str(status) if status else None, cursor=cursor, limit=limit
    )
    return DayPage(data=[_day_of_row(row) for row in page.rows], next_cursor=page.next_cursor)


@post(
    "/statement-days/{account_id:str}/{day:str}/run",
    status_code=202,
    summary="Fetch and match a day now",
    operation_id="runStatementDay",
    tags=TAGS,
    opt=needs("reconciliation.run"),
)
async def run_day(
    account_id: FromPath[str], day: FromPath[str], request: Req, admin: Admin, actor: Who
) -> Response[DayView]:
    """Due at once: what is missing is fetched, what is there is matched again. Look at the day for what came of it."""

    async def run() -> DayView:
        return day_view(await admin.run_day(actor, account_id, day_of(day)))

    return await once(admin, request, actor, None, run, status=202)


@post(
    "/statement-days/{account_id:str}/{day:str}/close",
    status_code=200,
    summary="Close a day without open differences",
    operation_id="closeStatementDay",
    tags=TAGS,
    opt=needs("reconciliation.run"),
)
async def close_day(
    account_id: FromPath[str], day: FromPath[str], request: Req, admin: Admin, actor: Who
) -> Response[DayView]:
    """No more is expected of it. 409 `day_has_differences` while some are open: propose the closing then."""

    async def run() -> DayView:
        return day_view(await admin.close_day(actor, account_id, day_of(day)))

    return await once(admin, request, actor, None, run, status=200)


@post(
    "/statement-days/{account_id:str}/{day:str}/propose-closing",
    summary="Propose to close a day with open differences",
    operation_id="proposeClosing",
    tags=TAGS,
    opt=needs("reconciliation.resolve"),
)
async def propose_closing(
    *,
    account_id: FromPath[str],
    day: FromPath[str],
    data: JSONBody[ClosingBody],
    request: Req,
    admin: Admin,
    actor: Who,
) -> Response[ProposalView]:
    """Another person, with `reconciliation.approve`, decides."""

    async def run() -> ProposalView:
        return proposal_view(await admin.propose_remedy.close_day(actor, account_id, day_of(day), data.note))

    return await once(admin, request, actor, data, run)


def day_view(day: StatementDay) -> DayView:
    return DayView(
        object="statement_day",
        account_id=day.account_id,
        day=day.day.isoformat(),
        mode=day.mode,
        status=day.status,
        files=dict(day.files),
        matched=day.matched,
        differences=day.differences,
        held=day.held,
        foreign=day.foreign,
        next_at=time_of(day.next_at),
        note=day.note,
        closed_by=day.closed_by,
    )


def _day_of_row(row: Any) -> DayView:
    shown = {**row, "day": row["day"].isoformat(), "foreign": row["foreign_lines"]}
    view: DayView = row_view(DayView, shown, "statement_day")
    return view


def day_of(text: str) -> date:
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InvalidRequest("a day is written as 2026-11-01", code="day_invalid", pointer="/day")


HANDLERS = [list_days, run_day, close_day, propose_closing]
