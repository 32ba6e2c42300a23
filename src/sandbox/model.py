"""The nouns of the sandbox: who is registered, what was traded, which notices are due, what the shop sold."""

from typing import Any, Literal

import msgspec

Channel = Literal["alipay", "wechat"]
Kind = Literal["notice", "resend", "crafted", "probe"]
TradeState = Literal["unscanned", "waiting", "paid", "closed"]
RefundState = Literal["accepted", "succeeded", "closed", "abnormal"]
# What a wallet does when its code is scanned: pays at once, asks its owner, or has not enough.
Wallet = Literal["pays", "asks", "poor"]


class Authorised(msgspec.Struct, frozen=True):
    """A merchant that lets a service provider's application act for it, by a token."""

    app_id: str
    seller_id: str


class App(msgspec.Struct, frozen=True):
    """An application of the Alipay open platform and the account it collects for.

    With a `certificate` it signs and is answered in certificate mode. `merchants` are by their app_auth_token.
    """

    app_id: str
    seller_id: str
    public_key: str
    certificate: str = ""
    payer_as: Literal["user_id", "open_id"] = "user_id"
    merchants: dict[str, Authorised] = {}


class Merchant(msgspec.Struct, frozen=True):
    """A WeChat Pay merchant or service provider and the API certificate that it signs with.

    `secrets` are those of its apps, by appid: official accounts, mini-programs, and those of sub-merchants.
    """

    mchid: str
    appid: str
    serial_no: str
    public_key: str
    apiv3_key: str
    secrets: dict[str, str] = {}


class Payment(msgspec.Struct, frozen=True):
    """One movement of money; all amounts in fen."""

    transaction: str
    amount: int
    received: int
    payer_paid: int
    paid_at: float


class Refund(msgspec.Struct):
    """Money given back of a trade. `number` is the merchant's, or the channel's own for one made in its console.

    At WeChat Pay `ends` is what will become of one that is accepted, `payer_part` what the payer gets of it and
    `received_part` what it costs the merchant, in fen.
    """

    number: str
    amount: int
    made_at: float
    reason: str = ""
    id: str = ""
    notify_url: str = ""
    state: RefundState = "succeeded"
    ends: RefundState = "succeeded"
    done_at: float | None = None
    payer_part: int = 0
    received_part: int = 0


class SharePart(msgspec.Struct):
    """What one receiver gets of a share. With a `fault` it gets nothing, and that is why."""

    type: str
    account: str
    amount: int
    description: str = ""
    id: str = ""
    fault: str = ""


class Share(msgspec.Struct):
    """Money of a paid trade that goes on to others (分账), done at `done_at`; one that `finishes` lets the rest go."""

    number: str
    id: str
    made_at: float
    done_at: float
    parts: list[SharePart]
    finishes: bool = False
    asked: str = ""


class ShareReturn(msgspec.Struct):
    """Money that a receiver gave back of its part. With a `fault` it did not, and that is why."""

    number: str
    id: str
    share: str
    account: str
    amount: int
    made_at: float
    done_at: float
    description: str = ""
    fault: str = ""


class AuthCode(msgspec.Struct):
    """A bar code that a wallet shows; good for one payment and one minute."""

    code: str
    channel: Channel
    wallet: Wallet
    expires_at: float
    number: str = ""


class Trade(msgspec.Struct):
    """One merchant number at one channel, from the QR code to the money.

    `deadline` is the last payable moment. At Alipay a scanned trade closes then; at WeChat Pay it merely cannot be
    paid any more until the merchant closes it.
    """

    channel: Channel
    account: str
    number: str
    amount: int
    subject: str
    notify_url: str
    code: str
    code_expires_at: float
    created_at: float
    fingerprint: str
    deadline: float | None = None
    pay_within: float | None = None
    transaction: str = ""
    scanned_at: float | None = None
    refused_at: float | None = None
    closed_at: float | None = None
    refunded: bool = False
    payments: list[Payment] = []
    refunds: list[Refund] = []
    shares: list[Share] = []
    share_returns: list[ShareReturn] = []
    echo: dict[str, Any] = {}

    @property
    def refunded_amount(self) -> int:
        return sum(refund.amount for refund in self.refunds if refund.state != "closed")

    @property
    def shared_amount(self) -> int:
        """What has gone to others, or is on its way, less what came back."""
        out = sum(part.amount for share in self.shares if not share.finishes for part in share.parts if not part.fault)
        return out - sum(back.amount for back in self.share_returns if not back.fault)

    @property
    def unfrozen(self) -> bool:
        """Whether nothing of it can be shared any more."""
        return any(share.finishes for share in self.shares)

    @property
    def state(self) -> TradeState:
        if self.payments and not self.refunded:
            return "paid"
        if self.closed_at is not None:
            return "closed"
        return "waiting" if self.scanned_at is not None else "unscanned"

    def payable(self, now: float) -> Literal["payable", "paid", "closed", "expired"]:
        """What the payer's app says when the code is opened."""
        if self.state == "paid":
            return "paid"
        if self.state == "closed":
            return "closed"
        if self.deadline is not None and now > self.deadline:
            return "expired"
        return "expired" if self.scanned_at is None and now > self.code_expires_at else "payable"


class Notice(msgspec.Struct):
    """A message that a channel owes its merchant until it is taken; `content` is in the channel's own words."""

    id: str
    channel: Channel
    account: str
    number: str
    url: str
    created_at: float
    content: dict[str, Any]
    tries: int = 0
    next_at: float | None = None


class Crafting(msgspec.Struct, frozen=True):
    """How a notice is signed, for those that a merchant must refuse."""

    sign: Literal["good", "bad", "none", "probe"] = "good"
    timestamp_offset: float = 0
    serial: str | None = None


class Message(msgspec.Struct, frozen=True):
    """A notice as it goes over the wire."""

    headers: dict[str, str]
    body: bytes


class Delivery(msgspec.Struct):
    """One POST of a notice and what came back."""

    notice_id: str
    channel: Channel
    out_trade_no: str
    kind: Kind
    url: str
    headers: dict[str, str]
    body: str
    sent_at: str
    status: int | None = None
    answer: str = ""
    error: str = ""
    accepted: bool = False
    seconds: float = 0


class Settings(msgspec.Struct):
    """What may be switched while the sandbox runs."""

    notice_speed: float = 1.0
    wechat_signer: Literal["public_key", "certificate", "both"] = "public_key"
    alipay_certificate: Literal["current", "next"] = "current"
    alipay_fee_ppm: int = 3800
    alipay_bills: Literal["clock", "now"] = "clock"
    wechat_signing: int = 0
    wechat_retired: int = 0
    wechat_refund_gap: float = 60.0
    wechat_refund_seconds: float = 1.0
    share_seconds: float = 1.0
    share_return_seconds: float = 0.0
    wechat_bills: Literal["clock", "now"] = "clock"
    pitaya_url: str = ""
    shop_api_key: str = ""
    shop_webhook_secret: str = ""
    shop_alipay_app_id: str = ""
    shop_wechat_appid: str = ""
    shop_mode: Literal["normal", "slow", "error", "silent"] = "normal"
    shop_seconds: float = 3.0


class Notification(msgspec.Struct):
    """A verified webhook that the shop received."""

    id: str
    type: str
    received_at: str
    times: int = 1
    amount_matches: bool = True


class ShopOrder(msgspec.Struct):
    """What a buyer ordered in the sample shop; `status` and `refunded` follow verified webhooks only.

    `login_state` is what a wallet's login has to bring back, for a payment by `login_method`.
    """

    merchant_order_no: str
    product: str
    amount: int
    created_at: float
    order_id: str = ""
    status: str = "new"
    cashier_url: str = ""
    till: bool = False
    refunded: int = 0
    login_state: str = ""
    login_method: str = ""
    verified_notifications: list[Notification] = []
