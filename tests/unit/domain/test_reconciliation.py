"""What the rules of matching say of every way in which a bill and our record can differ."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import Money
from domain.numbers import channel_number
from domain.reconciliation import REMEDIES, DifferenceKind, Finding, Ours, classify, foreign, keyed
from domain.statements import Line, LineKind, LineStatus

DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
NUMBER = channel_number("01KB5P4Z0W3V7H2M9T8Q6R5N4D")


def line(**changes: object) -> Line:
    base = Line(
        n=1,
        day=DAY,
        kind=LineKind.PAYMENT,
        number=NUMBER,
        payment_number=NUMBER,
        transaction_id="4200000001",
        total=Money(10_000),
        received=Money(10_000),
        fee=60,
        status=LineStatus.SUCCEEDED,
        at=NOON,
    )
    return base._replace(**changes)  # type: ignore[arg-type]


def ours(**changes: object) -> Ours:
    base = Ours(
        id="pay_1",
        kind=LineKind.PAYMENT,
        number=NUMBER,
        transaction_id="4200000001",
        account_id="cha_1",
        received=Money(10_000),
        fee=60,
        status=LineStatus.SUCCEEDED,
        channel_date=DAY,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def found(lines: list[Line], recorded: list[Ours], *, today: date = DAY, hold_days: int = 0) -> list[Finding]:
    return list(classify(lines, recorded, account_id="cha_1", today=today, hold_days=hold_days))


def test_an_equal_pair_is_no_difference() -> None:
    assert found([line()], [ours()]) == []


@pytest.mark.parametrize(
    ("kind", "theirs", "mine"),
    [
        (DifferenceKind.AMOUNT, line(received=Money(9_999)), ours()),
        (DifferenceKind.FEE, line(fee=61), ours()),
        (DifferenceKind.STATUS, line(status=LineStatus.REVERSED), ours()),
        (DifferenceKind.CURRENCY, line(received=Money(10_000, "USD")), ours()),
        (DifferenceKind.TRANSACTION, line(transaction_id="4200000002"), ours()),
        (DifferenceKind.WRONG_ACCOUNT, line(), ours(account_id="cha_2")),
    ],
)
def test_each_compared_column_has_its_difference(kind: DifferenceKind, theirs: Line, mine: Ours) -> None:
    (finding,) = found([theirs], [mine])
    assert (finding.kind, finding.line, finding.ours, finding.held) == (kind, theirs, mine, False)


def test_two_faults_of_one_pair_are_two_findings() -> None:
    kinds = [finding.kind for finding in found([line(received=Money(1), fee=0)], [ours()])]
    assert kinds == [DifferenceKind.AMOUNT, DifferenceKind.FEE]


def test_a_refund_that_came_to_nothing_and_of_which_we_know_nothing_is_no_difference() -> None:
    assert found([line(kind=LineKind.REFUND, status=LineStatus.FAILED)], []) == []
    assert [f.kind for f in found([line(status=LineStatus.FAILED)], [ours()])] == [DifferenceKind.STATUS]


def test_another_currency_is_not_also_another_amount() -> None:
    assert [f.kind for f in found([line(received=Money(5, "USD"))], [ours()])] == [DifferenceKind.CURRENCY]


def test_the_second_line_of_a_number_is_a_duplicate_and_the_first_is_still_compared() -> None:
    first, second = line(fee=59), line(n=2)
    assert [(f.kind, f.line) for f in found([first, second], [ours()])] == [
        (DifferenceKind.DUPLICATE, second),
        (DifferenceKind.FEE, first),
    ]


def test_of_two_payments_under_one_number_the_bill_is_compared_with_the_same_transaction() -> None:
    lost, kept = ours(id="pay_1", transaction_id="1"), ours(id="pay_2", transaction_id="2")
    assert [(f.kind, f.ours) for f in found([line(transaction_id="2")], [lost, kept])] == [
        (DifferenceKind.MISSING_THERE, lost)
    ]


Side = Callable[[], tuple[list[Line], list[Ours]]]


@pytest.mark.parametrize(
    ("side", "kind"),
    [
        (lambda: ([line()], []), DifferenceKind.MISSING_HERE),
        (lambda: ([], [ours()]), DifferenceKind.MISSING_THERE),
    ],
)
@pytest.mark.parametrize("hold_days", [0, 1, 3])
def test_one_side_alone_waits_for_its_neighbour_day_and_then_no_longer(
    side: Side, kind: DifferenceKind, hold_days: int
) -> None:
    for later in range(5):
        (finding,) = found(*side(), today=DAY + timedelta(days=later), hold_days=hold_days)
        assert (finding.kind, finding.held) == (kind, later < hold_days)


def test_a_pair_over_midnight_is_no_difference() -> None:
    assert found([line(day=DAY + timedelta(days=1))], [ours()], today=DAY + timedelta(days=1), hold_days=1) == []


@pytest.mark.parametrize(
    ("lines", "mine", "effect"),
    [
        ([line(received=Money(9_000))], [], 9_000),
        ([line(kind=LineKind.REFUND, received=Money(9_000))], [], -9_000),
        ([], [ours()], -10_000),
        ([], [ours(kind=LineKind.REFUND)], 10_000),
        ([line(received=Money(9_999))], [ours()], -1),
        ([line(fee=61)], [ours()], 0),
    ],
)
def test_a_finding_says_what_it_does_to_the_balance(lines: list[Line], mine: list[Ours], effect: int) -> None:
    (finding,) = found(lines, mine)
    assert finding.effect == effect


def test_every_difference_has_a_remedy_and_no_remedy_is_idle() -> None:
    assert set(REMEDIES) == set(DifferenceKind)
    assert all(REMEDIES.values())


def test_a_difference_found_again_has_the_same_key_and_two_of_one_number_have_two() -> None:
    once, again = found([line(fee=1)], [ours()]), found([line(n=9, fee=1)], [ours()])
    assert [f.difference.key for f in once] == [f.difference.key for f in again]
    both = found([line(fee=1, received=Money(1))], [ours()])
    assert len({f.difference.key for f in both}) == 2


def test_what_is_not_of_our_scheme_is_foreign_and_a_console_refund_of_our_payment_is_not() -> None:
    assert foreign(line(number="SHOP-1", payment_number="SHOP-1"))
    assert not foreign(line())
    assert not foreign(line(kind=LineKind.REFUND, number="", payment_number=NUMBER))


@given(
    st.lists(st.sampled_from("abcd"), max_size=6),
    st.lists(st.sampled_from("abcd"), max_size=6),
    st.integers(min_value=0, max_value=3),
)
def test_every_line_and_every_record_is_accounted_for_once(theirs: list[str], mine: list[str], hold_days: int) -> None:
    """A pair that matches, or a finding that names it: nothing is lost, and nothing is in two findings of one side."""
    lines = [line(n=n, number=number) for n, number in enumerate(theirs)]
    records = [ours(id=f"pay_{n}", number=number) for n, number in enumerate(mine)]
    seen_lines, seen_ours, pairs = [], [], 0
    for _, some_lines, some_ours in keyed(lines, records):
        findings = list(classify(some_lines, some_ours, account_id="cha_1", today=DAY, hold_days=hold_days))
        seen_lines += [f.line.n for f in findings if f.line]
        seen_ours += [f.ours.id for f in findings if f.ours and f.kind is DifferenceKind.MISSING_THERE]
        pairs += 1 if some_lines and some_ours else 0
    assert len(seen_lines) == len(set(seen_lines)) == len(lines) - pairs
    assert len(seen_ours) == len(set(seen_ours)) == len(records) - pairs
