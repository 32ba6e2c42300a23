"""What operators send about merchants, products and prices: one struct a body with every limit in it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from adapters.inbound.http.admin.kit import PLAIN, Name, Sentence
from domain.channels import FundMode, Method
from domain.errors import InvalidRequest
from domain.limits import Limit
from domain.merchants import Contact, LatePayment
from domain.money import FeePlan, Rate

Short = Annotated[str, Meta(max_length=40, pattern=rf"^$|{PLAIN}")]
Text = Annotated[str, Meta(max_length=120, pattern=rf"^$|{PLAIN}")]
Amount = Annotated[int, Meta(ge=1, le=10**12)]
Fee = Annotated[int, Meta(ge=0, le=10**10)]
Networks = Annotated[
    list[Annotated[str, Meta(min_length=2, max_length=49)]],
    Meta(
        max_length=50,
        description="From where its API keys work: IPv4 and IPv6 networks in CIDR notation. None: from anywhere.",
        examples=[["203.0.113.0/24", "2001:db8::/32"]],
    ),
]
FundModes = Annotated[
    list[FundMode],
    Meta(
        min_length=1,
        max_length=2,
        description="`collect`: the platform may receive its money; `direct`: its own channel accounts may.",
        examples=[["direct"]],
    ),
]
ValidFrom = Annotated[
    Annotated[datetime, Meta(tz=True)] | None,
    Meta(description="From when on; null for at once.", examples=[None, "2026-12-01T00:00:00+08:00"]),
]


class ContactBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whom to call."""

    name: Annotated[Name, Meta(description="The person.", examples=["王丽"])]
    role: Annotated[Short, Meta(description="For what.", examples=["财务"])] = ""
    phone: Annotated[Short, Meta(description="A telephone number.", examples=["+86 138 0000 0000"])] = ""
    email: Annotated[Text, Meta(description="A mail address.", examples=["finance@shop.example"])] = ""

    def contact(self) -> Contact:
        return Contact(name=self.name, role=self.role, phone=self.phone, email=self.email)


Contacts = Annotated[
    list[ContactBody],
    Meta(max_length=20, description="Whom to call.", examples=[[{"name": "王丽", "role": "财务"}]]),
]


class NewMerchant(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A merchant. What it sells by, and under which keys, comes after."""

    name: Annotated[Name, Meta(description="Its full name.", examples=["火龙果咖啡有限公司"])]
    short_name: Annotated[Short, Meta(description="What payers see; empty: the name.", examples=["火龙果咖啡"])] = ""
    contacts: Contacts = msgspec.field(default_factory=list)
    late_payment: Annotated[
        LatePayment,
        Meta(description="What happens to money that comes after its order was closed.", examples=["refund"]),
    ] = LatePayment.REFUND
    fund_modes: FundModes = msgspec.field(default_factory=lambda: list(FundMode))
    networks: Networks = msgspec.field(default_factory=list)


class MerchantChanges(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is given changes, the rest stays."""

    name: Annotated[Name | UnsetType, Meta(description="Its full name.", examples=["火龙果咖啡有限公司"])] = UNSET
    short_name: Annotated[Short | UnsetType, Meta(description="What payers see.", examples=["火龙果咖啡"])] = UNSET
    contacts: Contacts | UnsetType = UNSET
    late_payment: Annotated[
        LatePayment | UnsetType, Meta(description="For money that comes too late.", examples=["accept"])
    ] = UNSET
    fund_modes: FundModes | UnsetType = UNSET
    networks: Networks | UnsetType = UNSET


def merchant_fields(body: NewMerchant | MerchantChanges) -> dict[str, object]:
    """Fields of Merchant, those that were given."""
    given = {name: getattr(body, name) for name in body.__struct_fields__}
    fields = {name: value for name, value in given.items() if value is not UNSET}
    if "contacts" in fields:
        fields["contacts"] = tuple(contact.contact() for contact in fields["contacts"])
    if "fund_modes" in fields:
        fields["fund_modes"] = frozenset(fields["fund_modes"])
    return fields


class ReasonBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Why."""

    reason: Annotated[Sentence, Meta(description="For the audit.", examples=["a complaint is being looked into"])]


class PayeeBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A bank account, or an account at a channel. Its number is encrypted at once and never shown again but for its
    end."""

    holder: Annotated[
        Name, Meta(description="Whose account it is; at a channel the real name.", examples=["火龙果咖啡有限公司"])
    ]
    number: Annotated[
        Annotated[str, Meta(min_length=4, max_length=128, pattern=r"^[\x20-\x7e]+(?!\n)$")],
        Meta(
            description="The bank account's digits, spaces do not matter; or who it is at the channel: user id, login "
            "or open id at Alipay, openid (of the app that pays) at WeChat Pay.",
            examples=["6225 8801 2345 6789"],
        ),
    ]
    bank: Annotated[
        Annotated[str, Meta(max_length=128)],
        Meta(description="The bank; none for an account at a channel.", examples=["招商银行上海分行"]),
    ] = ""
    kind: Annotated[
        Literal["bank", "alipay_user", "alipay_login", "alipay_open", "wechat_openid"],
        Meta(description="What the number is of.", examples=["bank"]),
    ] = "bank"


class LimitBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The limits of one method, in place of those that stood."""

    single: Annotated[Amount | None, Meta(description="The most of one payment, in fen; null: any.", examples=[500000])]
    daily: Annotated[
        Amount | None,
        Meta(description="The most of one day (Asia/Shanghai), in fen; null: any.", examples=[10000000]),
    ]

    def limit(self, method: Method) -> Limit:
        return Limit(method, self.single, self.daily)


class OrderRateBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How many orders."""

    per_minute: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None,
        Meta(description="The most orders in a minute and mode; null: any number.", examples=[600]),
    ]


Kept = Annotated[
    bool,
    Meta(description="The fee stays ours when a payment is refunded; else it goes back with it.", examples=[False]),
]


class PriceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What one method costs the merchant."""

    method: Annotated[Method, Meta(description="The method.", examples=["alipay_qr"])]
    rate_ppm: Annotated[int, Meta(ge=0, le=1_000_000, description="Parts per million: 0.6 % is 6000.", examples=[6000])]
    minimum: Annotated[Fee, Meta(description="The least fee, in fen.", examples=[1])] = 0
    maximum: Annotated[Fee | None, Meta(description="The most, in fen; null: any.", examples=[None])] = None
    kept: Kept = False

    def plan(self) -> FeePlan:
        return FeePlan(Rate(self.rate_ppm), self.minimum, self.maximum, self.kept)


Prices = Annotated[
    list[PriceBody],
    Meta(
        min_length=1,
        max_length=len(Method),
        description="The methods, each once, with their prices.",
        examples=[[{"method": "alipay_qr", "rate_ppm": 6000}]],
    ),
]


def plans(prices: Sequence[PriceBody]) -> Mapping[Method, FeePlan]:
    found = {price.method: price.plan() for price in prices}
    if len(found) < len(prices):
        raise InvalidRequest("a method stands there twice", code="value_invalid", pointer="/prices")
    return found


class NewProduct(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A product, off the shelf at first."""

    name: Annotated[Name, Meta(description="What operators know it by.", examples=["扫码支付 0.6%"])]
    prices: Prices


class ProductName(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Another name."""

    name: Annotated[Name, Meta(description="What operators know it by.", examples=["扫码支付 0.6%"])]


class NewVersion(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Other prices, from some time on."""

    prices: Prices
    valid_from: ValidFrom = None


class BindingBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which product a merchant has."""

    product_id: Annotated[
        Annotated[str, Meta(max_length=40)],
        Meta(description="A product on the shelf.", examples=["prd_01KB5P4Z0W3V7H2M9T8Q6R5N4B"]),
    ]
    valid_from: ValidFrom = None


class OverrideBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What one merchant pays for one method instead of its product's price."""

    rate_ppm: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000)] | None,
        Meta(description="Parts per million; null: its product's price again.", examples=[3800]),
    ]
    minimum: Annotated[Fee, Meta(description="The least fee, in fen.", examples=[0])] = 0
    maximum: Annotated[Fee | None, Meta(description="The most, in fen; null: any.", examples=[None])] = None
    kept: Kept = False
    valid_from: ValidFrom = None

    def plan(self) -> FeePlan | None:
        return None if self.rate_ppm is None else FeePlan(Rate(self.rate_ppm), self.minimum, self.maximum, self.kept)
