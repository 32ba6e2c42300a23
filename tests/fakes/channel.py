"""A payment channel in memory, with its payers, and a switch for each way a channel lets us down."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from application.ports.channels import NoticeAnswer
from application.ports.world import Clock
from domain.channels import (
    Access,
    ActionType,
    Channel,
    ChannelNotice,
    ChannelReport,
    ChannelState,
    Credential,
    Method,
    Opening,
    PayerAction,
    Receipt,
    RefundReport,
    RefundRequest,
    RefundState,
)
from domain.errors import (
    AccountRefused,
    ChannelRejected,
    ChannelUnavailable,
    InvalidRequest,
    NoticeRejected,
    OutcomeUnknown,
)
from domain.money import Money
from domain.payouts import PayoutReport
from domain.redirections import Card, Destination
from tests.fakes.faults import Faults
from tests.fakes.payouts import FakePayouts, read_payout, write_payout
from tests.fakes.sharing import FakeSharing


class ChannelFault(StrEnum):
    UNAVAILABLE = "unavailable"  # it did not hear us, and we know that
    UNKNOWN_UNDONE = "unknown_undone"  # it did not hear us, and we cannot know that
    UNKNOWN_DONE = "unknown_done"  # it did what we asked, and its answer was lost
    REJECTED = "rejected"  # a definite no
    ACCOUNT_REFUSED = "account_refused"  # a definite no to this account, whatever the payment
    FUNDS_SHORT = "funds_short"  # of a refund or payout: not enough in the account now
    SLOW = "slow"  # it hears us after a while
    LATE_ANSWER = "late_answer"  # it does at once what we asked, and its answer is old when it comes


class PayerRefused(Exception):
    """The payer's phone says no: expired, closed, already paid, or no such code."""


@dataclass
class _Payment:
    """What the channel keeps of one number."""

    access: Access
    opening: Opening
    state: ChannelState
    receipt: Receipt | None = None
    undone: bool = False


@dataclass
class _Refund:
    """What the channel keeps of one refund. ``ours`` is False for one that was made in its own console."""

    access: Access
    request: RefundRequest
    channel_id: str
    at: datetime
    state: RefundState
    ours: bool = True

    def report(self) -> RefundReport:
        return RefundReport(
            number=self.request.number if self.ours else None,
            payment_number=self.request.payment_number,
            state=self.state,
            amount=self.request.amount,
            channel_id=self.channel_id,
            at=self.at,
        )


class FakeChannel:
    """Alipay or WeChat Pay as our ports see them. Numbers are unique for each payee.

    A bar code's last digit says what its payer does: 0 has no money, 1 has to enter a password (``pay``), any other
    pays at once.

    Alipay's way (``unscanned_is_absent``): a code that nobody scanned is no trade yet, so a query says ABSENT, and a
    close changes nothing: the code can be paid until the opening's expiry. A refund is done at once there; at WeChat
    Pay (``refunds_later``) it is only accepted, until ``settle`` says what became of it.
    """

    def __init__(
        self,
        channel: Channel,
        clock: Clock,
        *,
        open_here: Callable[[], bool] = lambda: False,
        slow_seconds: float = 3.0,
    ) -> None:
        self.methods = frozenset(method for method in Method if method.channel is channel)
        self.faults: Faults[ChannelFault] = Faults()
        self.unscanned_is_absent = channel is Channel.ALIPAY
        self.refunds_later = channel is Channel.WECHAT
        self._channel = channel
        self._clock = clock
        self._open_here = open_here
        self.slow_seconds = slow_seconds
        self._payments: dict[str, dict[str, _Payment]] = {}
        self._used_codes: set[str] = set()
        self._refunds: dict[str, _Refund] = {}
        self.payouts = FakePayouts(self)
        self.redirected: dict[str, tuple[Destination, Card | None]] = {}
        self.sharing = FakeSharing(channel, clock, self._shareable, self._hear, self._answer)
        self.on_refund: Callable[[str, Access], None] = lambda _number, _access: None

    # ── What we call ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self, access: Access, opening: Opening) -> PayerAction:
        fault = await self._hear("open", opening.number)
        payment = self._of(access).get(opening.number)
        if payment is None:
            if self._clock.now() >= opening.expires_at:
                raise ChannelRejected("the expiry has passed", code="expired")
            state = ChannelState.ABSENT if self.unscanned_is_absent else ChannelState.PENDING
            payment = self._of(access)[opening.number] = _Payment(access, opening, state)
        elif payment.opening != opening:
            raise ChannelRejected("this number stands for another payment", code="number_reused")
        elif payment.state in (ChannelState.PAID, ChannelState.CLOSED):
            raise ChannelRejected("this number is done with", code=f"number_{payment.state}")
        await self._answer(fault)
        return self._action(opening)

    async def query(self, access: Access, number: str) -> ChannelReport:
        fault = await self._hear("query", number)
        payment = self._of(access).get(number)
        report = ChannelReport(number, ChannelState.ABSENT) if payment is None else self._report(payment)
        await self._answer(fault)
        return report

    async def close(self, access: Access, number: str) -> None:
        fault = await self._hear("close", number)
        payment = self._of(access).get(number)
        if payment is not None and payment.state is ChannelState.PAID:
            raise ChannelRejected("this payment is paid", code="order_paid")
        if payment is not None and payment.state is ChannelState.PENDING:
            payment.state = ChannelState.CLOSED
        await self._answer(fault)

    async def charge(self, access: Access, opening: Opening) -> ChannelReport:
        fault = await self._hear("charge", opening.number)
        code = opening.auth_code
        assert code is not None, "a bar code is charged with a code"
        payment = self._of(access).get(opening.number)
        if payment is None:
            if code in self._used_codes:
                raise ChannelRejected("this code has been used", code="auth_code_used")
            self._used_codes.add(code)
            if code.endswith("0"):
                raise ChannelRejected("the payer has no money", code="payer_funds_short")
            payment = self._of(access)[opening.number] = _Payment(access, opening, ChannelState.PENDING)
            if not code.endswith("1"):
                self.pay(opening.number)
        elif payment.state is ChannelState.CLOSED:
            raise ChannelRejected("this number is done with", code="number_closed")
        await self._answer(fault)
        return self._report(payment)

    async def reverse(self, access: Access, number: str) -> None:
        fault = await self._hear("reverse", number)
        payment = self._of(access).get(number)
        if payment is not None:
            payment.undone = payment.undone or payment.state is ChannelState.PAID
            payment.state = ChannelState.CLOSED
        await self._answer(fault)

    def authorize_url(self, access: Access, redirect_uri: str, state: str) -> str:
        asked = urlencode({"appid": access.credential.app_id, "redirect_uri": redirect_uri, "state": state})
        return f"https://{self._channel}.invalid/authorize?{asked}"

    async def payer_id(self, access: Access, code: str, method: Method | None = None) -> str:
        del method  # one code is as good as another here
        await self._answer(await self._hear("payer_id", code))
        if not code.startswith("login-") or code in self._used_codes:
            raise ChannelRejected("no such code", code="payer_code_invalid")
        self._used_codes.add(code)
        return f"{self._channel}-{access.credential.app_id}-{code.removeprefix('login-')}"

    async def refund(self, access: Access, request: RefundRequest) -> RefundReport:
        fault = await self._hear("refund", request.number)
        refund = self._refunds.get(request.number)
        if refund is None:
            payment = self._of(access).get(request.payment_number)
            if payment is None or payment.undone or payment.receipt is None or payment.receipt.total != request.total:
                raise ChannelRejected("there is no such payment to refund", code="payment_absent")
            if fault is ChannelFault.FUNDS_SHORT:
                raise ChannelRejected("the account is short", code="channel_funds_short")
            if self.refunded(request.payment_number) + request.amount.minor > request.total.minor:
                raise ChannelRejected("more than was paid", code="refund_exceeds_payment")
            self.sharing.take_back(request)
            refund = self._made(access, request)
        elif refund.request != request:
            raise ChannelRejected("this number stands for another refund", code="number_reused")
        await self._answer(fault)
        return refund.report()

    async def query_refund(self, access: Access, request: RefundRequest) -> RefundReport:
        fault = await self._hear("query_refund", request.number)
        refund = self._refunds.get(request.number)
        report = refund.report() if refund else _absent(request)
        await self._answer(fault)
        return report

    async def redirect(
        self, access: Access, request: RefundRequest, channel_id: str, to: Destination, card: Card | None
    ) -> RefundReport:
        fault = await self._hear("redirect", request.number)
        refund = self._refunds.get(request.number)
        if refund is None or refund.channel_id != channel_id or refund.state is not RefundState.ABNORMAL:
            raise ChannelRejected("this refund is not abnormal", code="INVALID_REQUEST")
        refund.state = RefundState.ACCEPTED
        self.redirected[request.number] = (to, card)
        await self._answer(fault)
        return refund.report()

    async def read(self, access: Access, headers: Mapping[str, str], body: bytes, *, now: datetime) -> ChannelNotice:
        signature = headers.get("fake-signature", "")
        if not hmac.compare_digest(signature.encode(), _sign(access, body).encode()):
            raise NoticeRejected("this is not the channel's signature", code="signature_invalid")
        message = json.loads(body)
        report, refund = _read_report(message["report"]), _read_refund(message["refund"])
        return ChannelNotice(
            message["id"],
            message["kind"],
            report,
            refund,
            read_payout(message["payout"]),
            {"fake-signature": signature},
        )

    def check(self, credential: Credential, payee: str) -> None:
        """Any material but none will do here."""
        if not credential.sealed:
            raise InvalidRequest("this credential has no keys", code="credential_invalid")

    def answer(self, *, accepted: bool) -> NoticeAnswer:
        return NoticeAnswer(200 if accepted else 500, "text/plain", b"success" if accepted else b"fail")

    # ── What the payer does ──────────────────────────────────────────────────────────────────────────────────────────

    def scan(self, number: str) -> None:
        """The payer scans the code: from here on even Alipay has a trade."""
        payment = self._payment(number)
        if self._clock.now() >= payment.opening.expires_at or payment.state is ChannelState.CLOSED:
            raise PayerRefused("this code is no longer valid")
        if payment.state is ChannelState.ABSENT:
            payment.state = ChannelState.PENDING

    def pay(self, number: str, *, total: Money | None = None, received: Money | None = None) -> Receipt:
        """The payer pays, and the channel owes us a notice. ``total`` other than asked is the channel's own mistake."""
        self.scan(number)
        payment = self._payment(number)
        if payment.state is not ChannelState.PENDING:
            raise PayerRefused(f"this payment is {payment.state}")
        total = total or payment.opening.amount
        payment.state = ChannelState.PAID
        payment.receipt = Receipt(
            number=number,
            transaction_id=f"{self._channel}-{hashlib.sha256(number.encode()).hexdigest()[:20]}",
            total=total,
            received=total if received is None else received,
            payer_paid=total,
            paid_at=self._clock.now(),
            app_id=payment.access.credential.app_id,
            payee=payment.access.account.payee,
        )
        return payment.receipt

    def notice(self, number: str) -> tuple[dict[str, str], bytes]:
        """Headers and body of what the channel sends about this number now; sent again, it is the same notice."""
        payment = self._payment(number)
        return self.sign(payment.access, self._report(payment), id=f"{self._channel}-notice-{number}-{payment.state}")

    def receipt(self, number: str) -> Receipt | None:
        """The money that came under this number, whatever became of it."""
        return next((of[number].receipt for of in self._payments.values() if number in of), None)

    def paid_notice(self, number: str) -> tuple[dict[str, str], bytes]:
        """The notice that was signed when the money came, and that may arrive after it was given back."""
        payment = self._payment(number)
        report = ChannelReport(number, ChannelState.PAID, receipt=payment.receipt)
        return self.sign(payment.access, report, id=f"{self._channel}-notice-{number}-paid")

    def sign(
        self,
        access: Access,
        report: ChannelReport | None,
        *,
        id: str,
        refund: RefundReport | None = None,
        payout: PayoutReport | None = None,
    ) -> tuple[dict[str, str], bytes]:
        """A notice with any content, rightly signed: also for what no honest channel sends."""
        kind = "payout" if payout else "payment" if refund is None else "refund"
        message = {"id": id, "kind": kind, "report": _write_report(report), "refund": _write_refund(refund)}
        message["payout"] = write_payout(payout)
        body = json.dumps(message).encode()
        return {"fake-signature": _sign(access, body)}, body

    # ── What becomes of refunds ──────────────────────────────────────────────────────────────────────────────────────

    def console(self, number: str, amount: Money) -> str:
        """Somebody refunds this payment in the channel's own console. Returns the channel's own number of it."""
        payment = self._payment(number)
        assert payment.receipt is not None
        if self.refunded(number) + amount.minor > payment.receipt.total.minor:
            raise PayerRefused("more than was paid")
        own = f"console-{number}-{len(self._refunds)}"
        request = RefundRequest(
            number=own,
            payment_number=number,
            amount=amount,
            total=payment.receipt.total,
            reason="",
            notice_url="",
        )
        refund = self._made(payment.access, request)
        refund.ours, refund.channel_id = False, own
        return own

    def settle(self, number: str, state: RefundState = RefundState.SUCCEEDED) -> None:
        """What the payer's bank says of a refund that was accepted, or in the end of one that is abnormal."""
        refund = self._refunds[number]
        if refund.state in (RefundState.ACCEPTED, RefundState.ABNORMAL):
            refund.state = state

    def refund_notice(self, number: str) -> tuple[dict[str, str], bytes]:
        """What the channel sends about this refund now; sent again, it is the same notice."""
        refund = self._refunds[number]
        id_ = f"{self._channel}-refund-{number}-{refund.state}"
        return self.sign(refund.access, None, id=id_, refund=refund.report())

    def refunded(self, payment_number: str) -> int:
        """What has gone back of a payment, in minor units: the truth, whatever our queries were told."""
        return sum(
            refund.request.amount.minor
            for refund in self._refunds.values()
            if refund.request.payment_number == payment_number and refund.state is not RefundState.CLOSED
        )

    def made(self) -> list[tuple[str, RefundReport]]:
        """The same, each with the account that it was made from."""
        return [(refund.access.account.id, refund.report()) for refund in self._refunds.values()]

    def refunds(self) -> list[RefundReport]:
        """All refunds there are here, in the order they were made."""
        return [refund.report() for refund in self._refunds.values()]

    def paid(self) -> list[Receipt]:
        """All money that payers have paid here, in no order that matters."""
        every = [payment for numbers in self._payments.values() for payment in numbers.values()]
        return [payment.receipt for payment in every if payment.receipt is not None]

    def given_back(self) -> list[Receipt]:
        """What was paid by bar code and then undone."""
        every = [payment for numbers in self._payments.values() for payment in numbers.values()]
        return [payment.receipt for payment in every if payment.receipt is not None and payment.undone]

    def state(self, number: str) -> ChannelState:
        """The truth about a number, whatever our queries were told."""
        return next((of[number].state for of in self._payments.values() if number in of), ChannelState.ABSENT)

    # ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _hear(self, step: str, number: str) -> ChannelFault | None:
        assert not self._open_here(), "never call a channel inside a unit of work"
        fault = self.faults.take(f"{step} {number}")
        await asyncio.sleep(self.slow_seconds if fault is ChannelFault.SLOW else 0)
        if fault is ChannelFault.UNAVAILABLE:
            raise ChannelUnavailable("the fake channel is down")
        if fault is ChannelFault.UNKNOWN_UNDONE:
            raise OutcomeUnknown("the fake channel did not answer")
        if fault is ChannelFault.REJECTED:
            raise ChannelRejected("the fake channel says no", code="rejected")
        if fault is ChannelFault.ACCOUNT_REFUSED:
            raise AccountRefused("the fake channel has closed this account", code="NO_AUTH")
        return fault

    async def _answer(self, fault: ChannelFault | None) -> None:
        if fault is ChannelFault.LATE_ANSWER:
            await asyncio.sleep(self.slow_seconds)
        if fault is ChannelFault.UNKNOWN_DONE:
            raise OutcomeUnknown("the fake channel's answer was lost")

    def _shareable(self, transaction_id: str) -> tuple[Money, Money]:
        """What was received under the channel's own number, and what of it has not gone back."""
        for numbers in self._payments.values():
            for payment in numbers.values():
                if payment.receipt is not None and payment.receipt.transaction_id == transaction_id:
                    if not payment.opening.shared:
                        raise ChannelRejected("this payment is not marked to be shared", code="not_to_be_shared")
                    received = payment.receipt.received
                    return received, Money(received.minor - self.refunded(payment.opening.number))
        raise ChannelRejected("no such payment", code="payment_absent")

    def _made(self, access: Access, request: RefundRequest) -> _Refund:
        state = RefundState.ACCEPTED if self.refunds_later else RefundState.SUCCEEDED
        channel_id = f"{self._channel}-refund-{hashlib.sha256(request.number.encode()).hexdigest()[:20]}"
        refund = self._refunds[request.number] = _Refund(access, request, channel_id, self._clock.now(), state)
        self.on_refund(request.number, access)
        return refund

    def _action(self, opening: Opening) -> PayerAction:
        number = opening.number
        match opening.method:
            case Method.ALIPAY_PAGE | Method.ALIPAY_WAP:
                return PayerAction(ActionType.FORM, f"https://page.{self._channel}.invalid/", {"number": number})
            case Method.WECHAT_H5:
                return PayerAction(ActionType.REDIRECT, f"https://h5.{self._channel}.invalid/{number}")
            case Method.ALIPAY_APP | Method.ALIPAY_JSAPI:
                return PayerAction(ActionType.SDK, f"trade-{number}")
            case Method.WECHAT_APP | Method.WECHAT_JSAPI | Method.WECHAT_MINIPROGRAM:
                return PayerAction(ActionType.SDK, f"prepay-{number}", {"package": f"prepay_id={number}"})
            case _:
                return PayerAction(ActionType.QR_CODE, f"https://qr.{self._channel}.invalid/{number}")

    def _of(self, access: Access) -> dict[str, _Payment]:
        return self._payments.setdefault(access.account.payee, {})

    def _payment(self, number: str) -> _Payment:
        for numbers in self._payments.values():
            if number in numbers:
                return numbers[number]
        raise PayerRefused("there is no such code")

    def _report(self, payment: _Payment) -> ChannelReport:
        # Alipay closes a trade that has expired; at WeChat Pay it can no longer be paid, but stays open until we close.
        expired = self._clock.now() >= payment.opening.expires_at and payment.state is ChannelState.PENDING
        expired = expired and payment.opening.auth_code is None
        state = ChannelState.CLOSED if expired and self.unscanned_is_absent else payment.state
        receipt = payment.receipt if state is ChannelState.PAID else None
        return ChannelReport(payment.opening.number, state, receipt=receipt)


def _sign(access: Access, body: bytes) -> str:
    """The key follows from our credential, never from the message."""
    return hmac.new(f"{access.credential.id}|{access.credential.version}".encode(), body, hashlib.sha256).hexdigest()


def _write_report(report: ChannelReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    receipt = report.receipt
    return {
        "number": report.number,
        "state": report.state,
        "receipt": receipt
        and {
            "transaction_id": receipt.transaction_id,
            "amounts": [receipt.total.minor, receipt.received.minor, receipt.payer_paid.minor],
            "currency": receipt.total.currency,
            "paid_at": receipt.paid_at.isoformat(),
            "app_id": receipt.app_id,
            "payee": receipt.payee,
        },
    }


def _read_report(message: dict[str, Any] | None) -> ChannelReport | None:
    if message is None:
        return None
    receipt, number = message["receipt"], message["number"]
    if receipt is None:
        return ChannelReport(number, ChannelState(message["state"]))
    total, received, payer_paid = (Money(minor, receipt["currency"]) for minor in receipt["amounts"])
    return ChannelReport(
        number,
        ChannelState.PAID,
        receipt=Receipt(
            number=number,
            transaction_id=receipt["transaction_id"],
            total=total,
            received=received,
            payer_paid=payer_paid,
            paid_at=datetime.fromisoformat(receipt["paid_at"]),
            app_id=receipt["app_id"],
            payee=receipt["payee"],
        ),
    )


def _absent(request: RefundRequest) -> RefundReport:
    return RefundReport(number=request.number, payment_number=request.payment_number, state=RefundState.ABSENT)


def _write_refund(refund: RefundReport | None) -> dict[str, Any] | None:
    return (
        None
        if refund is None
        else {
            "number": refund.number,
            "payment_number": refund.payment_number,
            "state": refund.state,
            "amount": None if refund.amount is None else refund.amount.minor,
            "payment_refunded": None if refund.payment_refunded is None else refund.payment_refunded.minor,
            "channel_id": refund.channel_id,
            "at": refund.at and refund.at.isoformat(),
        }
    )


def _read_refund(message: dict[str, Any] | None) -> RefundReport | None:
    if message is None:
        return None
    amount, total = message["amount"], message["payment_refunded"]
    return RefundReport(
        number=message["number"],
        payment_number=message["payment_number"],
        state=RefundState(message["state"]),
        amount=None if amount is None else Money(amount),
        payment_refunded=None if total is None else Money(total),
        channel_id=message["channel_id"],
        at=datetime.fromisoformat(message["at"]) if message["at"] else None,
    )
