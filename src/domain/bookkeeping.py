"""What each money fact posts: one function a fact, exactly as BOOKS.md tabulates them (debit → credit)."""

from dataclasses import replace
from datetime import datetime

from domain.channels import FundMode
from domain.ledger import PLATFORM, Account, AccountKind, Leg, Transfer, transfers_of
from domain.money import Money
from domain.payments import ChannelPayment, SuspenseItem
from domain.refunds import Refund
from domain.times import shanghai_day

BASIC = "BASIC"  # the fund account that payments are credited to, at both channels


def payment_received(payment: ChannelPayment) -> tuple[Transfer, ...]:
    """An effective payment. Collect: CR → MP (received − fee), CR → FI (fee). Direct: DH → DO, SFD → FI (fee)."""
    assert payment.merchant_id is not None
    net = payment.received - payment.fee
    if payment.fund_mode is FundMode.COLLECT:
        receivable = _of(payment, AccountKind.CHANNEL_RECEIVABLE, payment.account_id, BASIC)
        return _post(
            payment,
            "payment",
            ("net", receivable, _of(payment, AccountKind.MERCHANT_PENDING, payment.merchant_id), net),
            ("fee", receivable, _of(payment, AccountKind.FEE_INCOME, PLATFORM), payment.fee),
        )
    return _post(
        payment,
        "payment",
        ("net", *_direct(payment), payment.received),
        (
            "fee",
            _of(payment, AccountKind.SERVICE_FEE_DUE, payment.merchant_id),
            _of(payment, AccountKind.FEE_INCOME, PLATFORM),
            payment.fee,
        ),
    )


def payment_held(payment: ChannelPayment) -> tuple[Transfer, ...]:
    """Money that pays no order (late, second, wrong amount, unknown number). Collect: CR → SUS. Direct: DH → DO."""
    if payment.fund_mode is FundMode.COLLECT:
        receivable = _of(payment, AccountKind.CHANNEL_RECEIVABLE, payment.account_id, BASIC)
        ends = (receivable, _of(payment, AccountKind.SUSPENSE, payment.account_id))
    else:
        ends = _direct(payment)
    return _post(payment, "payment_held", ("held", *ends, payment.received))


def payment_reversed(payment: ChannelPayment, now: datetime) -> tuple[Transfer, ...]:
    """A held bar code payment that the channel has undone. Collect: SUS → CR. Direct: DO → DH."""
    held = payment_held(payment)
    return tuple(
        replace(
            each,
            idem_key=f"payment:{payment.account_id}:{payment.transaction_id}:reversed",
            fact="payment_reversed",
            debit=each.credit,
            credit=each.debit,
            channel_date=shanghai_day(now),
        )
        for each in held
    )


# ── Refunds ──────────────────────────────────────────────────────────────────────────────────────────────────────────
# In direct mode the money stands in the merchant's own channel account: nothing is reserved, and what the channel
# does is booked when it does it. A suspense item is reserved by its own guarded row.


def refund_reserved(refund: Refund) -> tuple[Transfer, ...]:
    """MP (before its payment is released) or MA (after) → MR (debit − share); FI → MR (share)."""
    return _about(refund, "refund_reserved", refund.created_at, *_reserve(refund))


def refund_void(refund: Refund, at: datetime) -> tuple[Transfer, ...]:
    """Before the channel accepted: both reserve lines back to where they came from."""
    return _about(refund, "refund_void", at, *_back("void", _reserve(refund)))


def refund_accepted(refund: Refund) -> tuple[Transfer, ...]:
    """The channel debits its account. Collect: MR → CR; an item: SUS → CR. Direct: DO → DH (debit), FI → SFD (share).

    One that nothing was reserved for (``refund_unasked``) is booked there instead.
    """
    assert refund.accepted_at is not None
    return _about(refund, "refund_accepted", refund.accepted_at, *_acceptance(refund))


def refund_closed(refund: Refund, at: datetime) -> tuple[Transfer, ...]:
    """The channel gives up after it had accepted: its line comes back, then the refund is void."""
    return _about(refund, "refund_closed", at, *_back("closed", _acceptance(refund)), *_back("void", _reserve(refund)))


def refund_unasked(refund: Refund) -> tuple[Transfer, ...]:
    """A debit that we had not reserved: a refund made in the channel's own console, or one that we had given up.

    MP (of its own payment), then MA up to their balances, MD the rest → CR (debit − share); FI → CR (share). Direct and
    items as accepted.
    """
    assert refund.accepted_at is not None
    return _about(refund, "refund_unasked", refund.accepted_at, *_unasked(refund))


def refund_unasked_closed(refund: Refund, at: datetime) -> tuple[Transfer, ...]:
    """The channel gave up a refund that we had not reserved anything for."""
    return _about(refund, "refund_closed", at, *_back("closed", _unasked(refund)))


# ── Suspense ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def item_attributed(
    item: SuspenseItem, payment: ChannelPayment, merchant_id: str, at: datetime
) -> tuple[Transfer, ...]:
    """SUS → MP (received − fee); SUS → FI (fee). Direct: the money is the merchant's already; SFD → FI (fee)."""
    income = _of(payment, AccountKind.FEE_INCOME, PLATFORM)
    if payment.fund_mode is FundMode.DIRECT:
        due = _of(payment, AccountKind.SERVICE_FEE_DUE, merchant_id)
        return _from_item(item, "item_attributed", at, ("fee", due, income, item.fee))
    suspense = _of(payment, AccountKind.SUSPENSE, payment.account_id)
    pending = _of(payment, AccountKind.MERCHANT_PENDING, merchant_id)
    return _from_item(
        item,
        "item_attributed",
        at,
        ("net", suspense, pending, item.amount - item.fee),
        ("fee", suspense, income, item.fee),
    )


def item_written_off(item: SuspenseItem, payment: ChannelPayment, left: Money, at: datetime) -> tuple[Transfer, ...]:
    """SUS → ADJ, what is ``left`` of it. Direct: the merchant keeps it, and nothing moves."""
    if payment.fund_mode is FundMode.DIRECT:
        return ()
    suspense = _of(payment, AccountKind.SUSPENSE, payment.account_id)
    adjustment = _of(payment, AccountKind.ADJUSTMENT, PLATFORM)
    return _from_item(item, "item_written_off", at, ("written_off", suspense, adjustment, left))


# ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _reserve(refund: Refund) -> tuple[Leg, ...]:
    if refund.fund_mode is FundMode.DIRECT or refund.item_id is not None:
        return ()
    refunding = _in(refund, AccountKind.MERCHANT_REFUNDING, refund.merchant_id)
    return (
        ("pending", _in(refund, AccountKind.MERCHANT_PENDING, refund.merchant_id), refunding, refund.draws.pending),
        (
            "available",
            _in(refund, AccountKind.MERCHANT_AVAILABLE, refund.merchant_id),
            refunding,
            refund.draws.available,
        ),
        ("share", _in(refund, AccountKind.FEE_INCOME, PLATFORM), refunding, refund.share),
    )


def _acceptance(refund: Refund) -> tuple[Leg, ...]:
    if refund.fund_mode is FundMode.DIRECT:
        return _direct_refund(refund)
    receivable = _in(refund, AccountKind.CHANNEL_RECEIVABLE, refund.account_id, BASIC)
    if refund.item_id is not None:
        source = _in(refund, AccountKind.SUSPENSE, refund.account_id)
    else:
        source = _in(refund, AccountKind.MERCHANT_REFUNDING, refund.merchant_id)
    return (("accepted", source, receivable, refund.debit),)


def _unasked(refund: Refund) -> tuple[Leg, ...]:
    if refund.fund_mode is FundMode.DIRECT or refund.item_id is not None:
        return tuple((f"unasked:{part}", debit, credit, amount) for part, debit, credit, amount in _acceptance(refund))
    receivable, draws = _in(refund, AccountKind.CHANNEL_RECEIVABLE, refund.account_id, BASIC), refund.draws
    return (
        ("unasked:pending", _in(refund, AccountKind.MERCHANT_PENDING, refund.merchant_id), receivable, draws.pending),
        (
            "unasked:available",
            _in(refund, AccountKind.MERCHANT_AVAILABLE, refund.merchant_id),
            receivable,
            draws.available,
        ),
        ("unasked:debt", _in(refund, AccountKind.MERCHANT_DEBT, refund.merchant_id), receivable, draws.debt),
        ("unasked:share", _in(refund, AccountKind.FEE_INCOME, PLATFORM), receivable, refund.share),
    )


def _direct_refund(refund: Refund) -> tuple[Leg, ...]:
    owed, held = (
        _in(refund, AccountKind.DIRECT_OWED, refund.merchant_id),
        _in(refund, AccountKind.DIRECT_HELD, refund.account_id),
    )
    due = _in(refund, AccountKind.SERVICE_FEE_DUE, refund.merchant_id)
    return (
        ("accepted", owed, held, refund.debit),
        ("share", _in(refund, AccountKind.FEE_INCOME, PLATFORM), due, refund.share),
    )


def _back(why: str, lines: tuple[Leg, ...]) -> tuple[Leg, ...]:
    return tuple((f"{why}:{part}", credit, debit, amount) for part, debit, credit, amount in lines)


def _about(refund: Refund, fact: str, at: datetime, *lines: Leg) -> tuple[Transfer, ...]:
    return transfers_of(f"refund:{refund.id}", fact, refund.id, at, *lines)


def _from_item(item: SuspenseItem, fact: str, at: datetime, *lines: Leg) -> tuple[Transfer, ...]:
    return transfers_of(f"item:{item.id}", fact, item.id, at, *lines)


def _in(refund: Refund, kind: AccountKind, owner: str, fund: str = "") -> Account:
    return Account(kind, owner, refund.mode, refund.amount.currency, fund)


def _direct(payment: ChannelPayment) -> tuple[Account, Account]:
    assert payment.merchant_id is not None, "a direct account has an owner"
    return (
        _of(payment, AccountKind.DIRECT_HELD, payment.account_id),
        _of(payment, AccountKind.DIRECT_OWED, payment.merchant_id),
    )


def _of(payment: ChannelPayment, kind: AccountKind, owner: str, fund: str = "") -> Account:
    return Account(kind, owner, payment.mode, payment.received.currency, fund)


def _post(payment: ChannelPayment, fact: str, *lines: Leg) -> tuple[Transfer, ...]:
    key = f"payment:{payment.account_id}:{payment.transaction_id}"
    return transfers_of(key, fact, payment.id, payment.paid_at, *lines)
