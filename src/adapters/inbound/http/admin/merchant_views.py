"""What operators see of merchants, products and channel accounts. No field holds a secret."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from adapters.inbound.http.admin.views import NextCursor
from adapters.inbound.http.views import OBJECT, Time
from domain.channels import Access, Channel, Credential, FundMode, Method, Mode
from domain.errors import InvalidRequest
from domain.limits import Limit
from domain.merchants import LatePayment, Merchant
from domain.money import FeePlan
from domain.products import Pricing, Product, ProductVersion, Standing
from domain.times import rfc3339

T = TypeVar("T", bound=msgspec.Struct)

MerchantId = Annotated[str, Meta(description="Our id.", examples=["mch_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
ProductId = Annotated[str, Meta(description="Our id.", examples=["prd_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]


class ContactView(msgspec.Struct, kw_only=True):
    """Whom to call."""

    name: Annotated[str, Meta(description="The person.", examples=["王丽"])]
    role: Annotated[str, Meta(description="For what.", examples=["财务"])]
    phone: Annotated[str, Meta(description="A telephone number.", examples=["+86 138 0000 0000"])]
    email: Annotated[str, Meta(description="A mail address.", examples=["finance@shop.example"])]


class PayeeView(msgspec.Struct, kw_only=True):
    """Where payouts go."""

    kind: Annotated[
        Literal["bank", "alipay_user", "alipay_login", "alipay_open", "wechat_openid"],
        Meta(description="What it is: a bank account, or an account at a channel.", examples=["bank"]),
    ]
    holder: Annotated[str, Meta(description="Whose account it is.", examples=["火龙果咖啡有限公司"])]
    bank: Annotated[
        str, Meta(description="The bank; empty for an account at a channel.", examples=["招商银行上海分行"])
    ]
    number: Annotated[str, Meta(description="The end of its number.", examples=["****6789"])]
    changed_at: Time


class MerchantView(msgspec.Struct, kw_only=True):
    """A merchant."""

    id: MerchantId
    object: Annotated[Literal["merchant"], OBJECT]
    name: Annotated[str, Meta(description="Its full name.", examples=["火龙果咖啡有限公司"])]
    short_name: Annotated[str, Meta(description="What payers see; empty: the name.", examples=["火龙果咖啡"])]
    active: Annotated[bool, Meta(description="False: suspended.", examples=[True])]
    contacts: Annotated[list[ContactView], Meta(description="Whom to call.")]
    late_payment: Annotated[LatePayment, Meta(description="For money that comes too late.", examples=["refund"])]
    fund_modes: Annotated[list[FundMode], Meta(description="Who may receive its money.", examples=[["direct"]])]
    networks: Annotated[
        list[str], Meta(description="From where its API keys work; none: from anywhere.", examples=[["203.0.113.0/24"]])
    ]
    orders_per_minute: Annotated[int | None, Meta(description="The most; null: any number.", examples=[600])]
    payee: Annotated[PayeeView | None, Meta(description="Where payouts go.")]
    created_at: Time


class MerchantPage(msgspec.Struct, kw_only=True):
    """Merchants, newest first."""

    data: Annotated[list[MerchantView], Meta(description="This page.")]
    next_cursor: NextCursor


class PriceView(msgspec.Struct, kw_only=True):
    """What one method costs."""

    method: Annotated[Method, Meta(description="The method.", examples=["alipay_qr"])]
    rate_ppm: Annotated[int, Meta(description="Parts per million.", examples=[6000])]
    minimum: Annotated[int, Meta(description="The least fee, in fen.", examples=[0])]
    maximum: Annotated[int | None, Meta(description="The most, in fen; null: any.", examples=[None])]
    kept: Annotated[bool, Meta(description="It stays ours when a payment is refunded.", examples=[False])]


class VersionView(msgspec.Struct, kw_only=True):
    """The prices of a product from an instant on, until a later version."""

    n: Annotated[int, Meta(description="Counted from 1.", examples=[1])]
    valid_from: Time
    prices: Annotated[list[PriceView], Meta(description="By method.")]


class ProductView(msgspec.Struct, kw_only=True):
    """A product."""

    id: ProductId
    object: Annotated[Literal["product"], OBJECT]
    name: Annotated[str, Meta(description="What operators know it by.", examples=["扫码支付 0.6%"])]
    listed: Annotated[bool, Meta(description="On the shelf: merchants can be bound to it.", examples=[True])]
    created_at: Time


class ProductDetail(ProductView, kw_only=True):
    """A product with all its versions, oldest first."""

    versions: Annotated[list[VersionView], Meta(description="All of them.")]


class ProductPage(msgspec.Struct, kw_only=True):
    """Products, newest first."""

    data: Annotated[list[ProductView], Meta(description="This page.")]
    next_cursor: NextCursor


class LimitView(msgspec.Struct, kw_only=True):
    """The limits of one method."""

    method: Annotated[Method, Meta(description="The method.", examples=["alipay_qr"])]
    single: Annotated[int | None, Meta(description="The most of one payment, in fen.", examples=[500000])]
    daily: Annotated[int | None, Meta(description="The most of one day, in fen.", examples=[10000000])]


class BindingView(msgspec.Struct, kw_only=True):
    """From when on the merchant has a product."""

    product_id: ProductId
    valid_from: Time


class OverrideView(msgspec.Struct, kw_only=True):
    """From when on the merchant has a price of its own; null: its product's again."""

    method: Annotated[Method, Meta(description="The method.", examples=["alipay_qr"])]
    price: Annotated[PriceView | None, Meta(description="The price.")]
    valid_from: Time


class TermsView(msgspec.Struct, kw_only=True):
    """What holds for a merchant now, and how that came."""

    merchant_id: MerchantId
    object: Annotated[Literal["merchant_terms"], OBJECT]
    prices: Annotated[list[PriceView], Meta(description="What it is offered now, by method.")]
    limits: Annotated[list[LimitView], Meta(description="Its limits, by method.")]
    bindings: Annotated[list[BindingView], Meta(description="In the order in which they were written.")]
    overrides: Annotated[list[OverrideView], Meta(description="In the order in which they were written.")]


class CostView(msgspec.Struct, kw_only=True):
    """What the channel charges for one method."""

    method: Annotated[Method, Meta(description="The method.", examples=["alipay_qr"])]
    rate_ppm: Annotated[int, Meta(description="Parts per million.", examples=[3800])]


class CredentialView(msgspec.Struct, kw_only=True):
    """How we sign and verify. Which secrets these are, their fingerprints tell."""

    id: Annotated[str, Meta(description="Our id.", examples=["crd_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    object: Annotated[Literal["credential"], OBJECT]
    channel: Annotated[Channel, Meta(description="The channel.", examples=["wechat"])]
    mode: Annotated[Mode, Meta(description="Live or test.", examples=["test"])]
    app_id: Annotated[str, Meta(description="Alipay's application, WeChat's appid.", examples=["2021000000000001"])]
    merchant_id: Annotated[str | None, Meta(description="Whose it is; null: the platform's.", examples=[None])]
    provider: Annotated[str | None, Meta(description="A service provider's number, if it is one's.", examples=[None])]
    version: Annotated[int, Meta(description="Grows with each rotation.", examples=[1])]
    public: Annotated[
        dict[str, str],
        Meta(description="What may be shown: the channel's keys, ids, serials.", examples=[{"mch_serial": "5157F0"}]),
    ]
    fingerprints: Annotated[
        dict[str, str],
        Meta(
            description="The last four hex digits of each secret's SHA-256 (without armour and white space).",
            examples=[{"app_private_key": "9f2c"}],
        ),
    ]
    previous_until: Annotated[
        str | None, Meta(description="Until when the keys before the last rotation verify.", examples=[None])
    ]


class AccountView(msgspec.Struct, kw_only=True):
    """A channel account: where money lands."""

    id: Annotated[str, Meta(description="Our id.", examples=["cha_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    object: Annotated[Literal["channel_account"], OBJECT]
    channel: Annotated[Channel, Meta(description="The channel.", examples=["alipay"])]
    mode: Annotated[Mode, Meta(description="Live or test.", examples=["test"])]
    merchant_id: Annotated[str | None, Meta(description="Its owner; null: the platform.", examples=[None])]
    fund_mode: Annotated[FundMode, Meta(description="Who receives the money.", examples=["collect"])]
    payee: Annotated[str, Meta(description="seller_id, mchid or sub_mchid.", examples=["2088000000000001"])]
    sub_app_id: Annotated[str | None, Meta(description="WeChat's sub_appid.", examples=[None])]
    authorised: Annotated[bool, Meta(description="Whether it has secrets of its own.", examples=[False])]
    methods: Annotated[list[Method], Meta(description="What it offers.", examples=[["alipay_qr"]])]
    cost_rate_ppm: Annotated[int, Meta(description="What the channel charges.", examples=[3800])]
    cost_rates: Annotated[list[CostView], Meta(description="For methods that differ.")]
    priority: Annotated[int, Meta(description="Higher ones are taken first.", examples=[0])]
    enabled: Annotated[bool, Meta(description="False: nothing new goes through it.", examples=[True])]
    credential: Annotated[CredentialView, Meta(description="How we sign for it.")]


class AccountPage(msgspec.Struct, kw_only=True):
    """Channel accounts, newest first."""

    data: Annotated[list[AccountView], Meta(description="This page.")]
    next_cursor: NextCursor


def merchant_view(merchant: Merchant) -> MerchantView:
    shown = merchant.snapshot()
    return MerchantView(
        **{
            **shown,
            "contacts": [ContactView(**contact) for contact in shown["contacts"]],
            "payee": PayeeView(**shown["payee"]) if shown["payee"] else None,
        }
    )


def price_views(plans: Mapping[Method, FeePlan]) -> list[PriceView]:
    return [_price(method, plan) for method, plan in sorted(plans.items())]


def _price(method: Method, plan: FeePlan) -> PriceView:
    return PriceView(method=method, rate_ppm=plan.rate.ppm, minimum=plan.minimum, maximum=plan.maximum, kept=plan.kept)


def product_view(product: Product) -> ProductView:
    return ProductView(**product.snapshot())


def product_detail(product: Product, versions: Sequence[ProductVersion]) -> ProductDetail:
    shown = [
        VersionView(n=version.n, valid_from=rfc3339(version.valid_from), prices=price_views(version.plans))
        for version in versions
    ]
    return ProductDetail(**product.snapshot(), versions=shown)


def limit_view(limit: Limit) -> LimitView:
    return LimitView(method=limit.method, single=limit.single, daily=limit.daily)


def terms_view(standing: Standing, pricing: Pricing) -> TermsView:
    return TermsView(
        merchant_id=standing.merchant.id,
        object="merchant_terms",
        prices=price_views(standing.plans),
        limits=[limit_view(limit) for _, limit in sorted(standing.limits.items())],
        bindings=[
            BindingView(product_id=each.product_id, valid_from=rfc3339(each.valid_from)) for each in pricing.bindings
        ],
        overrides=[
            OverrideView(
                method=each.method,
                price=None if each.plan is None else _price(each.method, each.plan),
                valid_from=rfc3339(each.valid_from),
            )
            for each in pricing.overrides
        ],
    )


def credential_view(credential: Credential) -> CredentialView:
    return CredentialView(**credential.snapshot())


def account_view(access: Access) -> AccountView:
    shown = access.account.snapshot()
    costs = [CostView(method=Method(method), rate_ppm=ppm) for method, ppm in shown["cost_rates"].items()]
    return AccountView(
        **{**shown, "object": "channel_account", "cost_rates": costs, "credential": credential_view(access.credential)}
    )


def page_after(cursor: str | None, prefix: str) -> str | None:
    """The id that a cursor stands for: the last one seen. Raises InvalidRequest for anything else."""
    if cursor is not None and not (cursor.startswith(f"{prefix}_") and len(cursor) == 30 and cursor.isascii()):
        raise InvalidRequest("this cursor is not one of ours", code="cursor_invalid")
    return cursor


def next_cursor(ids: Sequence[str], limit: int) -> str | None:
    return ids[-1] if len(ids) == limit else None
