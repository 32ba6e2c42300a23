"""Refunds: states, how they divide, and what the rules of order and channel allow."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.bookkeeping import (
    payment_received,
    refund_accepted,
    refund_closed,
    refund_reserved,
    refund_unasked,
    refund_void,
)
from domain.channels import Channel, FundMode, Method, Mode
from domain.errors import Conflict, IllegalTransition, InProgress
from domain.ledger import Account, AccountKind, Transfer
from domain.money import FeePlan, Money, Rate
from domain.payments import ChannelPayment
from domain.refunds import (
    DEBITED,
    PURSUED,
    REFUND_TRANSITIONS,
    TAIL,
    VOID,
    Draws,
    Refund,
    RefundOrigin,
    RefundStatus,
    RefundWish,
    divide,
    permit,
    totals,
)
from tests.unit.domain.samples import NOW
from tests.unit.domain.samples import order as make_order

PLAN = FeePlan(Rate(6_000))


def payment(
    received: int = 10_000, total: int | None = None, plan: FeePlan = PLAN, **changes: object
) -> ChannelPayment:
    made = ChannelPayment(
        id="pay_1",
        account_id="cha_1",
        mode=Mode.TEST,
        fund_mode=FundMode.COLLECT,
        transaction_id="T-1",
        number="PTY1",
        total=Money(total or received),
        received=Money(received),
        payer_paid=Money(total or received),
        fee=plan.fee(Money(received)),
        paid_at=NOW,
        evidence="notice:1",
        recorded_at=NOW,
        attempt_id="att_1",
        order_id="ord_1",
        merchant_id="mch_1",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def refund(
    amount: int = 4_000, paid: ChannelPayment | None = None, earlier: tuple[Refund, ...] = (), **changes: object
) -> Refund:
    paid = paid or payment()
    parts = divide(Money(amount), paid, PLAN, earlier)
    made = Refund(
        id=f"ref_{len(earlier)}",
        order_id="ord_1",
        payment_id=paid.id,
        item_id=None,
        merchant_id="mch_1",
        mode=Mode.TEST,
        account_id=paid.account_id,
        fund_mode=paid.fund_mode,
        number=f"PTYR{len(earlier)}",
        payment_number=paid.number,
        total=paid.total,
        amount=Money(amount),
        debit=parts.debit,
        share=parts.share,
        draws=Draws(pending=parts.net),
        reason="",
        origin=RefundOrigin.MERCHANT,
        created_at=NOW,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def accepted(one: Refund) -> Refund:
    return one.submitted(NOW).accepted(NOW, at=NOW, channel_id="W-1", evidence="answer")


class Books:
    """Balances by kind, credits minus debits; for CR and MD the other way round, as assets are read."""

    def __init__(self, *posted: tuple[Transfer, ...]) -> None:
        self.posted: dict[str, Transfer] = {}
        for transfers in posted:
            self.post(transfers)

    def post(self, transfers: tuple[Transfer, ...]) -> None:
        for transfer in transfers:
            assert self.posted.setdefault(transfer.idem_key, transfer) == transfer

    def __call__(self, kind: AccountKind) -> int:
        def side(account: Account, amount: int) -> int:
            return amount if account.kind is kind else 0

        credits_ = sum(side(each.credit, each.amount.minor) for each in self.posted.values())
        debits = sum(side(each.debit, each.amount.minor) for each in self.posted.values())
        asset = kind in (AccountKind.CHANNEL_RECEIVABLE, AccountKind.MERCHANT_DEBT, AccountKind.DIRECT_HELD)
        return debits - credits_ if asset or kind is AccountKind.SERVICE_FEE_DUE else credits_ - debits


MP, MA, MR, MD = (
    AccountKind.MERCHANT_PENDING,
    AccountKind.MERCHANT_AVAILABLE,
    AccountKind.MERCHANT_REFUNDING,
    AccountKind.MERCHANT_DEBT,
)
CR, FI, DH, DO = (
    AccountKind.CHANNEL_RECEIVABLE,
    AccountKind.FEE_INCOME,
    AccountKind.DIRECT_HELD,
    AccountKind.DIRECT_OWED,
)


# ── The worked examples of BOOKS.md ──────────────────────────────────────────────────────────────────────────────────


def test_the_worked_example_of_the_books() -> None:
    paid = payment()
    books = Books(payment_received(paid))
    assert (books(MP), books(FI), books(CR)) == (9_940, 60, 10_000)
    first = refund(4_000, paid)
    assert (first.draws.pending, first.share) == (Money(3_976), Money(24))
    books.post(refund_reserved(first))
    assert (books(MP), books(FI), books(MR), books(CR)) == (5_964, 36, 4_000, 10_000)
    books.post(refund_accepted(accepted(first)))
    assert (books(MP), books(FI), books(MR), books(CR)) == (5_964, 36, 0, 6_000)
    rest = refund(6_000, paid, (first,))
    books.post(refund_reserved(rest))
    books.post(refund_accepted(accepted(rest)))
    assert (books(MP), books(FI), books(MR), books(CR)) == (0, 0, 0, 0)


def test_one_fen_is_one_transfer_each_way() -> None:
    paid = payment(1)
    one = refund(1, paid)
    assert [len(lines) for lines in (payment_received(paid), refund_reserved(one), refund_accepted(accepted(one)))] == [
        1,
        1,
        1,
    ]


def test_a_fee_of_one_fen_refunded_in_two_halves_returns_one_fen_in_all() -> None:
    paid = payment(100, fee=Money(1))
    first = refund(50, paid)
    second = refund(50, paid, (first,))
    assert first.share + second.share == Money(1)


def test_a_void_refund_leaves_the_books_as_they_were() -> None:
    books = Books(payment_received(payment()))
    one = refund()
    books.post(refund_reserved(one))
    books.post(refund_void(one, NOW))
    assert (books(MP), books(FI), books(MR), books(CR)) == (9_940, 60, 0, 10_000)


def test_a_refund_that_the_channel_closes_after_accepting_comes_back_whole() -> None:
    books = Books(payment_received(payment()))
    one = refund()
    books.post(refund_reserved(one))
    books.post(refund_accepted(accepted(one)))
    books.post(refund_closed(accepted(one), NOW))
    assert (books(MP), books(FI), books(MR), books(CR)) == (9_940, 60, 0, 10_000)


def test_a_refund_of_released_money_is_drawn_from_what_is_available() -> None:
    one = refund(draws=Draws(available=Money(3_976)))
    books = Books(refund_reserved(one))
    assert (books(MA), books(MP), books(FI), books(MR)) == (-3_976, 0, -24, 4_000)
    books.post(refund_void(one, NOW))
    assert (books(MA), books(MR), books(FI)) == (0, 0, 0)


def test_a_debit_beyond_every_balance_is_a_debt() -> None:
    one = refund(draws=Draws(pending=Money(1_000), available=Money(2_000), debt=Money(976)))
    books = Books(refund_unasked(accepted(one)))
    assert (books(MP), books(MA), books(MD), books(FI), books(CR)) == (-1_000, -2_000, 976, -24, -4_000)


def test_a_direct_refund_moves_the_memorandum_pair_and_our_fee() -> None:
    paid = payment(fund_mode=FundMode.DIRECT)
    books = Books(payment_received(paid))
    assert (books(DH), books(DO), books(FI), books(AccountKind.SERVICE_FEE_DUE)) == (10_000, 10_000, 60, 60)
    one = refund(4_000, paid)
    assert refund_reserved(one) == ()
    books.post(refund_accepted(accepted(one)))
    assert (books(DH), books(DO), books(FI), books(AccountKind.SERVICE_FEE_DUE)) == (6_000, 6_000, 36, 36)
    books.post(refund_closed(accepted(one), NOW))
    assert (books(DH), books(DO), books(FI), books(AccountKind.SERVICE_FEE_DUE)) == (10_000, 10_000, 60, 60)


def test_a_refund_of_held_money_empties_suspense_and_touches_no_merchant() -> None:
    one = refund(item_id="sus_1", share=Money(0), debit=Money(4_000), draws=Draws())
    assert refund_reserved(one) == ()
    (line,) = refund_accepted(accepted(one))
    assert (line.debit.kind, line.credit.kind, line.amount) == (AccountKind.SUSPENSE, CR, Money(4_000))


def test_what_the_merchant_funded_is_not_debited_again() -> None:
    paid = payment(9_000, total=10_000)
    first = refund(5_000, paid)
    assert first.debit == Money(4_500)
    second = refund(5_000, paid, (first,))
    assert (first.debit + second.debit, first.share + second.share) == (Money(9_000), paid.fee)


def test_a_payment_by_coupons_alone_is_refunded_without_a_posting() -> None:
    paid = payment(0, total=10_000)
    one = refund(10_000, paid)
    assert (one.debit, refund_reserved(one), refund_accepted(accepted(one))) == (Money(0), (), ())


# ── How refunds divide ───────────────────────────────────────────────────────────────────────────────────────────────

plans = st.builds(FeePlan, st.builds(Rate, st.integers(0, 100_000)), st.integers(0, 50))


@given(st.integers(1, 10**7), st.integers(0, 1_000_000), plans, st.data())
def test_any_sequence_of_refunds_that_gives_all_back_gives_back_the_whole_fee_and_no_fen_more(
    total: int, kept: int, plan: FeePlan, data: st.DataObject
) -> None:
    """Some of them are void again: what stands at the end adds up whatever came in between."""
    received = total * kept // 1_000_000
    paid = payment(received, total=total, plan=plan)
    standing: list[Refund] = []
    left = total
    while left:
        amount = data.draw(st.integers(1, left)) if len(standing) < 8 else left
        parts = divide(Money(amount), paid, plan, standing)
        assert parts.share <= parts.debit <= paid.received
        one = refund(amount, paid, tuple(standing), debit=parts.debit, share=parts.share)
        if len(standing) < 8 and data.draw(st.booleans()) and data.draw(st.booleans()):
            continue  # void before the next one: its parts are free again
        standing.append(one)
        left -= amount
    assert sum(each.debit.minor for each in standing) == received
    assert sum(each.share.minor for each in standing) == paid.fee.minor


def test_a_share_that_was_voided_does_not_make_the_next_one_negative() -> None:
    paid = payment(100, fee=Money(1))
    first = refund(49, paid)
    second = refund(1, paid, (first,))
    assert (first.share, second.share) == (Money(0), Money(1))
    gone = first.submitted(NOW).failed("no", NOW)
    assert divide(Money(10), paid, PLAN, (gone, second)).share == Money(0)


# ── States ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_accepted_is_not_succeeded() -> None:
    one = accepted(refund())
    assert (one.status, one.succeeded_at, one.events[-1].announced) == (RefundStatus.ACCEPTED, None, False)
    done = one.succeeded(NOW, at=NOW, channel_id=None, evidence="notice:1")
    assert (done.status, done.events[-1].type, done.events[-1].announced) == ("succeeded", "refund.succeeded", True)
    assert done.channel_id == "W-1"


def test_a_timeout_is_unknown_and_never_a_failure() -> None:
    one = refund().submitted(NOW).doubted(NOW)
    assert one.status is RefundStatus.UNKNOWN
    assert not one.void
    assert one.next_at is not None
    assert accepted(refund()).doubted(NOW).status is RefundStatus.ACCEPTED


def test_what_was_given_up_and_paid_after_all_has_succeeded() -> None:
    one = refund().submitted(NOW).failed("no", NOW).succeeded(NOW, at=NOW, channel_id="W-1", evidence="notice:1")
    assert [event.type for event in one.events][-2:] == ["refund.failed", "refund.succeeded"]


@pytest.mark.parametrize("status", sorted(VOID | {RefundStatus.SUCCEEDED}))
def test_what_has_ended_is_submitted_no_more(status: RefundStatus) -> None:
    with pytest.raises(IllegalTransition):
        refund(status=status).submitted(NOW)


def test_every_state_is_pursued_or_ended_or_waits_for_a_person() -> None:
    assert PURSUED | VOID | {RefundStatus.SUCCEEDED, RefundStatus.AWAITING_APPROVAL} == set(RefundStatus)
    assert not DEBITED & VOID
    assert not PURSUED & VOID


def test_the_ladder_has_no_end_until_the_channel_has_spoken() -> None:
    one = refund().submitted(NOW)
    for _ in range(50):
        one = one.polled(NOW)
    assert one.next_at == NOW + TAIL


def test_an_orders_totals_leave_out_what_is_void_and_what_emptied_suspense() -> None:
    standing = [
        refund(100, status=RefundStatus.SUCCEEDED),
        refund(200, status=RefundStatus.UNKNOWN),
        refund(400, status=RefundStatus.ACCEPTED),
        refund(800, status=RefundStatus.FAILED),
        refund(1_600, status=RefundStatus.REJECTED),
        refund(3_200, status=RefundStatus.SUCCEEDED, item_id="sus_1"),
    ]
    assert totals(standing, "CNY") == (Money(600), Money(100))


# ── What is allowed ──────────────────────────────────────────────────────────────────────────────────────────────────

WISH = RefundWish(merchant_refund_no="R-1", order_id="ord_1", amount=Money(100))


def refused(
    channel: Channel = Channel.ALIPAY,
    earlier: tuple[Refund, ...] = (),
    after: timedelta = timedelta(hours=1),
    wish: RefundWish = WISH,
) -> str:
    order = make_order().pay(Money(10_000), method=Method.ALIPAY_QR, paid_at=NOW, now=NOW)
    try:
        permit(wish, order, payment(), channel=channel, earlier=earlier, now=NOW + after)
    except Conflict as refusal:
        return refusal.code
    return ""


def test_an_order_that_is_not_paid_has_nothing_to_refund() -> None:
    with pytest.raises(Conflict) as caught:
        permit(WISH, make_order(), None, channel=Channel.ALIPAY, earlier=(), now=NOW)
    assert caught.value.code == "order_not_paid"


def test_more_than_was_paid_is_refused() -> None:
    assert refused(wish=replace(WISH, amount=Money(10_000))) == ""
    assert refused(wish=replace(WISH, amount=Money(10_001))) == "refund_exceeds_paid"


@pytest.mark.parametrize("channel", list(Channel))
def test_after_a_year_no_channel_gives_anything_back(channel: Channel) -> None:
    assert refused(channel, after=timedelta(days=365) - timedelta(seconds=1)) == ""
    assert refused(channel, after=timedelta(days=365)) == "refund_window_closed"


def test_wechat_pay_takes_fifty_refunds_of_one_payment_and_those_that_failed_do_not_count() -> None:
    fifty = tuple(refund(1) for _ in range(50))
    assert refused(Channel.WECHAT, fifty) == "too_many_refunds"
    assert refused(Channel.WECHAT, (*fifty[:-1], replace(fifty[-1], status=RefundStatus.FAILED))) == ""
    assert refused(Channel.ALIPAY, fifty) == ""


def test_wechat_pay_wants_a_minute_between_two_refunds() -> None:
    last = (refund(1),)
    assert refused(Channel.WECHAT, last, timedelta(seconds=59)) == "refund_too_soon"
    assert refused(Channel.WECHAT, last, timedelta(seconds=60)) == ""
    assert refused(Channel.ALIPAY, last, timedelta(seconds=1)) == ""
    assert refused(Channel.ALIPAY, last, timedelta(seconds=-1)) == "", "a clock that is read a moment too early"
    order = make_order().pay(Money(10_000), method=Method.ALIPAY_QR, paid_at=NOW, now=NOW)
    with pytest.raises(InProgress) as caught:
        permit(WISH, order, payment(), channel=Channel.WECHAT, earlier=last, now=NOW + timedelta(seconds=20))
    assert caught.value.retry_after_seconds == 41


def test_the_table_names_every_state() -> None:
    assert set(REFUND_TRANSITIONS) == set(RefundStatus)
