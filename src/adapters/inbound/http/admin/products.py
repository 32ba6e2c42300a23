"""/admin/v1/products: sets of methods with prices, in versions, on and off the shelf."""

from litestar import Response, get, patch, post
from litestar.params import FromPath, JSONBody

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin, Who, once
from adapters.inbound.http.admin.merchant_bodies import NewProduct, NewVersion, ProductName, plans
from adapters.inbound.http.admin.merchant_views import (
    ProductDetail,
    ProductPage,
    ProductView,
    next_cursor,
    page_after,
    product_detail,
    product_view,
)
from adapters.inbound.http.admin.views import ProposalView, proposal_view
from adapters.inbound.http.kit import Cursor, Limit, Req

TAGS = ["Prices"]


@post("/products", summary="Create a product", operation_id="createProduct", tags=TAGS, opt=needs("products.write"))
async def create_product(data: JSONBody[NewProduct], request: Req, admin: Admin, actor: Who) -> Response[ProductDetail]:
    """With its first version, off the shelf: nobody pays it yet."""

    async def run() -> ProductDetail:
        return product_detail(*await admin.keep_products.create(actor, data.name, plans(data.prices)))

    return await once(admin, request, actor, data, run)


@get("/products", summary="List products", operation_id="listProducts", tags=TAGS, opt=needs("products.read"))
async def list_products(admin: Admin, cursor: Cursor = None, limit: Limit = 20) -> ProductPage:
    """Newest first, on the shelf or not."""
    found = await admin.keep_products.page(before=page_after(cursor, "prd"), limit=limit)
    return ProductPage(
        data=[product_view(product) for product in found],
        next_cursor=next_cursor([product.id for product in found], limit),
    )


@get(
    "/products/{product_id:str}",
    summary="Get a product",
    operation_id="getProduct",
    tags=TAGS,
    opt=needs("products.read"),
)
async def get_product(product_id: FromPath[str], admin: Admin) -> ProductDetail:
    """One product with all its versions, those to come among them."""
    return product_detail(*await admin.keep_products.get(product_id))


@patch(
    "/products/{product_id:str}",
    summary="Rename a product",
    operation_id="renameProduct",
    tags=TAGS,
    opt=needs("products.write"),
)
async def rename_product(
    product_id: FromPath[str], data: JSONBody[ProductName], admin: Admin, actor: Who
) -> ProductView:
    """Operators know it by its name; merchants do not see it."""
    return product_view(await admin.keep_products.rename(actor, product_id, data.name))


@post(
    "/products/{product_id:str}/list",
    status_code=200,
    summary="Put a product on the shelf",
    operation_id="listProduct",
    tags=TAGS,
    opt=needs("products.write"),
)
async def list_product(product_id: FromPath[str], request: Req, admin: Admin, actor: Who) -> Response[ProductView]:
    """Merchants can be bound to it."""

    async def run() -> ProductView:
        return product_view(await admin.keep_products.shelve(actor, product_id, listed=True))

    return await once(admin, request, actor, None, run, status=200)


@post(
    "/products/{product_id:str}/unlist",
    status_code=200,
    summary="Take a product off the shelf",
    operation_id="unlistProduct",
    tags=TAGS,
    opt=needs("products.write"),
)
async def unlist_product(product_id: FromPath[str], request: Req, admin: Admin, actor: Who) -> Response[ProductView]:
    """No more merchants can be bound to it; those who are keep it."""

    async def run() -> ProductView:
        return product_view(await admin.keep_products.shelve(actor, product_id, listed=False))

    return await once(admin, request, actor, None, run, status=200)


@post(
    "/products/{product_id:str}/versions",
    status_code=202,
    summary="Propose other prices",
    operation_id="proposeVersion",
    tags=TAGS,
    opt=needs("rates.propose"),
)
async def propose_version(
    product_id: FromPath[str], data: JSONBody[NewVersion], request: Req, admin: Admin, actor: Who
) -> Response[ProposalView]:
    """For all merchants who have the product. Another who holds `rates.approve` approves it."""

    async def run() -> ProposalView:
        proposal = await admin.propose_prices.version(actor, product_id, plans(data.prices), data.valid_from)
        return proposal_view(proposal)

    return await once(admin, request, actor, data, run, status=202)


HANDLERS = [create_product, list_products, get_product, rename_product, list_product, unlist_product, propose_version]
