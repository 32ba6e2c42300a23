"""Profit sharing (分账) as we ask a channel for it and as a channel tells of it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.channels import Channel
from domain.money import Money


class ReceiverKind(StrEnum):
    """What a receiver is known by, and at which channel."""

    WECHAT_MERCHANT = "wechat_merchant"  # a mchid
    WECHAT_OPENID = "wechat_openid"  # a person, of the app that collects
    ALIPAY_USER = "alipay_user"  # a user id, 2088…
    ALIPAY_LOGIN = "alipay_login"  # an address or a telephone number

    @property
    def channel(self) -> Channel:
        return Channel(self.value.partition("_")[0])

    @property
    def gives_back(self) -> bool:
        """Whether the channel can take money back from it. WeChat Pay takes none from a person."""
        return self is not ReceiverKind.WECHAT_OPENID


class Relation(StrEnum):
    """What a receiver is to the merchant; WeChat Pay asks."""

    SERVICE_PROVIDER = "service_provider"
    STORE = "store"
    STAFF = "staff"
    STORE_OWNER = "store_owner"
    PARTNER = "partner"
    HEADQUARTER = "headquarter"
    BRAND = "brand"
    DISTRIBUTOR = "distributor"
    USER = "user"
    SUPPLIER = "supplier"


# Where shares come back within a refund (refund_royalty_parameters), and not before it.
RETURNS_WITH_REFUND = frozenset({Channel.ALIPAY})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverAccount:
    """Who may get a share. ``name`` is compared with the account's owner; ``number`` makes a repetition the same."""

    number: str
    kind: ReceiverKind
    account: str
    name: str = field(repr=False)
    relation: Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPart:
    """One receiver's part of a share that is asked for."""

    kind: ReceiverKind
    account: str
    name: str = field(repr=False)
    amount: Money
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRequest:
    """A request to share what was paid, or (without parts) to end the sharing. Repeated, it is the same to the letter:
    ``number`` decides. ``transaction_id`` is the channel's own number of the payment."""

    number: str
    transaction_id: str
    parts: tuple[AskedPart, ...] = ()


class ShareState(StrEnum):
    """What a channel says of one share number."""

    PROCESSING = "processing"
    FINISHED = "finished"  # each part has its result
    ABSENT = "absent"  # it knows no such number


class PartResult(StrEnum):
    """What became of one receiver's part."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    CLOSED = "closed"  # this receiver gets nothing under this number


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """A channel's word on one part."""

    account: str
    amount: Money
    result: PartResult
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareReport:
    """A channel's word on a share. ``at`` is when it was done, if it says so. Without parts while it is processing, no
    part is known yet."""

    number: str
    state: ShareState
    parts: tuple[PartReport, ...] = ()
    channel_id: str | None = None
    at: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnRequest:
    """A request to take a part of a share back from its receiver. ``number`` decides, as ever."""

    number: str
    share_number: str
    account: str
    amount: Money


class ReturnState(StrEnum):
    """What a channel says of one return number."""

    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # the receiver keeps it
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnReport:
    """A channel's word on a return."""

    number: str
    state: ReturnState
    amount: Money | None = None
    at: datetime | None = None
    reason: str = ""
