"""Shares and their returns: parts that add up, tables that name every state."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.channels import Mode
from domain.errors import IllegalTransition
from domain.ledger import AccountKind
from domain.money import Money
from domain.share_returns import ReturnStatus, ShareReturn, due, together
from domain.shares import Part, Share, ShareStatus, settled
from domain.sharing import PartReport, PartResult, ReceiverKind
from domain.sharing_postings import share_returned, shared

NOW = datetime(2026, 11, 1, 8, tzinfo=UTC)
K = AccountKind


def part(account: str = "a", minor: int = 1_000, **changes: Any) -> Part:
    made = Part(
        receiver_id=f"rcv_{account}",
        kind=ReceiverKind.WECHAT_MERCHANT,
        account=account,
        name="",
        amount=Money(minor),
        description="佣金",
    )
    return replace(made, **changes)


def share(*parts: Part) -> Share:
    return Share(
        id="shr_1",
        order_id="ord_1",
        payment_id="pay_1",
        merchant_id="mch_1",
        mode=Mode.TEST,
        account_id="cha_1",
        number="PTY1",
        transaction_id="4200",
        currency="CNY",
        ends=False,
        created_at=NOW,
        parts=parts,
        merchant_share_no="S-1",
    )


def back(of: Share, one: Part, amount: Money, from_fee: Money, *, status: ReturnStatus) -> ShareReturn:
    return ShareReturn(
        id=f"srt_{amount.minor}",
        share_id=of.id,
        refund_id="ref_1",
        order_id=of.order_id,
        merchant_id=of.merchant_id,
        mode=of.mode,
        account_id=of.account_id,
        number=f"PTY{amount.minor}",
        share_number=of.number,
        kind=one.kind,
        account=one.account,
        amount=amount,
        from_fee=from_fee,
        platform_account_id=one.platform_account_id,
        with_refund=False,
        created_at=NOW,
        status=status,
        returned_at=NOW,
    )


def told(account: str, minor: int, result: PartResult = PartResult.SUCCEEDED) -> PartReport:
    return PartReport(account=account, amount=Money(minor), result=result)


def test_parts_are_settled_together_and_only_as_asked() -> None:
    parts = (part("a", 700), part("b", 300))
    assert settled(parts, [told("a", 700)], Money(0)) is None
    assert settled(parts, [told("a", 700), told("b", 300, PartResult.PENDING)], Money(0)) is None
    assert settled(parts, [told("a", 700), told("b", 301)], Money(0)) is None
    done = settled(parts, [told("b", 300, PartResult.CLOSED), told("a", 700)], Money(0))
    assert done is not None
    assert [one.result for one in done] == [PartResult.SUCCEEDED, PartResult.CLOSED]


def test_only_the_platforms_parts_pay_the_fee_and_no_more_than_is_due() -> None:
    parts = (part("a", 700), part("us", 300, platform_account_id="cha_p"), part("we", 300, platform_account_id="cha_p"))
    done = settled(parts, [told("a", 700), told("us", 300), told("we", 300)], Money(400))
    assert done is not None
    assert [one.to_fee.minor for one in done] == [0, 300, 100]
    done = settled(parts, [told("a", 700), told("us", 300, PartResult.CLOSED), told("we", 300)], Money(400))
    assert done is not None
    assert [one.to_fee.minor for one in done] == [0, 0, 300], "what is not paid pays nothing"


def test_of_a_share_that_failed_nothing_stands_and_of_another_what_is_not_closed() -> None:
    one = share(part("a", 700), part("b", 300, result=PartResult.CLOSED))
    assert (one.standing, replace(one, status=ShareStatus.FAILED).standing) == (700, 0)


def test_a_closed_part_posts_nothing_and_the_platforms_posts_both_sides() -> None:
    ours = part("us", 1_000, platform_account_id="cha_p", result=PartResult.SUCCEEDED, to_fee=Money(60))
    one = replace(share(ours, part("b", 1, result=PartResult.CLOSED)), finished_at=NOW)
    lines = [(each.debit.kind, each.credit.kind, each.amount.minor) for each in shared(one)]
    assert lines == [
        (K.DIRECT_OWED, K.DIRECT_HELD, 1_000),
        (K.CHANNEL_RECEIVABLE, K.SERVICE_FEE_DUE, 60),
        (K.CHANNEL_RECEIVABLE, K.FEE_INCOME, 940),
    ]
    returned = back(one, ours, Money(500), Money(30), status=ReturnStatus.SUCCEEDED)
    lines = [(each.debit.kind, each.credit.kind, each.amount.minor) for each in share_returned(returned)]
    assert lines == [
        (K.DIRECT_HELD, K.DIRECT_OWED, 500),
        (K.SERVICE_FEE_DUE, K.CHANNEL_RECEIVABLE, 30),
        (K.FEE_INCOME, K.CHANNEL_RECEIVABLE, 470),
    ]


@given(
    received=st.integers(1, 10**7),
    shares=st.lists(st.integers(1, 10**6), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 10**7), max_size=6),
    fee_ppm=st.integers(0, 10**6),
)
def test_partial_refunds_take_back_exactly_what_a_whole_one_would(
    received: int, shares: list[int], cuts: list[int], fee_ppm: int
) -> None:
    parts = tuple(
        part(f"r{n}", minor, result=PartResult.SUCCEEDED, to_fee=Money(minor * fee_ppm // 10**6))
        for n, minor in enumerate(shares)
    )
    one, returns = share(*parts), list[ShareReturn]()
    for refunded in [*sorted(cut for cut in cuts if cut < received), received]:
        for each in due([one], returns, refunded=Money(refunded), received=Money(received)):
            returns.append(back(one, each.part, each.amount, each.from_fee, status=ReturnStatus.SUCCEEDED))
    for each_part in parts:
        own = [each for each in returns if each.account == each_part.account]
        assert sum(each.amount.minor for each in own) == each_part.amount.minor
        assert sum(each.from_fee.minor for each in own) == each_part.to_fee.minor
        assert all(each.from_fee <= each.amount for each in own)


def test_what_failed_may_be_taken_back_with_the_next_refund_and_a_person_keeps_it() -> None:
    person = part("p", 100, kind=ReceiverKind.WECHAT_OPENID, result=PartResult.SUCCEEDED)
    one = share(part("a", 100, result=PartResult.SUCCEEDED), person, part("c", 100, result=PartResult.CLOSED))
    (first,) = due([one], [], refunded=Money(500), received=Money(1_000))
    assert (first.part.account, first.amount) == ("a", Money(50))
    failed = back(one, first.part, first.amount, Money(0), status=ReturnStatus.FAILED)
    (second,) = due([one], [failed], refunded=Money(1_000), received=Money(1_000))
    assert second.amount == Money(100)


def test_returns_that_go_with_a_refund_are_one_for_each_receiver() -> None:
    one = share(part("a", 100, result=PartResult.SUCCEEDED))
    made = [back(one, one.parts[0], Money(minor), Money(0), status=ReturnStatus.REQUESTED) for minor in (30, 40)]
    assert together(made) == ()
    (taken,) = together(replace(each, with_refund=True) for each in made)
    assert (taken.account, taken.amount) == ("a", Money(70))


def test_a_finished_share_moves_no_more() -> None:
    done = replace(share(part("a", 1, result=PartResult.SUCCEEDED)), status=ShareStatus.PROCESSING)
    done = done.finished(done.parts, NOW, at=NOW, channel_id=None)
    with pytest.raises(IllegalTransition):
        done.failed("no", NOW)
