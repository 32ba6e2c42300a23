"""Payouts (打款): money sent to a merchant's payee over a rail, as we ask for it and as a channel tells of it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.money import Money


class PayeeKind(StrEnum):
    """What a payee is known by: the number of a bank account, or who somebody is at a channel."""

    BANK = "bank"
    ALIPAY_USER = "alipay_user"  # a user id, 2088…
    ALIPAY_LOGIN = "alipay_login"  # an address or a telephone number
    ALIPAY_OPEN = "alipay_open"  # an open id, of the application that pays
    WECHAT_OPENID = "wechat_openid"  # of the app that pays

    @property
    def at(self) -> str:
        """``bank``, or the channel that knows such a payee."""
        return self.value.partition("_")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRequest:
    """A request to send money. Repeated, it is the same to the letter: ``number`` decides.

    ``payee`` is who the channel knows by ``kind``, ``name`` the name that it compares with that account's owner.
    """

    number: str
    amount: Money
    kind: PayeeKind
    payee: str = field(repr=False)
    name: str = field(repr=False)
    title: str
    notice_url: str


class PayoutState(StrEnum):
    """What a channel says of one payout number."""

    PENDING = "pending"  # taken, and under way
    AWAITING_PAYEE = "awaiting_payee"  # WeChat Pay: the payee has to confirm it in the app
    PAID = "paid"
    FAILED = "failed"  # the payee got nothing, and never will under this number
    CANCELLED = "cancelled"
    BOUNCED = "bounced"  # it was paid and came back (退票)
    ABSENT = "absent"  # it knows no such number


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutReport:
    """A channel's word on a payout, verified as its own: an answer, an answer to a query, or a notice.

    ``amount`` is there where the channel repeats it, ``charge`` what it takes for the transfer, ``at`` when the state
    came about, ``debited_at`` when the channel took the money from the account, where that was earlier: its bill shows
    it on that day. ``confirmation`` is what the payee's app must be handed to confirm (WeChat Pay's package_info);
    only an answer to ``pay`` has it.
    """

    number: str
    state: PayoutState
    amount: Money | None = None
    charge: Money = Money(0)
    channel_id: str | None = None
    at: datetime | None = None
    debited_at: datetime | None = None
    confirmation: str | None = field(default=None, repr=False)
    detail: str = ""
