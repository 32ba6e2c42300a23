"""What money means is judged after it was recorded: the amount first, then the order's state and the policy."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain.channels import FundMode, Method
from domain.merchants import LatePayment
from domain.money import FeePlan, Money, Rate
from domain.orders import Order
from domain.payments import Unattributed, judge, record
from tests.unit.domain.samples import NOW, account, attempt, order, payment, receipt

PENDING, CLOSED = order(), order().close("expired", now=NOW)
PAID = order().pay(Money(10_000), method=Method.ALIPAY_QR, paid_at=NOW, now=NOW)
REFUND, ACCEPT = LatePayment.REFUND, LatePayment.ACCEPT


@pytest.mark.parametrize(
    ("one", "late", "total", "verdict"),
    [
        (PENDING, REFUND, 10_000, None),
        (PENDING, ACCEPT, 10_000, None),
        (CLOSED, REFUND, 10_000, Unattributed.LATE),
        (CLOSED, ACCEPT, 10_000, None),
        (PAID, REFUND, 10_000, Unattributed.SECOND),
        (PAID, ACCEPT, 10_000, Unattributed.SECOND),
        (PENDING, ACCEPT, 9_999, Unattributed.WRONG_AMOUNT),
        (PENDING, ACCEPT, 10_001, Unattributed.WRONG_AMOUNT),
        (CLOSED, ACCEPT, 9_999, Unattributed.WRONG_AMOUNT),
        (PAID, ACCEPT, 9_999, Unattributed.WRONG_AMOUNT),
        (None, ACCEPT, 10_000, Unattributed.UNKNOWN_NUMBER),
    ],
)
def test_money_is_judged_by_amount_state_and_policy(
    one: Order | None, late: LatePayment, total: int, verdict: Unattributed | None
) -> None:
    assert judge(receipt(total), one, attempt() if one else None, late) is verdict


def test_money_of_another_currency_is_the_wrong_amount() -> None:
    foreign = replace(receipt(), total=Money(10_000, "USD"))
    assert judge(foreign, PENDING, attempt(), ACCEPT) is Unattributed.WRONG_AMOUNT


def test_a_discount_of_the_channels_does_not_make_the_amount_wrong() -> None:
    assert judge(receipt(10_000, received=8_000), PENDING, attempt(), REFUND) is None


def test_the_fee_follows_the_attempts_plan_and_what_was_received() -> None:
    assert payment(10_000, received=5_000).fee == Money(30)
    assert payment(10_000, plan=FeePlan(Rate(0), minimum=25)).fee == Money(25)


def test_money_that_is_only_held_bears_no_fee() -> None:
    assert payment(plan=FeePlan(Rate(6_000), minimum=5), unattributed=Unattributed.LATE).fee == Money(0)


def test_money_of_an_unknown_number_belongs_to_whoever_owns_the_account() -> None:
    facts = {"id": "pay_1", "order": None, "attempt": None, "evidence": "query:1", "now": NOW}
    unknown = Unattributed.UNKNOWN_NUMBER
    ours = record(receipt(), account=account(), unattributed=unknown, **facts)  # type: ignore[arg-type]
    theirs = record(receipt(), account=account("mch_2"), unattributed=unknown, **facts)  # type: ignore[arg-type]
    assert (ours.merchant_id, ours.fund_mode, ours.fee) == (None, FundMode.COLLECT, Money(0))
    assert (theirs.merchant_id, theirs.fund_mode) == ("mch_2", FundMode.DIRECT)


def test_the_fund_mode_is_the_attempts_even_if_the_account_has_changed_hands_since() -> None:
    frozen = record(
        receipt(),
        id="pay_1",
        account=account("mch_2"),
        order=order(),
        attempt=attempt(fund_mode=FundMode.COLLECT),
        unattributed=None,
        evidence="query:1",
        now=NOW,
    )
    assert (frozen.fund_mode, frozen.merchant_id) == (FundMode.COLLECT, "mch_1")


def test_a_payment_belongs_to_the_channels_day_not_to_ours() -> None:
    late_evening = replace(payment(), paid_at=datetime(2026, 11, 22, 16, 0, tzinfo=UTC))
    assert late_evening.channel_date.isoformat() == "2026-11-23"
