"""What a payment posts, as BOOKS.md tabulates it: its worked examples, and that the books always balance."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.bookkeeping import payment_held, payment_received, payment_reversed
from domain.channels import Mode
from domain.ledger import GUARDED, PLATFORM, Account, AccountKind, Transfer
from domain.money import MILLION, FeePlan, Money, Rate
from domain.payments import ChannelPayment, Unattributed
from tests.unit.domain.samples import payment


def balances(transfers: Iterable[Transfer]) -> dict[str, int]:
    """Credits minus debits by kind; kinds that live on debits (assets) with their sign turned."""
    sums: Counter[AccountKind] = Counter()
    for transfer in transfers:
        sums[transfer.credit.kind] += transfer.amount.minor
        sums[transfer.debit.kind] -= transfer.amount.minor
    assets = {AccountKind.CHANNEL_RECEIVABLE, AccountKind.DIRECT_HELD, AccountKind.SERVICE_FEE_DUE}
    return {str(kind): -total if kind in assets else total for kind, total in sums.items()}


def post(one: ChannelPayment) -> tuple[Transfer, ...]:
    return payment_held(one) if one.unattributed else payment_received(one)


def test_a_hundred_yuan_at_six_per_mille() -> None:
    assert balances(payment_received(payment(10_000))) == {"CR": 10_000, "MP": 9_940, "FI": 60}


def test_one_fen_at_six_per_mille_is_one_transfer() -> None:
    (only,) = payment_received(payment(1))
    assert balances([only]) == {"CR": 1, "MP": 1}


def test_a_fee_that_takes_all_is_one_transfer_too() -> None:
    (only,) = payment_received(payment(5, plan=FeePlan(Rate(0), minimum=10)))
    assert balances([only]) == {"CR": 5, "FI": 5}


def test_books_and_fee_use_what_was_received() -> None:
    assert balances(payment_received(payment(10_000, received=5_000))) == {"CR": 5_000, "MP": 4_970, "FI": 30}


def test_a_payment_that_coupons_paid_whole_posts_nothing() -> None:
    assert payment_received(payment(10_000, received=0)) == ()


def test_transfers_have_the_channels_day_which_begins_at_midnight_in_shanghai() -> None:
    midnight = datetime(2026, 11, 22, 16, tzinfo=UTC)
    for at, day in ((midnight - timedelta(seconds=1), date(2026, 11, 22)), (midnight, date(2026, 11, 23))):
        one = replace(payment(10_000), paid_at=at)
        assert [each.channel_date for each in payment_received(one)] == [day, day]
        held = replace(payment(10_000), unattributed=Unattributed.REVERSED)
        assert [each.channel_date for each in payment_reversed(held, at)] == [day], "the day on which it was undone"


def test_money_in_the_merchants_own_account_is_a_shadow_and_the_fee_is_due() -> None:
    posted = payment_received(payment(10_000, direct=True))
    assert balances(posted) == {"DH": 10_000, "DO": 10_000, "SFD": 60, "FI": 60}


@pytest.mark.parametrize("reason", list(Unattributed))
def test_held_money_is_in_suspense_whole_and_without_a_fee(reason: Unattributed) -> None:
    plan = FeePlan(Rate(6_000), minimum=10)
    assert balances(payment_held(payment(10_000, plan=plan, unattributed=reason))) == {"CR": 10_000, "SUS": 10_000}
    direct = payment_held(payment(10_000, direct=True, unattributed=reason))
    assert balances(direct) == {"DH": 10_000, "DO": 10_000}


def test_held_money_of_nobodys_number_needs_no_merchant() -> None:
    held = replace(payment(unattributed=Unattributed.UNKNOWN_NUMBER), merchant_id=None, order_id=None, attempt_id=None)
    assert balances(payment_held(held)) == {"CR": 10_000, "SUS": 10_000}


def test_each_account_has_its_right_owner() -> None:
    owners = {(t.credit.kind, t.credit.owner) for t in payment_received(payment())}
    owners |= {(t.debit.kind, t.debit.owner) for t in payment_received(payment())}
    assert owners == {
        (AccountKind.CHANNEL_RECEIVABLE, "cha_1"),
        (AccountKind.MERCHANT_PENDING, "mch_1"),
        (AccountKind.FEE_INCOME, PLATFORM),
    }
    (held,) = payment_held(payment(unattributed=Unattributed.LATE))
    assert (held.credit.kind, held.credit.owner) == (AccountKind.SUSPENSE, "cha_1")


@st.composite
def payments(draw: st.DrawFn) -> ChannelPayment:
    total = draw(st.integers(1, 10**9))
    minimum = draw(st.integers(0, 500))
    one = payment(
        total,
        received=draw(st.integers(0, total)),
        plan=FeePlan(
            Rate(draw(st.integers(0, MILLION))), minimum, draw(st.none() | st.integers(minimum, minimum + 10**6))
        ),
        direct=draw(st.booleans()),
        unattributed=draw(st.none() | st.sampled_from(Unattributed)),
    )
    return replace(one, transaction_id=draw(st.text("0123456789", min_size=28, max_size=28)))


@given(st.lists(payments(), max_size=20, unique_by=lambda one: one.transaction_id))
def test_the_books_balance_and_hold_all_the_money_that_came(many: list[ChannelPayment]) -> None:
    transfers = [transfer for one in many for transfer in post(one)]
    sums: Counter[Account] = Counter()
    for transfer in transfers:
        sums[transfer.credit] += transfer.amount.minor
        sums[transfer.debit] -= transfer.amount.minor
    assert sum(sums.values()) == 0
    arrived = balances(transfers)
    assert arrived.get("CR", 0) + arrived.get("DH", 0) == sum(one.received.minor for one in many)
    assert arrived.get("FI", 0) == sum(one.fee.minor for one in many)
    assert all(total >= 0 for account, total in sums.items() if account.kind in GUARDED)
    assert len({transfer.idem_key for transfer in transfers}) == len(transfers)


@given(payments())
def test_a_fact_posts_the_same_however_often_it_is_told(one: ChannelPayment) -> None:
    assert post(one) == post(one)


def test_the_fact_and_not_our_id_of_it_makes_the_key() -> None:
    keys = [transfer.idem_key for transfer in payment_received(payment())]
    assert keys == [transfer.idem_key for transfer in payment_received(replace(payment(), id="pay_2"))]
    other = replace(payment(), account_id="cha_2")
    assert set(keys).isdisjoint(transfer.idem_key for transfer in payment_received(other))


A = Account(AccountKind.MERCHANT_PENDING, "mch_1", Mode.TEST, "CNY")
B = Account(AccountKind.MERCHANT_AVAILABLE, "mch_1", Mode.TEST, "CNY")


@pytest.mark.parametrize(
    ("debit", "credit", "amount"),
    [
        (A, B, Money(0)),
        (A, A, Money(1)),
        (A, replace(B, mode=Mode.LIVE), Money(1)),
        (A, replace(B, currency="USD"), Money(1)),
        (A, B, Money(1, "USD")),
    ],
)
def test_a_transfer_that_makes_no_sense_cannot_be_made(debit: Account, credit: Account, amount: Money) -> None:
    with pytest.raises(AssertionError):
        Transfer(
            idem_key="k",
            fact="f",
            debit=debit,
            credit=credit,
            amount=amount,
            about="pay_1",
            channel_date=date(2026, 11, 22),
        )


def test_an_accounts_id_fits_a_bigint_and_tells_accounts_apart() -> None:
    others = [
        replace(A, kind=AccountKind.MERCHANT_FROZEN),
        replace(A, owner="mch_2"),
        replace(A, mode=Mode.LIVE),
        replace(A, currency="USD"),
        replace(A, fund="BASIC"),
    ]
    ids = {account.id for account in (A, *others)}
    assert len(ids) == 6
    assert all(-(2**63) <= id_ < 2**63 for id_ in ids)
    assert A.id == replace(A).id
