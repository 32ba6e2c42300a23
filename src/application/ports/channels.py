"""What a payment channel can do for us: one port a capability."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, Protocol

from domain.applyments import ApplymentReport, Form
from domain.channels import (
    Access,
    Channel,
    ChannelNotice,
    ChannelReport,
    Credential,
    Method,
    Opening,
    PayerAction,
    RefundReport,
    RefundRequest,
)
from domain.payouts import PayeeKind, PayoutReport, PayoutRequest
from domain.redirections import Card, Destination
from domain.sharing import ReceiverAccount, ReceiverKind, ReturnReport, ReturnRequest, ShareReport, ShareRequest
from domain.statements import FundLine, Lines, StatementKind


class Collecting(Protocol):
    """Opening, asking and closing a payment at one channel. Every call ends within a total deadline.

    Raises ChannelRejected (a definite, verified no), ChannelUnavailable (it did not hear us), OutcomeUnknown (it may
    have). Never called inside a unit of work.
    """

    methods: frozenset[Method]

    async def open(self, access: Access, opening: Opening) -> PayerAction:
        """Repeating the same opening is harmless and returns a way to pay for the same number."""
        ...

    async def query(self, access: Access, number: str) -> ChannelReport: ...

    async def close(self, access: Access, number: str) -> None:
        """Returns when the channel has closed it, or has no such number. Raises ChannelRejected if it was paid."""
        ...


class Charging(Protocol):
    """Bar codes (付款码): the merchant scans the payer. Errors as in Collecting."""

    async def charge(self, access: Access, opening: Opening) -> ChannelReport:
        """A bar code payment (付款码): PAID at once, or PENDING while the payer enters a password. ChannelRejected
        means that this number will never be paid. Unlike ``open`` it is repeated only after a query says ABSENT."""
        ...

    async def reverse(self, access: Access, number: str) -> None:
        """Undo a bar code payment whatever became of it (撤销). Returns when the channel says it is undone or knows no
        such number; OutcomeUnknown asks for another try with the same number."""
        ...


class Refunding(Protocol):
    """Giving money back. Errors as in Collecting; ChannelRejected("channel_funds_short") when the channel account has
    not enough at this moment: the same request may be repeated later."""

    async def refund(self, access: Access, request: RefundRequest) -> RefundReport:
        """Repeating the same request is harmless: the number decides."""
        ...

    async def query_refund(self, access: Access, request: RefundRequest) -> RefundReport:
        """ABSENT: the channel has no such refund, so the same request may be made again."""
        ...


class Payouts(Protocol):
    """Sending money to a payee. Errors as in Collecting; ChannelRejected("channel_funds_short") as in Refunding.

    ``fund`` is the account at the channel that the money leaves, ``kinds`` are the payees that it can reach.
    """

    fund: str
    kinds: frozenset[PayeeKind]

    def offered(self, access: Access) -> None:
        """Raises InvalidRequest, naming what is missing, for a credential that the channel would let pay nobody: said
        where the rail is chosen, not when money is due."""
        ...

    async def pay(self, access: Access, request: PayoutRequest) -> PayoutReport:
        """Repeating the same request is harmless: the number decides. A refusal says nothing about an earlier request
        with this number: what became of that one is asked."""
        ...

    async def ask(self, access: Access, number: str) -> PayoutReport:
        """ABSENT: the channel has no such payout, so the same request may be made again."""
        ...

    async def cancel(self, access: Access, number: str) -> PayoutReport:
        """Take back what its payee has not confirmed; CANCELLED, or PENDING until a later ``ask`` says so. Raises
        ChannelRejected where it is too late, or the channel has no such thing ("payout_not_cancellable")."""


class Redirecting(Protocol):
    """Sending an abnormal refund elsewhere, at the channels that can (WeChat Pay). Errors as in Collecting."""

    async def redirect(
        self, access: Access, request: RefundRequest, channel_id: str, to: Destination, card: Card | None
    ) -> RefundReport:
        """``channel_id`` is the channel's own id of the refund; ``card`` belongs to PAYER_CARD. Two equal calls send it
        once; ChannelRejected for one that is not abnormal (any more)."""
        ...


class Onboarding(Protocol):
    """Making merchants sub-merchants of a service provider, at the channels that have it (WeChat Pay). ``credential``
    is the provider's. Errors as in Collecting."""

    async def upload(self, credential: Credential, name: str, image: bytes) -> str:
        """An image of a form: what the form calls it by."""
        ...

    async def apply(self, credential: Credential, code: str, form: Form) -> str:
        """Submit, or amend what was sent back under this code. Returns the channel's own id of it; what it decides a
        query says. ChannelRejected for a form that it does not take."""
        ...

    async def query_applyment(self, credential: Credential, code: str) -> ApplymentReport: ...


class PayerIdentity(Protocol):
    """Who is paying, when our page is opened inside the channel's own app (OAuth)."""

    def authorize_url(self, access: Access, redirect_uri: str, state: str) -> str:
        """Where to send the payer's browser; it comes back to ``redirect_uri`` with a code and ``state``."""
        ...

    async def payer_id(self, access: Access, code: str, method: Method = ...) -> str:
        """What ``Opening.payer_id`` wants for this method: a code from WeChat's mini-program is another than one from
        its OAuth page, and the adapter's own page is the default. ChannelRejected for a code that is wrong, used or
        too old."""
        ...


class Sharing(Protocol):
    """Passing on what a merchant was paid, out of the merchant's own channel account (分账). Errors as in Collecting.

    ``kinds`` are the receivers it knows. With ``returns_with_refund`` shares come back within a refund
    (``RefundRequest.taken_back``), and ``return_share`` and ``ask_return`` are refused; without, before it.
    """

    kinds: frozenset[ReceiverKind]
    returns_with_refund: bool

    async def register(self, access: Access, receiver: ReceiverAccount) -> None:
        """Who is registered may get shares. Repeating it is harmless."""
        ...

    async def remove(self, access: Access, receiver: ReceiverAccount) -> None:
        """Repeating it is harmless."""
        ...

    async def share(self, access: Access, request: ShareRequest) -> ShareReport:
        """Taken; each part has its own end, which ``ask`` tells. Repeating the same request is harmless."""
        ...

    async def ask(self, access: Access, request: ShareRequest) -> ShareReport:
        """ABSENT: the channel has no such share, so the same request may be made again."""
        ...

    async def finish(self, access: Access, request: ShareRequest) -> ShareReport:
        """Let go what nobody got: nothing of this payment can be shared any more. Repeating it is harmless."""
        ...

    async def return_share(self, access: Access, request: ReturnRequest) -> ReturnReport:
        """Repeating the same request is harmless: the number decides."""
        ...

    async def ask_return(self, access: Access, request: ReturnRequest) -> ReturnReport: ...


class Statements(Protocol):
    """A channel's bills of one day, fetched and read. Errors as in Collecting.

    ``funds`` are the accounts at the channel that have a fund bill of their own (WeChat: BASIC, OPERATION, FEES;
    Alipay: BASIC). Files are large: they are written to and read from a file, never held in memory.
    """

    funds: tuple[str, ...]

    async def fetch(
        self, access: Access, kind: StatementKind, day: date, into: IO[bytes], *, fund: str = "BASIC"
    ) -> bool:
        """Write the bill as the channel published it, its hash checked where the channel gives one. False: the channel
        says that this day has none. ChannelUnavailable("bill_not_ready") while it is being made, ChannelRejected
        ("bill_not_permitted") where this account may not have it (a sub-merchant's fund bill)."""
        ...

    def trade_lines(self, access: Access, day: date, source: IO[bytes]) -> Iterator[Lines]:
        """Every payment and refund of a trade bill, in its order, many at a time. Raises BillInvalid with the line at
        fault: for a file that is torn, changed, of another day or account, of another kind, or whose own totals do not
        fit. Some lines may have been given before that."""
        ...

    def fund_lines(self, access: Access, day: date, source: IO[bytes], *, fund: str = "BASIC") -> Iterator[FundLine]:
        """Every movement of a fund bill, in its order. Raises BillInvalid likewise."""
        ...


class NoticeReading(Protocol):
    """The other direction of a channel's wire format."""

    async def read(self, access: Access, headers: Mapping[str, str], body: bytes, *, now: datetime) -> ChannelNotice:
        """A verified notice. Raises NoticeRejected; keys come from ``access``, never from the message."""
        ...

    def answer(self, *, accepted: bool) -> "NoticeAnswer":
        """What this channel wants to hear after our commit, or for a notice we do not accept."""
        ...


@dataclass(frozen=True, slots=True)
class NoticeAnswer:
    status: int
    media_type: str
    body: bytes


class ChannelAdapter(Collecting, Charging, Refunding, PayerIdentity, NoticeReading, Protocol):
    """What Alipay and WeChat Pay both offer. Other capabilities are ports of their own."""

    def check(self, credential: Credential, payee: str) -> None:
        """Raises InvalidRequest for a credential that could not sign or verify. Calls nobody; may take 0.1 s."""
        ...


Channels = Mapping[Channel, ChannelAdapter]
PayoutRails = Mapping[Channel, Payouts]
SharingRails = Mapping[Channel, Sharing]
