"""The life of a statement day: late bills are no failures, a closed day opens only for another bill."""

from datetime import UTC, date, datetime, timedelta

import pytest

from domain.channels import Mode
from domain.errors import Conflict, IllegalTransition
from domain.statements import DayStatus, StatementDay, StatementFile, StatementKind

NOW = datetime(2026, 11, 21, 2, 15, tzinfo=UTC)
DAY = StatementDay(account_id="cha_1", mode=Mode.LIVE, day=date(2026, 11, 20))


def bill(sha256: str, kind: StatementKind = StatementKind.TRADE, fund: str = "") -> StatementFile:
    return StatementFile(
        id=f"stf_{sha256}",
        account_id="cha_1",
        mode=Mode.LIVE,
        day=DAY.day,
        kind=kind,
        fund=fund,
        sha256=sha256,
        size=1,
        provenance="channel",
        received_at=NOW,
    )


def matched(day: StatementDay = DAY) -> StatementDay:
    return day.fetched(bill("aa")).compared(matched=3, differences=0, held=0, foreign=1)


def test_a_bill_that_is_being_made_is_asked_for_again_and_is_no_failure() -> None:
    later = NOW + timedelta(minutes=20)
    day = DAY.delayed("BILL_CREATING", next_at=later)
    assert (day.status, day.next_at, day.tries) == (DayStatus.AWAITING_BILL, later, 1)


def test_a_bill_that_cannot_be_read_is_tried_again_and_says_why() -> None:
    day = DAY.failed("line 7: not an amount", next_at=NOW)
    assert (day.status, day.note) == (DayStatus.FETCH_FAILED, "line 7: not an amount")
    assert day.fetched(bill("aa")).status is DayStatus.FETCHED


def test_a_day_without_a_bill_is_compared_like_any_other() -> None:
    day = DAY.empty().compared(matched=0, differences=1, held=0, foreign=0)
    assert day.status is DayStatus.WITH_DIFFERENCES


def test_a_channel_that_says_again_that_there_is_no_bill_changes_nothing() -> None:
    """It is asked again while the fund bill is late."""
    nothing = DAY.empty()
    compared = nothing.compared(matched=0, differences=0, held=0, foreign=0)
    assert (nothing.empty(), compared.empty()) == (nothing, compared)


def test_a_day_on_which_only_payouts_moved_money_is_read_with_its_fund_bill_alone() -> None:
    day = DAY.empty().fetched(bill("f1", StatementKind.FUND, "OPERATION"))
    assert (day.read, day.has_fund_bill) == (True, True)
    assert matched(day).status is DayStatus.MATCHED
    assert DAY.fetched(bill("f1", StatementKind.FUND, "BASIC")).read is False


def test_the_same_file_again_changes_nothing() -> None:
    day = matched()
    assert day.fetched(bill("aa")) == day


def test_comparing_again_may_find_more_or_less() -> None:
    worse = matched().compared(matched=2, differences=1, held=0, foreign=1)
    assert worse.status is DayStatus.WITH_DIFFERENCES
    assert worse.compared(matched=3, differences=0, held=0, foreign=1).status is DayStatus.MATCHED


def test_a_day_closes_once_matched() -> None:
    day = matched().close("usr_1", open_differences=0, approved=False)
    assert (day.closed, day.closed_by) == (True, "usr_1")


def test_open_differences_need_an_approval() -> None:
    day = DAY.fetched(bill("aa")).compared(matched=2, differences=1, held=0, foreign=0)
    with pytest.raises(Conflict) as refused:
        day.close("usr_1", open_differences=1, approved=False)
    assert refused.value.code == "day_has_differences"
    assert day.close("usr_1", open_differences=1, approved=True).closed


def test_lines_that_wait_for_a_neighbour_keep_a_day_open_whoever_approves() -> None:
    day = DAY.fetched(bill("aa")).compared(matched=2, differences=0, held=1, foreign=0)
    with pytest.raises(Conflict) as refused:
        day.close("usr_1", open_differences=0, approved=True)
    assert refused.value.code == "day_has_held_lines"


def test_a_day_without_any_bill_read_cannot_be_closed() -> None:
    with pytest.raises(IllegalTransition):
        DAY.close("usr_1", open_differences=0, approved=True)


def test_another_bill_reopens_a_closed_day_and_the_same_one_does_not() -> None:
    closed = matched().close("usr_1", open_differences=0, approved=False)
    assert closed.fetched(bill("aa")).closed
    reissued = closed.fetched(bill("bb"))
    assert (reissued.status, reissued.files) == (DayStatus.REOPENED, {"trade": "bb"})
    both = reissued.fetched(bill("ff", StatementKind.FUND, "BASIC"))
    assert (both.status, both.files) == (DayStatus.REOPENED, {"trade": "bb", "fund:BASIC": "ff"})


def test_a_day_without_trade_that_another_fund_bill_reopens_is_compared_again() -> None:
    closed = DAY.empty().compared(matched=0, differences=0, held=0, foreign=0)
    closed = closed.close("usr_1", open_differences=0, approved=False)
    reopened = closed.fetched(bill("ff", StatementKind.FUND, "BASIC"))
    assert reopened.read
    assert reopened.compared(matched=0, differences=1, held=0, foreign=0).status is DayStatus.WITH_DIFFERENCES


def test_what_another_bill_has_changed_stays_to_be_read_however_often_the_day_is_run() -> None:
    closed = matched().close("usr_1", open_differences=0, approved=False)
    told = closed.fetched(bill("bb")).compared(matched=3, differences=0, held=0, foreign=0, note="one line less")
    again = told.compared(matched=3, differences=0, held=0, foreign=0)
    assert told.note == again.note == "one line less"


def test_a_closed_day_is_not_compared() -> None:
    with pytest.raises(IllegalTransition):
        matched().close("usr_1", open_differences=0, approved=False).compared(
            matched=3, differences=0, held=0, foreign=0
        )


def test_both_bills_of_a_day_are_known_by_their_digest() -> None:
    fund = bill("ff", StatementKind.FUND, "BASIC")
    assert matched().fetched(fund).files == {"trade": "aa", "fund:BASIC": "ff"}
