"""/admin/v1/lists: everything there is, as flat rows: pages, totals, CSV; and the search by any number."""

import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin
from adapters.inbound.http.kit import Cursor, Limit
from adapters.inbound.http.problems import BadRequest, speaks_chinese
from adapters.inbound.http.views import NextCursor, Time
from application.listings import LISTINGS
from application.ports.lists import Asked, Hit, Kind, Listing, Told
from domain.channels import Mode
from domain.errors import NotFound
from domain.times import rfc3339

TAGS = ["Lists"]
MODE = Annotated[Mode, QueryParameter(description="Live money or test money.", examples=[Example(value="test")])]
Moment = Annotated[
    str | None,
    QueryParameter(
        max_length=40, description="RFC 3339 with offset.", examples=[Example(value="2026-11-01T00:00:00Z")]
    ),
]
Sort = Annotated[
    Literal["newest", "oldest"], QueryParameter(description="Which come first.", examples=[Example(value="newest")])
]
_TYPES: dict[Kind, tuple[Any, Any]] = {
    Kind.TEXT: (str | None, "…"),
    Kind.NUMBER: (int | None, 7),
    Kind.AMOUNT: (int | None, 1990),
    Kind.TIME: (str | None, "2026-11-01T08:30:00.000+00:00"),
    Kind.FLAG: (bool | None, True),
    Kind.JSON: (dict[str, Any] | None, {}),
}


class TotalsView(msgspec.Struct, kw_only=True):
    """What a filter comes to."""

    count: Annotated[int, Meta(ge=0, description="How many rows.", examples=[3])]
    exact: Annotated[bool, Meta(description="False beyond 100,000 rows: then it is of that many.", examples=[True])]
    sums: Annotated[
        dict[str, int],
        Meta(description="The sum of the amounts by currency, in minor units.", examples=[{"CNY": 1990}]),
    ]


class HitView(msgspec.Struct, kw_only=True):
    """An object that bears the number."""

    kind: Annotated[str, Meta(description="What it is.", examples=["order"])]
    id: Annotated[str, Meta(description="Our id of it.", examples=["ord_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    field: Annotated[str, Meta(description="Which of its numbers it is.", examples=["merchant_order_no"])]
    order_id: Annotated[str | None, Meta(description="The order it belongs to.", examples=[None])]
    merchant_id: Annotated[str | None, Meta(description="Whose it is.", examples=["mch_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    mode: Annotated[str | None, Meta(description="Live or test.", examples=["live"])]


class HitList(msgspec.Struct, kw_only=True):
    """What the number was found in."""

    data: Annotated[list[HitView], Meta(description="At most twenty of a kind.")]


class ToldView(msgspec.Struct, kw_only=True):
    """One line of an order's story."""

    at: Time
    what: Annotated[str, Meta(description="`event`, `payment`, `transfer`, `delivery` or `audit`.", examples=["event"])]
    type: Annotated[str, Meta(description="What exactly.", examples=["order.paid"])]
    object_id: Annotated[str, Meta(description="To what.", examples=["ord_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    actor: Annotated[str, Meta(description="`merchant`, `channel`, `system` or a person.", examples=["channel"])]
    cause: Annotated[str | None, Meta(description="Why, as far as it is known.", examples=["notice:20261101"])]
    detail: Annotated[dict[str, Any], Meta(description="What more there is to say.", examples=[{"status": "paid"}])]


class Story(msgspec.Struct, kw_only=True):
    """Everything that is known to have happened to an order."""

    data: Annotated[list[ToldView], Meta(description="Oldest first; at most 500 lines.")]


def _row_struct(listing: Listing) -> type[msgspec.Struct]:
    name = "".join(word.title() for word in listing.name.split("_"))
    fields = [
        (
            column,
            Annotated[_TYPES[its.kind][0], Meta(description=f"{column} {its.zh}", examples=[_TYPES[its.kind][1]])],
        )
        for column, its in listing.columns.items()
    ]
    return msgspec.defstruct(f"{name}Row", fields, kw_only=True, module=__name__)


def _page_struct(row: type[msgspec.Struct]) -> type[msgspec.Struct]:
    data = Annotated[list[row], Meta(description="The rows of this page.")]  # type: ignore[valid-type]
    name = row.__name__.removesuffix("Row")
    return msgspec.defstruct(f"{name}ListPage", [("data", data), ("next_cursor", NextCursor)], kw_only=True)


def _filters(listing: Listing) -> dict[str, tuple[Any, Any]]:
    """Parameter, its annotation, its default."""
    found: dict[str, tuple[Any, Any]] = {}
    for name, choices in listing.filters.items():
        if name == "mode":
            found[name] = (MODE, Mode.LIVE)
            continue
        kind: Any = Literal[choices] if choices else str
        example = choices[0] if choices else f"{name[:3]}_01KB5P4Z0W"
        about = QueryParameter(
            max_length=None if choices else 128, description=f"Only this {name}.", examples=[Example(value=example)]
        )
        found[name] = (Annotated[kind | None, about], None)
    if listing.ranged:
        found["since"] = found["until"] = (Moment, None)
    found["sort"] = (Sort, "newest")
    return found


def _asked(listing: Listing, given: dict[str, Any]) -> Asked:
    filters = {name: str(given[name]) for name in listing.filters if given.get(name) is not None}
    return Asked.of(
        listing,
        filters,
        since=_moment("since", given.get("since")),
        until=_moment("until", given.get("until")),
        oldest_first=given.get("sort") == "oldest",
    )


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not 2000 <= at.year <= 2200:
        raise BadRequest(
            f"{name}: expected a time with its offset (RFC 3339)", "parameter_invalid", status=422, parameter=name
        )
    return at


def _with_signature(
    run: Callable[..., Any], name: str, about: str, returns: Any, parameters: dict[str, tuple[Any, Any]]
) -> Callable[..., Any]:
    """``run`` as a function that names its parameters, as Litestar wants to read them."""
    empty = inspect.Parameter.empty
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(each, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for each, (annotation, default) in parameters.items()
        ],
        return_annotation=returns,
    )
    run.__annotations__ = {each: annotation for each, (annotation, _) in parameters.items()} | {"return": returns}
    run.__name__ = run.__qualname__ = name
    run.__doc__ = about
    assert all(default is not empty or each in ("admin", "request") for each, (_, default) in parameters.items())
    return run


_ADMIN: dict[str, tuple[Any, Any]] = {"admin": (Admin, inspect.Parameter.empty)}


def _page_route(listing: Listing) -> HTTPRouteHandler:
    row = _row_struct(listing)
    page = _page_struct(row)

    async def run(**given: Any) -> Any:
        admin, cursor, limit = given["admin"], given["cursor"], given["limit"]
        found = await admin.lists.page(listing, _asked(listing, given), cursor=cursor, limit=limit)
        return page(data=[row(**each) for each in found.rows], next_cursor=found.next_cursor)

    title = listing.name.replace("_", " ")
    about = f"The platform's {title} as flat rows, page by page. Amounts are minor units."
    paged = {"cursor": (Cursor, None), "limit": (Limit, 20)}
    handler = _with_signature(run, f"list_{listing.name}", about, page, {**_ADMIN, **_filters(listing), **paged})
    return get(
        f"/lists/{listing.name}",
        summary=f"List {title}",
        operation_id=f"list_{listing.name}",
        tags=TAGS,
        opt=needs(listing.permission),
    )(handler)


def _totals_route(listing: Listing) -> HTTPRouteHandler:
    async def run(**given: Any) -> TotalsView:
        totals = await given["admin"].lists.totals(listing, _asked(listing, given))
        return TotalsView(count=totals.count, exact=totals.exact, sums=dict(totals.sums))

    title = listing.name.replace("_", " ")
    about = f"How many {title} a filter has, and what they come to."
    handler = _with_signature(run, f"total_{listing.name}", about, TotalsView, {**_ADMIN, **_filters(listing)})
    return get(
        f"/lists/{listing.name}/totals",
        summary=f"Count {title}",
        operation_id=f"total_{listing.name}",
        tags=TAGS,
        opt=needs(listing.permission),
    )(handler)


def _export_route(listing: Listing) -> HTTPRouteHandler:
    async def run(**given: Any) -> Stream:
        asked = _asked(listing, given)
        chinese = speaks_chinese(given["request"].headers.get("accept-language", ""))
        pieces: AsyncIterator[str] = given["admin"].export_list(listing, asked, chinese=chinese)
        headers = {"Content-Disposition": f'attachment; filename="{listing.name}.csv"'}
        return Stream(pieces, media_type="text/csv; charset=utf-8", headers=headers)

    title = listing.name.replace("_", " ")
    about = (
        f"All {title} of a filter as CSV for spreadsheets: UTF-8 with a mark, amounts in yuan, times of Shanghai, "
        "headings in the language of Accept-Language, nothing that a spreadsheet would take for a formula."
    )
    asker = {"request": (Request[Any, Any, Any], inspect.Parameter.empty)}
    handler = _with_signature(run, f"export_{listing.name}", about, Stream, {**_ADMIN, **asker, **_filters(listing)})
    return get(
        f"/lists/{listing.name}/csv",
        media_type="text/csv",
        summary=f"Export {title}",
        operation_id=f"export_{listing.name}",
        tags=TAGS,
        opt=needs(listing.permission),
    )(handler)


@get("/search", summary="Search by a number", operation_id="search", tags=TAGS, opt=needs("orders.read"))
async def search(
    admin: Admin,
    number: Annotated[
        str,
        QueryParameter(
            min_length=1,
            max_length=128,
            description="Ours, a merchant's or a channel's, in full.",
            examples=[Example(value="20261101-0001")],
        ),
    ],
) -> HitList:
    """Whatever bears exactly this number."""
    return HitList(data=[hit_view(hit) for hit in await admin.finding.search(number.strip())])


@get(
    "/orders/{order_id:str}/timeline",
    summary="Tell an order's story",
    operation_id="getTimeline",
    tags=TAGS,
    opt=needs("orders.read"),
)
async def get_timeline(order_id: FromPath[str], admin: Admin) -> Story:
    """Events, payments, ledger lines, notifications and what people did, oldest first: when, by whom, and why."""
    told = await admin.finding.story(order_id)
    if not told:
        raise NotFound("no such order")
    return Story(data=[told_view(line) for line in told])


def hit_view(hit: Hit) -> HitView:
    return msgspec.convert(hit, HitView, from_attributes=True)


def told_view(line: Told) -> ToldView:
    return ToldView(
        at=rfc3339(line.at),
        what=line.what,
        type=line.type,
        object_id=line.object_id,
        actor=line.actor,
        cause=line.cause,
        detail=dict(line.detail),
    )


HANDLERS: Sequence[HTTPRouteHandler] = [
    *(make(listing) for listing in LISTINGS.values() for make in (_page_route, _totals_route, _export_route)),
    search,
    get_timeline,
]
