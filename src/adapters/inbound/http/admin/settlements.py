"""/admin/v1: settlements, the rules that merchants are settled by, and what is held back."""

from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post, put
from litestar.openapi.spec import Example
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import END, Admin, Sentence, Who, once
from adapters.inbound.http.admin.merchant_views import page_after
from adapters.inbound.http.kit import Cursor, Limit, Req
from adapters.inbound.http.settlement_views import (
    SettlementPage,
    SettlementView,
    lines_file,
    settlement_page,
    settlement_view,
)
from domain.channels import Mode
from domain.ledger import PLATFORM
from domain.money import Money
from domain.releases import Hold
from domain.settlement_rules import MOST_RISK_DAYS, Cycle, SettlementRule
from domain.settlements import Rail, SettlementOrigin, Source

TAGS = ["Settlements"]
Amount = Annotated[int, Meta(ge=1, le=10**12)]
Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z_]{1,64}" + END)]
InMode = Annotated[Mode, QueryParameter(description="Live money or test money.", examples=[Example(value="live")])]


class SettleBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Settle a merchant now."""

    mode: Annotated[Mode, Meta(description="Live money or test money.", examples=["live"])]


class RuleBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The whole rule."""

    cycle: Annotated[Cycle, Meta(description="How often it is settled without being asked.", examples=["weekly"])]
    day: Annotated[
        int, Meta(ge=0, le=28, description="Weekly: 1 (Monday) to 7; monthly: 1 to 28; else 0.", examples=[1])
    ] = 0
    minimum: Annotated[Amount, Meta(description="The least to settle, in minor units.", examples=[10000])] = 1
    maximum: Annotated[
        Amount | None, Meta(description="The most in one settlement; the rest is carried on.", examples=[5000000])
    ] = None
    fee: Annotated[int, Meta(ge=0, le=10**10, description="Ours, for each settlement.", examples=[100])] = 0
    risk_days: Annotated[
        int,
        Meta(ge=0, le=MOST_RISK_DAYS, description="T+N: workdays after a payment's day.", examples=[1]),
    ] = 1
    rail: Annotated[Rail, Meta(description="How payouts travel.", examples=["manual"])] = Rail.MANUAL
    source: Annotated[
        Id, Meta(description="A bank account's name for `manual`, else the channel account.", examples=["platform"])
    ] = PLATFORM
    fund: Annotated[
        str,
        Meta(max_length=20, pattern=r"^[A-Z]{0,20}" + END, description="The channel account's fund.", examples=[""]),
    ] = ""

    def rule(self, merchant_id: str) -> SettlementRule:
        return SettlementRule(
            merchant_id=merchant_id,
            cycle=self.cycle,
            day=self.day,
            minimum=Money(self.minimum),
            maximum=Money(self.maximum) if self.maximum is not None else None,
            fee=Money(self.fee),
            risk_days=self.risk_days,
            source=Source(self.rail, self.source, self.fund),
        )


class RuleView(msgspec.Struct, kw_only=True):
    """How a merchant is settled."""

    merchant_id: Annotated[str, Meta(description="Whose.", examples=["mch_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    object: Annotated[Literal["settlement_rule"], Meta(description="What kind of object this is.")]
    cycle: Annotated[Cycle, Meta(description="How often.", examples=["weekly"])]
    day: Annotated[int, Meta(description="Of the week or month.", examples=[1])]
    minimum: Annotated[int, Meta(description="The least to settle.", examples=[10000])]
    maximum: Annotated[int | None, Meta(description="The most in one settlement.", examples=[None])]
    fee: Annotated[int, Meta(description="Ours, for each settlement.", examples=[100])]
    currency: Annotated[str, Meta(description="ISO 4217.", examples=["CNY"])]
    risk_days: Annotated[int, Meta(description="T+N, in workdays.", examples=[1])]
    rail: Annotated[Rail, Meta(description="How payouts travel.", examples=["manual"])]
    source: Annotated[str, Meta(description="What they are taken from.", examples=["platform"])]
    fund: Annotated[str, Meta(description="The channel account's fund.", examples=[""])]
    next_at: Annotated[
        str | None, Meta(description="The next automatic settlement.", examples=["2026-11-30T06:00:00.000+00:00"])
    ]


class HoldBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Hold back all of a merchant's payments, or one order's."""

    order_id: Annotated[Id | None, Meta(description="Null for all of the merchant's.", examples=[None])] = None
    reason: Annotated[Sentence, Meta(description="Why.", examples=["a complaint is open"])]


class LiftBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Why it may go on."""

    reason: Annotated[Sentence, Meta(description="Why.", examples=["the complaint was withdrawn"])]


class HoldView(msgspec.Struct, kw_only=True):
    """What keeps payments pending."""

    id: Annotated[str, Meta(description="Our id.", examples=["hld_01KB5P4Z0W3V7H2M9T8Q6R5N4H"])]
    object: Annotated[Literal["hold"], Meta(description="What kind of object this is.")]
    merchant_id: Annotated[str, Meta(description="Whose.", examples=["mch_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    subject: Annotated[str, Meta(description="The merchant or the order.", examples=["ord_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    reason: Annotated[str, Meta(description="Why.", examples=["a complaint is open"])]
    placed_by: Annotated[str, Meta(description="Who.", examples=["opr_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    placed_at: Annotated[str, Meta(description="When.", examples=["2026-11-01T08:30:00.000+00:00"])]
    lifted_by: Annotated[str | None, Meta(description="Who lifted it; null while it stands.", examples=[None])]
    lifted_at: Annotated[str | None, Meta(description="When.", examples=[None])]


class HoldList(msgspec.Struct, kw_only=True):
    """Holds, newest first, lifted ones among them."""

    data: Annotated[list[HoldView], Meta(description="All of the merchant.")]
    next_cursor: Annotated[None, Meta(description="Always null: they fit on one page.", examples=[None])] = None


@post(
    "/merchants/{merchant_id:str}/settlements",
    summary="Settle a merchant now",
    operation_id="settleMerchant",
    tags=TAGS,
    opt=needs("settlements.request", step_up=True),
)
async def settle_merchant(
    merchant_id: FromPath[str], data: JSONBody[SettleBody], request: Req, admin: Admin, actor: Who
) -> Response[SettlementView]:
    """Sweep all that is available. Another person, with `settlements.approve`, decides: approve or reject the proposal
    `settlement.approve`; what is rejected, withdrawn or undecided for 72 hours goes back to the merchant.

    409: `nothing_to_settle`, `settlement_below_minimum`, `merchant_on_hold`; on approval `payee_missing` and
    `payee_cooling_off`."""

    async def run() -> SettlementView:
        return settlement_view(await admin.settle(actor, merchant_id, data.mode, SettlementOrigin.OPERATOR))

    return await once(admin, request, actor, data, run)


@get(
    "/merchants/{merchant_id:str}/settlements",
    summary="List a merchant's settlements",
    operation_id="listMerchantSettlements",
    tags=TAGS,
    opt=needs("settlements.read"),
)
async def list_settlements(
    merchant_id: FromPath[str], admin: Admin, mode: InMode = Mode.LIVE, cursor: Cursor = None, limit: Limit = 20
) -> SettlementPage:
    """Newest first."""
    found = await admin.find_settlement.page(merchant_id, mode, before=page_after(cursor, "stl"), limit=limit + 1)
    return settlement_page(found, limit)


@get(
    "/settlements/{settlement_id:str}",
    summary="Get a settlement",
    operation_id="getAnySettlement",
    tags=TAGS,
    opt=needs("settlements.read"),
)
async def get_settlement(settlement_id: FromPath[str], admin: Admin) -> SettlementView:
    """As it stands now."""
    return settlement_view(await admin.find_settlement(settlement_id))


@get(
    "/settlements/{settlement_id:str}/statement",
    media_type="text/csv",
    summary="Get what is inside a settlement",
    operation_id="getAnySettlementStatement",
    tags=TAGS,
    opt=needs("settlements.read"),
)
async def get_statement(settlement_id: FromPath[str], admin: Admin) -> Stream:
    """CSV: every transfer that it swept."""
    settlement = await admin.find_settlement(settlement_id)
    return lines_file(settlement, await admin.find_settlement.inside(settlement))


@get(
    "/merchants/{merchant_id:str}/settlement_rule",
    summary="Get how a merchant is settled",
    operation_id="getSettlementRule",
    tags=TAGS,
    opt=needs("settlements.read"),
)
async def get_rule(merchant_id: FromPath[str], admin: Admin) -> RuleView:
    """The defaults, for one that has no rule of its own."""
    return rule_view(await admin.keep_settlement_rules.get(merchant_id))


@put(
    "/merchants/{merchant_id:str}/settlement_rule",
    summary="Set how a merchant is settled",
    operation_id="setSettlementRule",
    tags=TAGS,
    opt=needs("settlements.rules", step_up=True),
)
async def set_rule(merchant_id: FromPath[str], data: JSONBody[RuleBody], admin: Admin, actor: Who) -> RuleView:
    """The whole rule, for both modes. Other risk days hold for everything that is not released yet."""
    return rule_view(await admin.keep_settlement_rules.set(actor, data.rule(merchant_id)))


@post(
    "/merchants/{merchant_id:str}/holds",
    summary="Hold back payments",
    operation_id="placeHold",
    tags=TAGS,
    opt=needs("settlements.hold", step_up=True),
)
async def place_hold(
    merchant_id: FromPath[str], data: JSONBody[HoldBody], request: Req, admin: Admin, actor: Who
) -> Response[HoldView]:
    """They stay pending until it is lifted. One over a merchant stops its settlements, too."""

    async def run() -> HoldView:
        return hold_view(await admin.keep_holds.place(actor, merchant_id, data.order_id, data.reason))

    return await once(admin, request, actor, data, run)


@get(
    "/merchants/{merchant_id:str}/holds",
    summary="List a merchant's holds",
    operation_id="listHolds",
    tags=TAGS,
    opt=needs("settlements.read"),
)
async def list_holds(merchant_id: FromPath[str], admin: Admin) -> HoldList:
    """Newest first, lifted ones among them."""
    return HoldList(data=[hold_view(hold) for hold in await admin.keep_holds.of_merchant(merchant_id)])


@post(
    "/holds/{hold_id:str}/lift",
    summary="Lift a hold",
    operation_id="liftHold",
    tags=TAGS,
    opt=needs("settlements.hold", step_up=True),
)
async def lift_hold(
    hold_id: FromPath[str], data: JSONBody[LiftBody], request: Req, admin: Admin, actor: Who
) -> Response[HoldView]:
    """What waited is released with the next sweep."""

    async def run() -> HoldView:
        return hold_view(await admin.keep_holds.lift(actor, hold_id, data.reason))

    return await once(admin, request, actor, data, run)


def rule_view(rule: SettlementRule) -> RuleView:
    return msgspec.convert(rule.snapshot(), RuleView)


def hold_view(hold: Hold) -> HoldView:
    return msgspec.convert(hold.snapshot(), HoldView)


HANDLERS = [
    settle_merchant,
    list_settlements,
    get_settlement,
    get_statement,
    get_rule,
    set_rule,
    place_hold,
    list_holds,
    lift_hold,
]
