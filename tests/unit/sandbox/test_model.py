"""What the payer's app says of a trade."""

import pytest

from sandbox.model import Payment, Trade

NOW = 1_000_000.0
PAID = Payment("T1", 100, 100, 100, NOW)


def trade(**changes: object) -> Trade:
    made = Trade(
        channel="alipay",
        account="app",
        number="N1",
        amount=100,
        subject="s",
        notify_url="",
        code="c",
        code_expires_at=NOW + 60,
        created_at=NOW,
        fingerprint="",
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_a_code_that_ran_out_unscanned_is_expired_and_a_scanned_one_is_not() -> None:
    assert trade().payable(NOW + 61) == "expired"
    assert trade(scanned_at=NOW).payable(NOW + 61) == "payable"


@pytest.mark.parametrize(("after", "says"), [(10, "payable"), (11, "expired")])
def test_the_deadline_is_the_last_payable_moment(after: int, says: str) -> None:
    assert trade(scanned_at=NOW, deadline=NOW + 10).payable(NOW + after) == says


def test_a_payment_after_the_close_makes_the_trade_paid() -> None:
    assert trade(scanned_at=NOW, closed_at=NOW).state == "closed"
    assert trade(scanned_at=NOW, closed_at=NOW, payments=[PAID]).state == "paid"


def test_a_payment_that_was_given_back_leaves_the_trade_closed() -> None:
    assert trade(closed_at=NOW, payments=[PAID], refunded=True).state == "closed"
