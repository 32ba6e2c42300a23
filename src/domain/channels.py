"""Channels, the accounts money lands in, the credentials we sign with, and what a channel can tell us."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from domain.errors import InvalidRequest
from domain.money import FeePlan, Money, Rate
from domain.payouts import PayoutReport
from domain.taken_back import TakenBack
from domain.times import rfc3339


class Mode(StrEnum):
    """Live money or test money. Nothing crosses; the API key decides."""

    LIVE = "live"
    TEST = "test"


class Channel(StrEnum):
    ALIPAY = "alipay"
    WECHAT = "wechat"


class FundMode(StrEnum):
    """Who receives the payer's money: the platform, which then settles, or the merchant itself."""

    COLLECT = "collect"
    DIRECT = "direct"


class Method(StrEnum):
    """A way to pay through one channel. The part before the underscore is the channel."""

    ALIPAY_QR = "alipay_qr"
    ALIPAY_PAGE = "alipay_page"
    ALIPAY_WAP = "alipay_wap"
    ALIPAY_APP = "alipay_app"
    ALIPAY_JSAPI = "alipay_jsapi"
    ALIPAY_BARCODE = "alipay_barcode"
    WECHAT_NATIVE = "wechat_native"
    WECHAT_JSAPI = "wechat_jsapi"
    WECHAT_MINIPROGRAM = "wechat_miniprogram"
    WECHAT_H5 = "wechat_h5"
    WECHAT_APP = "wechat_app"
    WECHAT_BARCODE = "wechat_barcode"

    @property
    def channel(self) -> Channel:
        return Channel(self.value.partition("_")[0])

    @property
    def is_barcode(self) -> bool:
        """The merchant scans the payer's code: the payment is one call, with nothing for the payer to open."""
        return self in (Method.ALIPAY_BARCODE, Method.WECHAT_BARCODE)

    @property
    def needs_payer(self) -> bool:
        """Whether the channel must be told who pays (openid, buyer id) before it opens the payment."""
        return self in (Method.ALIPAY_JSAPI, Method.WECHAT_JSAPI, Method.WECHAT_MINIPROGRAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """How we sign and verify at a channel. One credential may serve several channel accounts.

    ``app_id`` is Alipay's application or WeChat's appid. ``public`` holds what may be shown (the channel's public
    keys and their ids, our certificate serial), ``sealed`` the rest as one ciphertext that only a Vault opens.
    ``version`` grows with each rotation, so that adapters can cache parsed keys by (id, version).
    ``provider`` makes it a service provider's (服务商): WeChat's sp_mchid, Alipay's sys_service_provider_id. The
    accounts that use it are then those of sub-merchants.

    ``fingerprints`` tell which secrets these are without telling them (``fingerprint``). After a rotation, ``previous``
    goes on verifying what the channel signed for the material before it.
    """

    id: str
    channel: Channel
    mode: Mode
    app_id: str
    merchant_id: str | None = None
    provider: str | None = None
    public: Mapping[str, str] = field(default_factory=dict)
    sealed: bytes = field(default=b"", repr=False)
    version: int = 1
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    previous: "EarlierMaterial | None" = None

    def snapshot(self) -> dict[str, Any]:
        """The credential as operators see it: what may be shown, and fingerprints of what may not."""
        return {
            "id": self.id,
            "object": "credential",
            "channel": str(self.channel),
            "mode": str(self.mode),
            "app_id": self.app_id,
            "merchant_id": self.merchant_id,
            "provider": self.provider,
            "version": self.version,
            "public": dict(self.public),
            "fingerprints": dict(self.fingerprints),
            "previous_until": rfc3339(self.previous.until) if self.previous else None,
        }

    def rotated(self, material: "Material", *, keep_until: datetime) -> Self:
        """The next version. What was current verifies until ``keep_until``; what was before that is gone."""
        earlier = EarlierMaterial(public=self.public, sealed=self.sealed, until=keep_until)
        return replace(
            self,
            public=material.public,
            sealed=material.sealed,
            fingerprints=material.fingerprints,
            version=self.version + 1,
            previous=earlier,
        )

    def earlier(self, now: datetime) -> Self | None:
        """The credential as it was before its last rotation, as long as that is still believed."""
        if self.previous is None or now >= self.previous.until:
            return None
        return replace(
            self, public=self.previous.public, sealed=self.previous.sealed, version=self.version - 1, previous=None
        )


# What a credential of each channel is made of (the adapters' keys): what may be shown, and what is sealed.
PUBLIC = {
    Channel.ALIPAY: frozenset(
        {"alipay_public_key", "app_certificate", "alipay_certificate", "alipay_root_certificate"}
    ),
    Channel.WECHAT: frozenset({"mch_serial", "public_key_id", "public_key", "platform_certificates", "transfer_scene"}),
}
SECRET = {
    Channel.ALIPAY: frozenset({"app_private_key"}),
    Channel.WECHAT: frozenset({"mch_private_key", "apiv3_key", "app_secret"}),
}


def check_names(channel: Channel, public: Mapping[str, str], secrets: Mapping[str, str]) -> None:
    """Raises InvalidRequest for a field that this channel has not, and for a private key among what may be shown."""
    for names, known, place in ((public, PUBLIC, "public"), (secrets, SECRET, "secrets")):
        for name in names:
            if name not in known[channel]:
                raise InvalidRequest(
                    f"a credential of {channel} has no {name[:40]!r} there",
                    code="credential_field_unknown",
                    pointer=f"/{place}",
                )
    if any("PRIVATE KEY" in text for text in public.values()):
        raise InvalidRequest("a private key is a secret", code="credential_field_unknown", pointer="/public")


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Keys of a credential: what may be shown, what is sealed, and by what the sealed part can be told."""

    public: Mapping[str, str]
    sealed: bytes = field(repr=False)
    fingerprints: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierMaterial:
    """What a credential had before its last rotation, believed ``until`` then."""

    public: Mapping[str, str]
    sealed: bytes = field(repr=False)
    until: datetime


def fingerprint(secret: str) -> str:
    """The last four hex digits of the SHA-256 of a secret, its armour and white space left out: enough to tell which
    of a few keys it is, too little to guess one."""
    bare = "".join(line.strip() for line in secret.strip().splitlines() if not line.startswith("-----"))
    return hashlib.sha256("".join(bare.split()).encode()).hexdigest()[-4:]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAccount:
    """Where money lands. No ``merchant_id`` means the platform's.

    ``payee`` is Alipay's seller_id or WeChat's mchid; under a service provider's credential the sub-merchant's
    (sub_mchid). ``sub_app_id`` is the sub-merchant's own app, where it has one (WeChat's sub_appid, Alipay's
    auth_app_id); ``sealed`` what is secret of this account alone (Alipay's app_auth_token), as JSON that only a Vault
    opens (``account_context``).
    ``cost_rate`` is what the channel is expected to charge, ``cost_rates`` what it charges for methods that differ.
    """

    id: str
    channel: Channel
    mode: Mode
    credential_id: str
    payee: str
    methods: frozenset[Method]
    merchant_id: str | None = None
    sub_app_id: str | None = None
    sealed: bytes = field(default=b"", repr=False)
    cost_rate: Rate = Rate(0)
    cost_rates: Mapping[Method, Rate] = field(default_factory=dict)
    priority: int = 0
    enabled: bool = True

    @property
    def fund_mode(self) -> FundMode:
        return FundMode.COLLECT if self.merchant_id is None else FundMode.DIRECT

    def cost(self, method: Method) -> Rate:
        return self.cost_rates.get(method, self.cost_rate)

    def snapshot(self) -> dict[str, Any]:
        """The account as operators see it, in the API and in the audit: nothing that is sealed."""
        return {
            "id": self.id,
            "channel": str(self.channel),
            "mode": str(self.mode),
            "merchant_id": self.merchant_id,
            "fund_mode": str(self.fund_mode),
            "payee": self.payee,
            "sub_app_id": self.sub_app_id,
            "authorised": bool(self.sealed),
            "methods": sorted(map(str, self.methods)),
            "cost_rate_ppm": self.cost_rate.ppm,
            "cost_rates": {str(method): rate.ppm for method, rate in sorted(self.cost_rates.items())},
            "priority": self.priority,
            "enabled": self.enabled,
        }


@dataclass(frozen=True, slots=True)
class Access:
    """All that a channel adapter needs to act for one account: where the money lands and how to sign."""

    account: ChannelAccount
    credential: Credential

    @property
    def paying_app(self) -> str:
        """Whose app the payer meets, by whose ids payers are known: a sub-merchant's own, else the credential's."""
        return self.account.sub_app_id or self.credential.app_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A request to open a payment at a channel. It always carries the order's expiry (BOOKS.md, Attempt).

    ``payer_id`` is who pays, where the method needs it (openid at WeChat, the buyer's open id or user id at Alipay);
    ``auth_code`` what the merchant scanned (bar code methods; never stored); ``return_url`` where the payer's browser
    goes afterwards; ``instalments`` the number of Huabei instalments (花呗分期: 3, 6, 12); ``shared`` marks the order
    for profit sharing (分账), which must be said at its creation.
    """

    number: str
    method: Method
    amount: Money
    subject: str
    expires_at: datetime
    notice_url: str
    payer_ip: str | None = None
    payer_id: str | None = None
    auth_code: str | None = field(default=None, repr=False)
    return_url: str | None = None
    instalments: int | None = None
    shared: bool = False


class ActionType(StrEnum):
    """What the payer's side does with a PayerAction."""

    QR_CODE = "qr_code"  # show ``value`` as a QR code
    REDIRECT = "redirect"  # send the payer's browser to ``value``
    FORM = "form"  # POST ``fields`` to ``value`` from the payer's browser
    SDK = "sdk"  # hand ``fields`` (WeChat JSAPI, app) or ``value`` (Alipay order string or trade number) to the SDK


@dataclass(frozen=True, slots=True)
class PayerAction:
    """What the payer needs next."""

    type: ActionType
    value: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A channel's word that it took money, already verified as the channel's own.

    ``total`` is compared with the order; ``received`` is what the channel credits the account with and what the books
    and the fee use; ``payer_paid`` is what left the payer's wallet (BOOKS.md, Fees).
    """

    number: str
    transaction_id: str
    total: Money
    received: Money
    payer_paid: Money
    paid_at: datetime
    app_id: str
    payee: str


class ChannelState(StrEnum):
    """What a channel says of one number."""

    PAID = "paid"
    PENDING = "pending"
    CLOSED = "closed"
    FAILED = "failed"
    ABSENT = "absent"  # it knows no such number: never heard of it, or an Alipay code that nobody scanned yet


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """The answer to a query or the content of a notice. ``receipt`` is there exactly when the state is PAID."""

    number: str
    state: ChannelState
    receipt: Receipt | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        assert (self.state is ChannelState.PAID) == (self.receipt is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequest:
    """A request to give money back to the payer. Repeated, it is the same to the letter: ``number`` decides.

    ``number`` is out_refund_no (WeChat) or out_request_no (Alipay); ``payment_number`` what the payment was opened
    under; ``total`` the payment's total; ``taken_back`` what receivers of its shares give back with it.
    """

    number: str
    payment_number: str
    amount: Money
    total: Money
    reason: str
    notice_url: str
    taken_back: tuple[TakenBack, ...] = ()


class RefundState(StrEnum):
    """What a channel says of one refund number."""

    ACCEPTED = "accepted"  # it will pay; the channel account is debited
    SUCCEEDED = "succeeded"  # the payer has it
    CLOSED = "closed"  # it will not be paid; what was debited comes back
    ABNORMAL = "abnormal"  # WeChat: the payer's card is gone; a person must say where the money goes
    ABSENT = "absent"  # it knows no such number


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundReport:
    """A channel's word on a refund, verified as its own: an answer, an answer to a query, or a notice.

    ``amount`` is what the payer gets back in all; ``channel_id`` the channel's own number of it (WeChat's refund_id;
    Alipay has none: then the number again); ``at`` when the channel did it, if it says so. ``number`` is None for one
    that was made in the channel's own console and carries no number of ours: then ``channel_id`` tells it from others.
    ``payment_refunded`` is what has gone back of the payment so far, with this refund and all others: Alipay's notices
    say that (refund_fee, 总退款金额) and not what the one refund was worth.
    """

    number: str | None
    payment_number: str
    state: RefundState
    amount: Money | None = None
    payment_refunded: Money | None = None
    channel_id: str | None = None
    at: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ChannelNotice:
    """A verified notice: the channel's id of it (stable over its retries) and what it reports, if that concerns us:
    a payment, a refund, a payout, or none of them. ``headers`` are those that its signature rests on, beside its body.
    """

    id: str
    kind: str
    report: ChannelReport | None
    refund: RefundReport | None = None
    payout: PayoutReport | None = None
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is frozen on an attempt when it starts: our fee plan and the channel's expected cost rate."""

    fee_plan: FeePlan
    cost_rate: Rate
