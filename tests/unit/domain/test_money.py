"""Money is counted exactly, read strictly, and divided in few places, each of which says how it rounds."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from domain.money import MILLION, FeePlan, Money, Rate

minor = st.integers(min_value=0, max_value=10**14 - 1)  # twelve digits of yuan are read
ppm = st.integers(min_value=0, max_value=MILLION)


@pytest.mark.parametrize(
    ("text", "fen"), [("0", 0), ("0.01", 1), ("0.1", 10), ("1", 100), ("1.0", 100), ("100.00", 10_000), ("9.99", 999)]
)
def test_yuan_are_read_exactly(text: str, fen: int) -> None:
    assert Money.from_yuan(text) == Money(fen)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ".", "1.", ".5", "1.234", "0.001", "01", "00", "-1", "+1", "-0", "1e2", "1E2", "1_000", "1,000",
        "1 ", " 1", "1\n", "1.00\n", "\n1", "１", "１.００", "1．00", "٣", "1.٣", "¥1", "0x10", "NaN", "inf", "1/2",
        "1.00.00", "1\x00", "1000000000000000",
    ],
)  # fmt: skip
def test_everything_else_is_no_amount(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Money.from_yuan(text)
    assert caught.value.code == "amount_invalid"


@given(st.text())
def test_what_is_read_is_plain_digits_and_at_most_one_point(text: str) -> None:
    try:
        read = Money.from_yuan(text)
    except InvalidRequest:
        return
    assert Fraction(text) * 100 == read.minor
    assert set(text) <= set("0123456789.")


@given(minor)
def test_what_is_written_is_read_back(fen: int) -> None:
    assert Money.from_yuan(Money(fen).yuan) == Money(fen)


@pytest.mark.parametrize("wrong", [-1, 1.0, True, "1", None])
def test_money_is_a_whole_number_of_fen_and_never_negative(wrong: object) -> None:
    with pytest.raises(AssertionError):
        Money(wrong)  # type: ignore[arg-type]


def test_taking_more_than_there_is_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        Money(1) - Money(2)


def test_currencies_do_not_mix() -> None:
    with pytest.raises(TypeError):
        Money(1, "CNY") + Money(1, "USD")
    with pytest.raises(TypeError):
        Money(1, "CNY") - Money(1, "USD")
    assert Money(1, "CNY") != Money(1, "USD")


@pytest.mark.parametrize("wrong", [-1, MILLION + 1])
def test_a_rate_is_between_nothing_and_everything(wrong: int) -> None:
    with pytest.raises(InvalidRequest):
        Rate(wrong)


@pytest.mark.parametrize(
    ("rate", "fen", "share"),
    [
        (6_000, 10_000, 60),
        (6_000, 1, 0),
        (6_000, 83, 0),  # 0.498
        (6_000, 84, 1),  # 0.504
        (500_000, 1, 1),  # one half goes up
        (500_000, 3, 2),  # and not to the even neighbour
        (500_000, 5, 3),
        (0, 10**12, 0),
        (MILLION, 7, 7),
    ],
)
def test_a_share_is_rounded_half_up(rate: int, fen: int, share: int) -> None:
    assert Rate(rate).of(Money(fen)) == Money(share)


@given(ppm, minor)
def test_a_share_is_the_nearest_fen_and_of_two_the_greater(rate: int, fen: int) -> None:
    exact = Fraction(fen * rate, MILLION)
    assert -Fraction(1, 2) < Rate(rate).of(Money(fen)).minor - exact <= Fraction(1, 2)
    assert Rate(rate).of(Money(fen)) <= Money(fen)


@pytest.mark.parametrize(("minimum", "maximum"), [(-1, None), (2, 1), (0, -1)])
def test_a_fee_plan_has_sane_bounds(minimum: int, maximum: int | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        FeePlan(Rate(1), minimum, maximum)
    assert caught.value.code == "fee_plan_invalid"


@pytest.mark.parametrize(
    ("plan", "received", "fee"),
    [
        (FeePlan(Rate(6_000)), 10_000, 60),
        (FeePlan(Rate(6_000)), 1, 0),
        (FeePlan(Rate(6_000), minimum=10), 1_000, 10),
        (FeePlan(Rate(6_000), minimum=10), 7, 7),
        (FeePlan(Rate(6_000), maximum=50), 10_000, 50),
        (FeePlan(Rate(6_000), minimum=5, maximum=5), 10**9, 5),
        (FeePlan(Rate(0), minimum=3), 0, 0),
    ],
)
def test_a_fee_keeps_to_its_plan(plan: FeePlan, received: int, fee: int) -> None:
    assert plan.fee(Money(received)) == Money(fee)


@given(ppm, st.integers(0, 10**6), st.none() | st.integers(0, 10**6), minor)
def test_a_fee_is_never_more_than_what_was_received_nor_than_its_maximum(
    rate: int, minimum: int, more: int | None, received: int
) -> None:
    plan = FeePlan(Rate(rate), minimum, None if more is None else minimum + more)
    fee = plan.fee(Money(received)).minor
    assert 0 <= fee <= received
    assert plan.maximum is None or fee <= plan.maximum
    assert fee >= min(minimum, received)


@st.composite
def partitions(draw: st.DrawFn) -> tuple[int, list[int]]:
    parts = draw(st.lists(st.integers(1, 10**6), min_size=1, max_size=30))
    return sum(parts), parts


@given(partitions(), st.integers(0, 10**6))
@example((2, [1, 1]), 1)
@example((3, [1, 1, 1]), 2)
def test_the_shares_of_any_partial_refunds_add_up_to_the_fee(split: tuple[int, list[int]], wanted: int) -> None:
    received, parts = split
    fee, plan = Money(min(wanted, received)), FeePlan(Rate(0))
    refunded = returned = Money(0)
    for part in parts:
        refunded = refunded + Money(part)
        share = plan.share(fee=fee, received=Money(received), refunded=refunded, returned=returned)
        assert share <= Money(part), "a refund never returns more fee than money"
        returned = returned + share
    assert returned == fee


def test_a_kept_fee_has_no_share_in_any_refund() -> None:
    plan = FeePlan(Rate(6_000), kept=True)
    assert plan.fee(Money(10_000)) == Money(60)
    assert plan.share(fee=Money(60), received=Money(10_000), refunded=Money(10_000), returned=Money(0)) == Money(0)


def test_a_fee_of_one_fen_refunded_in_two_halves_comes_back_once() -> None:
    plan, fee, received = FeePlan(Rate(6_000)), Money(1), Money(100)
    first = plan.share(fee=fee, received=received, refunded=Money(50), returned=Money(0))
    second = plan.share(fee=fee, received=received, refunded=Money(100), returned=first)
    assert [first, second] == [Money(1), Money(0)]
