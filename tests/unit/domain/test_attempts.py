"""An attempt never mistakes silence for failure, never forgets money, and asks until a day after the expiry."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.attempts import POLL_END, POLL_LADDER, Attempt, AttemptStatus
from domain.channels import ActionType, ChannelReport, ChannelState, Opening, PayerAction
from domain.errors import IllegalTransition
from tests.unit.domain.samples import NOW, attempt, receipt

QR = PayerAction(ActionType.QR_CODE, "https://qr.example/1")

STEPS: dict[str, Callable[[Attempt], Attempt]] = {
    "opened": lambda one: one.opened(QR, NOW),
    "doubted": lambda one: one.doubted(NOW),
    "failed": lambda one: one.failed("no", NOW),
    "closed": lambda one: one.closed(NOW),
    "succeeded": lambda one: one.succeeded(NOW),
    "polled": lambda one: one.polled(NOW),
}


def test_silence_is_doubt_and_doubt_can_become_anything() -> None:
    doubted = attempt().doubted(NOW)
    assert doubted.status is AttemptStatus.UNKNOWN
    assert doubted.live
    assert doubted.opened(QR, NOW).status is AttemptStatus.PENDING
    assert doubted.succeeded(NOW).status is AttemptStatus.SUCCEEDED
    assert doubted.closed(NOW).status is AttemptStatus.CLOSED
    assert doubted.failed("no", NOW).status is AttemptStatus.FAILED


def test_silence_about_what_is_known_changes_nothing() -> None:
    for known in (attempt().opened(QR, NOW), attempt().succeeded(NOW), attempt().failed("no", NOW)):
        assert known.doubted(NOW) is known


def test_an_answer_that_comes_after_the_money_only_adds_the_code() -> None:
    late = attempt().succeeded(NOW).opened(QR, NOW)
    assert (late.status, late.action) == (AttemptStatus.SUCCEEDED, QR)


def test_a_repeated_opening_keeps_the_first_code() -> None:
    opened = attempt().opened(QR, NOW)
    assert opened.opened(PayerAction(ActionType.QR_CODE, "another"), NOW).action == QR


@pytest.mark.parametrize("end", ["failed", "closed"])
def test_money_outranks_an_end_without_money(end: str) -> None:
    over = STEPS[end](attempt().opened(QR, NOW))
    assert not over.live
    assert over.next_at is None
    assert over.succeeded(NOW).status is AttemptStatus.SUCCEEDED


def test_what_has_its_money_cannot_fail_or_close() -> None:
    done = attempt().succeeded(NOW)
    assert done.succeeded(NOW) is done
    for end in ("failed", "closed"):
        with pytest.raises(IllegalTransition):
            STEPS[end](done)


def test_the_code_is_shown_only_while_it_can_be_paid() -> None:
    opened = attempt().opened(QR, NOW)
    assert opened.snapshot()["action"] == {"type": "qr_code", "value": QR.value, "fields": {}}
    assert opened.closed(NOW).snapshot()["action"] is None


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=12))
def test_in_any_order_of_news_money_is_never_forgotten_and_every_event_is_one(news: list[str]) -> None:
    one, money = attempt(), False
    for name in news:
        try:
            one = STEPS[name](one)
        except IllegalTransition:
            continue
        money = money or name == "succeeded"
    assert (one.status is AttemptStatus.SUCCEEDED) == money
    assert one.live == (one.status in (AttemptStatus.CREATED, AttemptStatus.PENDING, AttemptStatus.UNKNOWN))
    assert len({event.id for event in one.events}) == len(one.events) == one.revision


@given(st.integers(min_value=60, max_value=30 * 86_400))
def test_the_ladder_ends_a_day_after_the_expiry_and_has_no_wide_gap(expires_in: int) -> None:
    one, now, rungs = attempt(expires_at=NOW + timedelta(seconds=expires_in)), NOW, 0
    while one.next_at is not None:
        gap = one.next_at - now
        assert timedelta(0) < gap <= timedelta(hours=1)
        now = one.next_at
        one = one.polled(now)
        rungs += 1
        assert rungs < 1_000, "the ladder does not end"
    last = one.expires_at + POLL_END
    assert last - timedelta(hours=1) < now <= last


def test_the_first_rungs_are_close_together() -> None:
    one, now, gaps = attempt(), NOW, []
    for _ in POLL_LADDER:
        one = one.polled(now)
        assert one.next_at is not None
        gaps.append((one.next_at - now).total_seconds())
        now = one.next_at
    assert gaps == list(POLL_LADDER) == sorted(POLL_LADDER)


def test_a_repeated_opening_asks_for_the_very_same() -> None:
    def asked(one: Attempt) -> Opening:
        return one.opening(subject="火龙果", notice_url="https://pay.example/n")

    assert asked(attempt()) == asked(attempt().doubted(NOW).polled(NOW))
    assert asked(attempt()).expires_at == attempt().expires_at


@pytest.mark.parametrize("state", list(ChannelState))
def test_a_report_has_a_receipt_exactly_when_it_says_paid(state: ChannelState) -> None:
    paid = state is ChannelState.PAID
    assert ChannelReport("PTY1", state, receipt=receipt() if paid else None).state is state
    with pytest.raises(AssertionError):
        ChannelReport("PTY1", state, receipt=None if paid else receipt())
