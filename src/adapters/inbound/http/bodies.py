"""What merchants may send: one struct a body with every limit in it, so that OpenAPI says what we check."""

import ipaddress
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from domain.channels import Method
from domain.choices import Choice, method_of_code
from domain.errors import InvalidRequest
from domain.events import ANNOUNCED
from domain.merchants import Scope
from domain.money import CNY, Money
from domain.orders import OrderRequest
from domain.refunds import RefundWish

# `$` alone would let a trailing newline pass; `(?!\n)$` means the very end to Python and to ECMAScript alike.
END = r"(?!\n)$"
# No control characters, no line or paragraph separators, and none of the marks that turn the reading direction around.
SUBJECT = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]{1,127}" + END
# WeChat Pay takes 80 characters (申请退款, reason), Alipay 256.
REASON = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]{0,80}" + END
# The characters of RFC 3986; anything else has to be percent-encoded.
URL = r"^https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+" + END
MERCHANT_ORDER_NO = r"^[0-9A-Za-z_-]{1,64}" + END
KEY_NAME = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]{0,60}" + END
METADATA_KEY = r"^[0-9A-Za-z_.-]{1,40}" + END

LOCALES = {"zh": "zh-CN", "zh-CN": "zh-CN", "en": "en", "en-US": "en"}

OrderNo = Annotated[str, Meta(min_length=1, max_length=64, pattern=MERCHANT_ORDER_NO)]
Link = Annotated[str, Meta(max_length=2048, pattern=URL)]
Address = Annotated[str, Meta(max_length=45)]

# Each Method, and what names none: the payer's bar code says whose it is. (A struct's field takes one kind of text.)
EventType = Literal[tuple(each for each in ANNOUNCED if each != "webhook.test")]  # type: ignore[valid-type]
Way = Literal[
    "alipay_qr", "alipay_page", "alipay_wap", "alipay_app", "alipay_jsapi", "alipay_barcode",
    "wechat_native", "wechat_jsapi", "wechat_miniprogram", "wechat_h5", "wechat_app", "wechat_barcode",
    "barcode",
]  # fmt: skip
BARCODE = "barcode"
PayerId = Annotated[
    Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[0-9A-Za-z_-]+" + END)] | None,
    Meta(
        description="Who pays, for the jsapi and miniprogram methods: WeChat's openid, Alipay's buyer id or open id.",
        examples=[None, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"],
    ),
]
PayerApp = Annotated[
    Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z_-]+" + END)] | None,
    Meta(
        description="The app that knows this payer, where your payments may go through accounts of several apps.",
        examples=[None, "wx0000000000000001"],
    ),
]
AuthCode = Annotated[
    Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[0-9]+" + END)] | None,
    Meta(
        description="The digits of the payer's bar code (付款码), for the barcode methods. Used once, never stored.",
        examples=[None, "134567890123456789"],
    ),
]
Instalments = Annotated[
    Literal[3, 6, 12] | None, Meta(description="Huabei instalments (花呗分期), Alipay only.", examples=[None, 3])
]


class NewOrder(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An order to collect. The same one again returns the first; another one under the same number is refused."""

    merchant_order_no: Annotated[
        OrderNo, Meta(description="Your own number of this order, unique per mode.", examples=["20261101-0001"])
    ]
    amount: Annotated[int, Meta(ge=1, le=10**10, description="In minor units (fen), a whole number.", examples=[1990])]
    currency: Annotated[Literal["CNY"], Meta(description="Only CNY is collected today.", examples=["CNY"])] = "CNY"
    subject: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=127,
            pattern=SUBJECT,
            description="What the payer buys, as cashier and wallet show it. No control characters.",
            examples=["Coffee, large"],
        ),
    ]
    method: Annotated[
        Way | None,
        Meta(
            description="Name it and the answer carries what the payer needs (直连). Leave it out and send the payer "
            "to `cashier_url`, where they choose (间连). `barcode` lets the code say whose it is.",
            examples=["alipay_qr"],
        ),
    ] = None
    payer_id: PayerId = None
    payer_app_id: PayerApp = None
    auth_code: AuthCode = None
    instalments: Instalments = None
    return_url: Annotated[
        Link | None,
        Meta(
            description="Where the cashier sends the payer afterwards. http or https, no credentials.",
            examples=["https://shop.example.com/thanks"],
        ),
    ] = None
    notify_url: Annotated[
        Link | None,
        Meta(
            description="Where this order's events are posted, beside your webhook endpoints. A public address.",
            examples=["https://shop.example.com/hooks/pitaya"],
        ),
    ] = None
    payer_ip: Annotated[
        Address | None,
        Meta(description="The payer's IPv4 or IPv6 address, if you know it.", examples=["203.0.113.7"]),
    ] = None
    locale: Annotated[
        Literal["zh-CN", "zh", "en", "en-US"] | None,
        Meta(
            description="The cashier's language. `zh` is read as `zh-CN`, `en-US` as `en`; the answer has the latter.",
            examples=["zh-CN"],
        ),
    ] = None
    expires_in: Annotated[
        int, Meta(ge=60, le=604_800, description="Seconds from now in which it can be paid.", examples=[1800])
    ] = 1800
    metadata: Annotated[
        dict[Annotated[str, Meta(pattern=METADATA_KEY)], Annotated[str, Meta(max_length=500)]],
        Meta(
            max_length=20,
            description="Up to 20 texts of your own, returned with the order and its events.",
            examples=[{"table": "7"}],
        ),
    ] = {}

    profit_sharing: Annotated[
        bool,
        Meta(
            description="What is paid may be shared with your receivers afterwards (分账), and is frozen at the "
            "channel until then. Only where the money comes to a channel account of your own.",
            examples=[False],
        ),
    ] = False

    def choice(self) -> Choice | None:
        """How the payer pays, if the call names it. Raises InvalidRequest for one that is not whole."""
        if self.method is not None:
            return _choice(self.method, self)
        if any(each is not None for each in (self.payer_id, self.payer_app_id, self.auth_code, self.instalments)):
            raise InvalidRequest("these fields belong to a method", code="method_required", pointer="/method")
        return None

    def request(self) -> OrderRequest:
        """The request in the domain's words. Raises InvalidRequest for what no schema can say."""
        if self.return_url is not None:
            check_link(self.return_url, "/return_url")
        if self.notify_url is not None:
            check_link(self.notify_url, "/notify_url")
        if self.payer_ip is not None:
            _check_ip(self.payer_ip)
        return OrderRequest(
            merchant_order_no=self.merchant_order_no,
            amount=Money(self.amount, CNY),
            subject=self.subject,
            expires_in=self.expires_in,
            # A bar code of either wallet may pay, and another one may be scanned if the first does not.
            method=None if self.method in (None, BARCODE) else Method(self.method),
            return_url=self.return_url,
            notify_url=self.notify_url,
            payer_ip=self.payer_ip,
            locale=LOCALES[self.locale] if self.locale else None,
            metadata=self.metadata,
            profit_sharing=self.profit_sharing,
        )


class NewAttempt(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How the payer wants to pay."""

    method: Annotated[
        Way, Meta(description="The payment method. `barcode`: as the code says.", examples=["wechat_native"])
    ]
    payer_id: PayerId = None
    payer_app_id: PayerApp = None
    auth_code: AuthCode = None
    instalments: Instalments = None
    payer_ip: Annotated[
        Address | None,
        Meta(description="The payer's IPv4 or IPv6 address; `wechat_h5` needs it.", examples=["203.0.113.7"]),
    ] = None

    def choice(self) -> Choice:
        """Raises InvalidRequest for one that is not whole."""
        if self.payer_ip is not None:
            _check_ip(self.payer_ip)
        return _choice(self.method, self, self.payer_ip)


class NewPayer(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A code that says who pays."""

    method: Annotated[
        Literal["wechat_miniprogram", "wechat_jsapi", "alipay_jsapi"],
        Meta(description="What the payer is to pay by; each has codes of its own.", examples=["wechat_miniprogram"]),
    ] = "wechat_miniprogram"
    code: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=256,
            pattern=r"^[!-~]+" + END,
            description="What `wx.login`, `my.getAuthCode` or the channel's OAuth page gave. Works once.",
            examples=["0a3Kzv000Vxq1R1cVc2005Tt8i2Kzv0N"],
        ),
    ]
    payer_app_id: PayerApp = None


class NewCode(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A static code to make."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=127,
            pattern=SUBJECT,
            description="What payers see, and the subject of its orders.",
            examples=["Till 3"],
        ),
    ]
    amount: Annotated[
        Annotated[int, Meta(ge=1, le=10**10)] | None,
        Meta(description="In minor units (fen); null lets the payer say how much.", examples=[None, 1990]),
    ] = None
    most: Annotated[
        Annotated[int, Meta(ge=1, le=10**10)] | None,
        Meta(description="What one payment may be at most, in fen; null for 5,000,000.", examples=[None, 100_000]),
    ] = None


class NewRefund(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Money to give back. The same one again returns the first; another one under the same number is refused."""

    merchant_refund_no: Annotated[
        OrderNo, Meta(description="Your own number of this refund, unique per mode.", examples=["20261101-R1"])
    ]
    order_id: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            pattern=r"^[0-9A-Za-z_]{1,64}" + END,
            description="Our id of the order.",
            examples=["ord_01KB5P4Z0W3V7H2M9T8Q6R5N4B"],
        ),
    ]
    amount: Annotated[
        int, Meta(ge=1, le=10**10, description="What the payer gets, in minor units (fen).", examples=[990])
    ]
    currency: Annotated[Literal["CNY"], Meta(description="The order's.", examples=["CNY"])] = "CNY"
    reason: Annotated[
        str,
        Meta(
            max_length=80,
            pattern=REASON,
            description="Why, as payers may see it. No control characters.",
            examples=["out of stock"],
        ),
    ] = ""

    def wish(self) -> RefundWish:
        return RefundWish(
            merchant_refund_no=self.merchant_refund_no,
            order_id=self.order_id,
            amount=Money(self.amount, CNY),
            reason=self.reason,
        )


class NewEndpoint(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An address for your events."""

    url: Annotated[
        Link,
        Meta(
            description="A public http or https address, no credentials in it.",
            examples=["https://shop.example.com/hooks/pitaya"],
        ),
    ]
    event_types: Annotated[
        list[EventType],  # type: ignore[valid-type]
        Meta(max_length=20, description="Which events to send; none means all.", examples=[["order.paid"]]),
    ] = []


class ResendMissed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which time to look at."""

    since: Annotated[
        datetime, Meta(tz=True, description="The first moment of it, RFC 3339.", examples=["2026-11-01T00:00:00+08:00"])
    ]
    until: Annotated[
        datetime, Meta(tz=True, description="The end: not part of it.", examples=["2026-11-02T00:00:00+08:00"])
    ]

    def check(self) -> None:
        """Raises InvalidRequest for times that no database keeps."""
        for name, at in (("since", self.since), ("until", self.until)):
            if not 2000 <= at.year <= 2200:
                raise InvalidRequest("this is not a time of ours", code="time_range_invalid", pointer=f"/{name}")


class NewKey(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An API key to make."""

    name: Annotated[
        str, Meta(max_length=60, pattern=KEY_NAME, description="For your own eyes.", examples=["Till 3"])
    ] = ""
    scopes: Annotated[
        Annotated[list[Scope], Meta(min_length=1, max_length=20)] | None,
        Meta(description="What it may do; null for all that your key may.", examples=[["orders.read"]]),
    ] = None
    expires_in: Annotated[
        Annotated[int, Meta(ge=60, le=10 * 365 * 86_400)] | None,
        Meta(description="Seconds from now after which it stops working; null for never.", examples=[7_776_000]),
    ] = None


class RollKey(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How long the old key goes on."""

    overlap_hours: Annotated[
        int, Meta(ge=0, le=168, description="Hours in which both keys work; 0 ends the old one now.", examples=[24])
    ] = 24


def _choice(way: str, asked: NewOrder | NewAttempt, payer_ip: str | None = None) -> Choice:
    if way != BARCODE:
        method = Method(way)
    elif asked.auth_code is None:
        raise InvalidRequest("scan the payer's code", code="auth_code_required", pointer="/auth_code")
    else:
        method = method_of_code(asked.auth_code)
    choice = Choice(
        method=method,
        payer_id=asked.payer_id,
        payer_app=asked.payer_app_id,
        auth_code=asked.auth_code,
        instalments=asked.instalments,
        payer_ip=payer_ip,
    )
    choice.checked()
    return choice


def check_link(url: str, pointer: str) -> None:
    """An http(s) address with a host and without credentials. Raises InvalidRequest."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidRequest("this is not a URL", code="url_invalid", pointer=pointer) from None
    if not parts.hostname or port == 0:
        raise InvalidRequest("this URL has no host or a port that cannot be", code="url_invalid", pointer=pointer)
    if "@" in parts.netloc:
        raise InvalidRequest("a URL must not carry credentials", code="url_invalid", pointer=pointer)


def _check_ip(text: str) -> None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    # A zone ("fe80::1%eth0") means something on one machine only.
    if address is None or "%" in text:
        raise InvalidRequest("not an IPv4 or IPv6 address", code="payer_ip_invalid", pointer="/payer_ip")
