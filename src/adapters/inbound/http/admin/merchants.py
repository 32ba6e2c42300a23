"""/admin/v1/merchants: who collects, at which prices, within which limits, and where the payouts go."""

from litestar import Response, get, patch, post, put
from litestar.params import FromPath, JSONBody

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin, Who, once
from adapters.inbound.http.admin.merchant_bodies import (
    BindingBody,
    LimitBody,
    MerchantChanges,
    NewMerchant,
    OrderRateBody,
    OverrideBody,
    PayeeBody,
    ReasonBody,
    merchant_fields,
)
from adapters.inbound.http.admin.merchant_views import (
    LimitView,
    MerchantPage,
    MerchantView,
    TermsView,
    limit_view,
    merchant_view,
    next_cursor,
    page_after,
    terms_view,
)
from adapters.inbound.http.admin.views import ProposalView, proposal_view
from adapters.inbound.http.kit import Cursor, Limit, Req
from domain.channels import Method
from domain.payouts import PayeeKind

TAGS = ["Merchants"]
PRICES = ["Prices"]


@post(
    "/merchants",
    summary="Create a merchant",
    operation_id="createMerchant",
    tags=TAGS,
    opt=needs("merchants.create"),
)
async def create_merchant(
    data: JSONBody[NewMerchant], request: Req, admin: Admin, actor: Who
) -> Response[MerchantView]:
    """It is active, and can collect as soon as it has a product, a channel account and an API key."""

    async def run() -> MerchantView:
        fields = merchant_fields(data)
        return merchant_view(await admin.keep_merchants.create(actor, str(fields.pop("name")), **fields))

    return await once(admin, request, actor, data, run)


@get("/merchants", summary="List merchants", operation_id="listMerchants", tags=TAGS, opt=needs("merchants.read"))
async def list_merchants(admin: Admin, cursor: Cursor = None, limit: Limit = 20) -> MerchantPage:
    """Newest first, suspended ones among them."""
    found = await admin.keep_merchants.page(before=page_after(cursor, "mch"), limit=limit)
    return MerchantPage(
        data=[merchant_view(merchant) for merchant in found],
        next_cursor=next_cursor([merchant.id for merchant in found], limit),
    )


@get(
    "/merchants/{merchant_id:str}",
    summary="Get a merchant",
    operation_id="getMerchant",
    tags=TAGS,
    opt=needs("merchants.read"),
)
async def get_merchant(merchant_id: FromPath[str], admin: Admin) -> MerchantView:
    """One merchant. Of the bank account's number its end is shown."""
    return merchant_view(await admin.keep_merchants.get(merchant_id))


@patch(
    "/merchants/{merchant_id:str}",
    summary="Edit a merchant",
    operation_id="editMerchant",
    tags=TAGS,
    opt=needs("merchants.edit"),
)
async def edit_merchant(
    merchant_id: FromPath[str], data: JSONBody[MerchantChanges], admin: Admin, actor: Who
) -> MerchantView:
    """What is given changes, the rest stays. API keys follow a new allow-list within a second."""
    return merchant_view(await admin.keep_merchants.edit(actor, merchant_id, **merchant_fields(data)))


@post(
    "/merchants/{merchant_id:str}/suspend",
    status_code=200,
    summary="Suspend a merchant",
    operation_id="suspendMerchant",
    tags=TAGS,
    opt=needs("merchants.suspend"),
)
async def suspend(
    merchant_id: FromPath[str], data: JSONBody[ReasonBody], request: Req, admin: Admin, actor: Who
) -> Response[MerchantView]:
    """No new orders (within a second) and no new attempts (at once). What payers have begun comes to its end: notices
    are taken, payments are booked, refunds go on, notifications are sent."""

    async def run() -> MerchantView:
        return merchant_view(await admin.keep_merchants.suspend(actor, merchant_id, data.reason))

    return await once(admin, request, actor, data, run, status=200)


@post(
    "/merchants/{merchant_id:str}/reactivate",
    status_code=200,
    summary="Reactivate a merchant",
    operation_id="reactivateMerchant",
    tags=TAGS,
    opt=needs("merchants.suspend"),
)
async def reactivate(
    merchant_id: FromPath[str], data: JSONBody[ReasonBody], request: Req, admin: Admin, actor: Who
) -> Response[MerchantView]:
    """It may place orders again."""

    async def run() -> MerchantView:
        return merchant_view(await admin.keep_merchants.reactivate(actor, merchant_id, data.reason))

    return await once(admin, request, actor, data, run, status=200)


@post(
    "/merchants/{merchant_id:str}/payee",
    status_code=202,
    summary="Propose where payouts go",
    operation_id="proposePayee",
    tags=TAGS,
    opt=needs("merchants.propose_payee", step_up=True),
)
async def propose_payee(
    merchant_id: FromPath[str], data: JSONBody[PayeeBody], request: Req, admin: Admin, actor: Who
) -> Response[ProposalView]:
    """Another who holds `merchants.approve_payee` approves it. The number is encrypted before it is stored."""

    async def run() -> ProposalView:
        return proposal_view(
            await admin.propose_payee(
                actor,
                merchant_id,
                kind=PayeeKind(data.kind),
                holder=data.holder,
                bank=data.bank,
                number=data.number,
            )
        )

    return await once(admin, request, actor, data, run, status=202)


@get(
    "/merchants/{merchant_id:str}/terms",
    summary="Get a merchant's prices and limits",
    operation_id="getMerchantTerms",
    tags=PRICES,
    opt=needs("merchants.read"),
)
async def get_terms(merchant_id: FromPath[str], admin: Admin) -> TermsView:
    """What holds now, and all that was ever agreed or is agreed for later."""
    return terms_view(*await admin.keep_merchants.standing(merchant_id))


@post(
    "/merchants/{merchant_id:str}/product",
    status_code=202,
    summary="Propose a product for a merchant",
    operation_id="proposeBinding",
    tags=PRICES,
    opt=needs("rates.propose"),
)
async def propose_binding(
    merchant_id: FromPath[str], data: JSONBody[BindingBody], request: Req, admin: Admin, actor: Who
) -> Response[ProposalView]:
    """Another who holds `rates.approve` approves it. What begins earlier than the approval begins with it."""

    async def run() -> ProposalView:
        proposal = await admin.propose_prices.binding(actor, merchant_id, data.product_id, data.valid_from)
        return proposal_view(proposal)

    return await once(admin, request, actor, data, run, status=202)


@post(
    "/merchants/{merchant_id:str}/rates/{method:str}",
    status_code=202,
    summary="Propose a price of a merchant's own",
    operation_id="proposeOverride",
    tags=PRICES,
    opt=needs("rates.propose"),
)
async def propose_override(
    *,
    merchant_id: FromPath[str],
    method: FromPath[Method],
    data: JSONBody[OverrideBody],
    request: Req,
    admin: Admin,
    actor: Who,
) -> Response[ProposalView]:
    """For one method, instead of its product's. Attempts under way keep the price that they began with."""

    async def run() -> ProposalView:
        proposal = await admin.propose_prices.override(actor, merchant_id, method, data.plan(), data.valid_from)
        return proposal_view(proposal)

    return await once(admin, request, actor, data, run, status=202)


@put(
    "/merchants/{merchant_id:str}/limits/{method:str}",
    summary="Set the limits of a method",
    operation_id="setLimit",
    tags=TAGS,
    opt=needs("limits.write"),
)
async def set_limit(
    merchant_id: FromPath[str], method: FromPath[Method], data: JSONBody[LimitBody], admin: Admin, actor: Who
) -> LimitView:
    """In place of those that stood; two nulls take them away. A day's amount has what was paid and what may still be
    paid by attempts that began since the day had a limit; what comes to nothing is given back."""
    return limit_view(await admin.keep_merchants.limit(actor, merchant_id, data.limit(method)))


@put(
    "/merchants/{merchant_id:str}/order_rate",
    summary="Set how many orders a merchant may place",
    operation_id="setOrderRate",
    tags=TAGS,
    opt=needs("limits.write"),
)
async def set_order_rate(
    merchant_id: FromPath[str], data: JSONBody[OrderRateBody], admin: Admin, actor: Who
) -> MerchantView:
    """In a minute, in each mode. Beyond it an order is refused with 429 `order_rate_limit` and `Retry-After`."""
    return merchant_view(await admin.keep_merchants.limit_orders(actor, merchant_id, data.per_minute))


HANDLERS = [
    create_merchant,
    list_merchants,
    get_merchant,
    edit_merchant,
    suspend,
    reactivate,
    propose_payee,
    get_terms,
    propose_binding,
    propose_override,
    set_limit,
    set_order_rate,
]
