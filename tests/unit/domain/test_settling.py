"""What is released, settled and paid out comes to what there was, to the fen, whatever happens in between."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.balances import STANDINGS, Balance
from domain.channels import Mode
from domain.errors import Conflict
from domain.ledger import Account, AccountKind, Transfer
from domain.merchants import BankAccount
from domain.money import Money
from domain.refunds import Draws, Refund, RefundStatus
from domain.releases import Release
from domain.settlement_postings import (
    available_line,
    payout_bounced,
    payout_done,
    released,
    settlement_created,
    settlement_returned,
)
from domain.settlement_rules import SettlementRule
from domain.settlements import Settlement, SettlementOrigin, SettlementStatus, Source
from tests.unit.domain.test_refunds import refund

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
PAYEE = BankAccount(holder="Café", bank="招商银行", sealed=b"\x01", last4="6789", changed_at=NOW - timedelta(days=30))
_K = AccountKind

amounts = st.integers(0, 300_000)


def _moves(transfers: tuple[Transfer, ...]) -> Counter[AccountKind]:
    moved: Counter[AccountKind] = Counter()
    for each in transfers:
        moved[each.credit.kind] += each.amount.minor
        moved[each.debit.kind] -= each.amount.minor
    return moved


# ── Release ──────────────────────────────────────────────────────────────────────────────────────────────────────────

# A refund takes so much of pending, in per mille of what the payment brought; the n-th one is given up; a release finds
# so much in pending, in per mille of what is to be moved.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("refund"), st.integers(1, 1_100)),
        st.tuples(st.just("void"), st.integers(0, 5)),
        st.tuples(st.just("release"), st.sampled_from((0, 500, 1_000, 1_000))),
    ),
    max_size=12,
)


@given(net=st.integers(1, 300_000), steps=steps)
def test_a_payment_releases_what_its_refunds_have_left_of_it(net: int, steps: list[tuple[str, int]]) -> None:
    release = Release(
        payment_id="pay_1",
        order_id="ord_1",
        merchant_id="mch_1",
        mode=Mode.TEST,
        account_id="cha_1",
        day=date(2026, 11, 22),
        net=Money(net),
        next_at=NOW,
    )
    refunds: list[Refund] = []
    books: Counter[AccountKind] = Counter({_K.MERCHANT_PENDING: net})
    keys: list[str] = []
    for what, how in [*steps, ("release", 1_000)]:
        if what == "refund":
            taken = net * how // 1_000  # one that keeps its fee takes more than its payment brought
            refunds.append(replace(refund(1), id=f"ref_{len(refunds)}", draws=Draws(pending=Money(taken))))
            books[_K.MERCHANT_PENDING] -= taken
        elif what == "void":
            if how < len(refunds) and not refunds[how].void:
                books[_K.MERCHANT_PENDING] += refunds[how].draws.pending.minor
                refunds[how] = replace(refunds[how], status=RefundStatus.FAILED)
                release = release.again(NOW)
        else:
            left = release.left(refunds)
            amount = abs(left) * how // 1_000 * (1 if left > 0 else -1)
            posted = released(release, amount, NOW)
            keys += [each.idem_key for each in posted]
            for kind, moved in _moves(posted).items():
                books[kind] += moved
            release = release.moved(amount, NOW, left=left)
            assert (release.next_at is None) == (amount == left)
        drawn = sum(each.draws.pending.minor for each in refunds if not each.void)
        assert release.released + drawn + release.left(refunds) == net
    assert books[_K.MERCHANT_PENDING] == 0, "the last release leaves nothing behind"
    assert books[_K.MERCHANT_AVAILABLE] == release.released
    assert len(keys) == len(set(keys)) == release.times, "each release posts under a key of its own"


# ── Settlement ───────────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def rules(draw: st.DrawFn) -> SettlementRule:
    fee = draw(st.integers(0, 500))
    minimum = fee + draw(st.integers(1, 10_000))
    maximum = draw(st.none() | st.integers(minimum, 100_000))
    return SettlementRule(
        merchant_id="mch_1", fee=Money(fee), minimum=Money(minimum), maximum=Money(maximum) if maximum else None
    )


def _settlement(rule: SettlementRule, swept: int) -> Settlement:
    share = rule.divide(Money(swept))
    return Settlement(
        id="stl_1",
        merchant_id="mch_1",
        mode=Mode.TEST,
        number="PTY1",
        origin=SettlementOrigin.OPERATOR,
        swept=Money(swept),
        amount=share.amount,
        fee=share.fee,
        lines=1,
        created_at=NOW,
    ).created(NOW)


@given(rule=rules(), swept=amounts)
def test_a_settlement_is_within_its_rule_and_divides_what_was_swept(rule: SettlementRule, swept: int) -> None:
    if swept < rule.minimum.minor:
        with pytest.raises(Conflict):
            rule.divide(Money(swept))
        return
    settlement = _settlement(rule, swept)
    assert settlement.payout + settlement.fee + settlement.carried == Money(swept)
    assert settlement.payout.minor > 0
    assert settlement.amount >= rule.minimum
    assert rule.maximum is None or settlement.amount <= rule.maximum
    assert not settlement.carried or settlement.amount == rule.maximum, "nothing is carried but what is beyond it"


ENDS = st.sampled_from(("rejected", "cancelled", "failed", "paid", "bounced"))


@given(rule=rules(), swept=amounts.filter(lambda minor: minor > 10_500), charge=st.integers(0, 100), end=ENDS)
def test_whatever_becomes_of_a_settlement_its_money_is_paid_out_or_there_again(
    rule: SettlementRule, swept: int, charge: int, end: str
) -> None:
    settlement = _settlement(rule, swept)
    posted = settlement_created(settlement)
    inside = [line for each in posted if (line := available_line(each)) and line.settlement_id == "stl_1"]
    assert sum(line.amount for line in inside) == -swept, "what takes the money out is inside, and the rest is open"
    if end == "rejected":
        settlement = settlement.rejected("no", NOW)
        posted += settlement_returned(settlement, NOW)
    else:
        settlement = settlement.approved("opr_1", PAYEE, Source(), NOW).paying(NOW)
        if end in ("cancelled", "failed"):
            settlement = getattr(settlement, end)("no", NOW)
            posted += settlement_returned(settlement, NOW)
        else:
            settlement = settlement.paid(NOW, at=NOW, reference=None, charge=Money(charge))
            posted += payout_done(settlement)
        if end == "bounced":
            settlement = settlement.bounced("退票", NOW)
            posted += payout_bounced(settlement, NOW)
    assert settlement.status is SettlementStatus(end)
    moved = _moves(posted)
    assert moved[_K.MERCHANT_SETTLING] == 0, "nothing is left on its way"
    out = settlement.payout.minor if end == "paid" else 0
    fee = settlement.fee.minor if end in ("paid", "bounced") else 0
    assert moved[_K.MERCHANT_AVAILABLE] == -out - fee
    assert moved[_K.FEE_INCOME] == fee
    assert moved[_K.BANK] == out + (charge if end in ("paid", "bounced") else 0)
    assert len({each.idem_key for each in posted}) == len(posted)


# ── Balance ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(figures=st.dictionaries(st.sampled_from(AccountKind), st.integers(-300_000, 300_000)))
def test_a_balance_shows_each_of_a_merchants_accounts_once_and_what_it_owes_as_its_debt(
    figures: dict[AccountKind, int],
) -> None:
    balance = Balance.of("CNY", figures)
    shown = sum(sign * getattr(balance, name) for name, (_, sign) in STANDINGS.items())
    assert shown == sum(figures.get(kind, 0) for kind, _ in STANDINGS.values())
    assert balance.debt == -figures.get(_K.MERCHANT_DEBT, 0)
    assert {Account(kind, "mch_1", Mode.TEST, "CNY").kind for kind, _ in STANDINGS.values()} == {
        kind for kind in AccountKind if kind.name.startswith(("MERCHANT", "SERVICE")) or kind is _K.DIRECT_OWED
    }
