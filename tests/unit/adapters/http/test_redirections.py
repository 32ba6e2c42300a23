"""Abnormal refunds that two people send elsewhere, from the operators' API to the channel."""

from typing import Any

import pytest

from domain.channels import Method, RefundState
from domain.ledger import AccountKind
from domain.orders import Order
from domain.permissions import FINANCE, RISK
from domain.proposals import OPEN_FOR
from domain.redirections import Card, Destination
from domain.refunds import Refund, RefundStatus
from tests.fakes.channel import ChannelFault
from tests.fakes.promises import FakePromises
from tests.unit.adapters.http.office import Office, Person
from tests.unit.adapters.http.shop import code_of

CARD = {"bank": "ICBC_DEBIT", "number": "6222 0212 3456 7890 128", "holder": "王小明"}
TO_CARD: dict[str, Any] = {"to": "payer_card", "card": CARD, "note": "the payer called"}
TO_MERCHANT: dict[str, Any] = {"to": "merchant_account", "note": "the payer wants cash"}


@pytest.fixture
def office() -> Office:
    return Office()


async def abnormal(office: Office) -> tuple[Order, Refund]:
    """A refund of 40.00 of a payment of 100.00 that does not reach its payer."""
    house = office.house
    merchant = await house.merchant()
    order = await house.paid(merchant, Method.WECHAT_NATIVE)
    refund = await house.refund(merchant, order)
    house.wechat.settle(refund.number, RefundState.ABNORMAL)
    await house.refund_notice(house.wechat, refund.number, refund.account_id)
    return order, await now(office, order)


async def now(office: Office, order: Order) -> Refund:
    (refund,) = await office.house.refunds(order)
    return refund


async def two(office: Office) -> tuple[Person, Person]:
    return await (await office.person("mina", FINANCE)).enter(), await (await office.person("chen", RISK)).enter()


async def redirected(
    office: Office, refund: Refund, body: dict[str, Any], by: tuple[Person, Person] | None = None
) -> None:
    """Proposed by one, approved by another."""
    mina, chen = by or await two(office)
    answer = await mina.call("POST", f"/refunds/{refund.id}/redirection", body)
    assert answer.status_code == 201, answer.text
    done = await chen.call("POST", f"/proposals/{answer.json()['id']}/approve")
    assert done.status_code == 200, done.text


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (TO_CARD, (Destination.PAYER_CARD, Card("ICBC_DEBIT", "6222021234567890128", "王小明"))),
        (TO_MERCHANT, (Destination.MERCHANT_ACCOUNT, None)),
    ],
)
async def test_two_people_send_an_abnormal_refund_elsewhere(
    office: Office, body: dict[str, Any], told: tuple[Destination, Card | None]
) -> None:
    order, refund = await abnormal(office)
    booked = await office.house.transfers(refund.id)
    await redirected(office, refund, body)
    await office.house.check_due_refunds()
    assert office.house.wechat.redirected[refund.number] == told
    sent = await now(office, order)
    assert (sent.status, sent.destination, sent.redirection) == (RefundStatus.ACCEPTED, told[0], None)
    office.house.wechat.settle(refund.number)
    await office.house.refund_notice(office.house.wechat, refund.number, refund.account_id)
    done = await now(office, order)
    assert (done.status, done.snapshot()["destination"]) == (RefundStatus.SUCCEEDED, body["to"])
    assert await office.house.transfers(refund.id) == booked, "the channel had taken the money already"
    assert (await office.house.now(order)).refunded.minor == 4_000
    assert await FakePromises(office.house.database.tables, office.clock).broken() == []


async def test_nobody_says_alone_where_a_refund_goes(office: Office) -> None:
    order, refund = await abnormal(office)
    mina, _ = await two(office)
    proposal = (await mina.call("POST", f"/refunds/{refund.id}/redirection", TO_CARD)).json()
    own = await mina.call("POST", f"/proposals/{proposal['id']}/approve")
    assert (own.status_code, code_of(own)) == (403, "not_on_yourself")
    await office.house.check_due_refunds()
    assert office.house.wechat.redirected == {}
    assert (await now(office, order)).status is RefundStatus.ABNORMAL


async def test_a_card_is_seen_by_nobody_and_forgotten_in_the_end(office: Office) -> None:
    order, refund = await abnormal(office)
    mina, chen = await two(office)
    answer = await mina.call("POST", f"/refunds/{refund.id}/redirection", TO_CARD)
    assert "ICBC_DEBIT …0128" in answer.json()["summary"]
    everything = answer.text + repr(office.stored())
    assert "6222021234567890128" not in everything
    assert "王小明" not in everything
    ended = await chen.call("POST", f"/proposals/{answer.json()['id']}/reject", {"reason": "whose card is that?"})
    assert ended.status_code == 200, ended.text
    assert (await now(office, order)).redirection is None


@pytest.mark.parametrize("end", ["withdraw", "expire"])
async def test_what_nobody_approves_is_not_sent_and_can_be_said_again(office: Office, end: str) -> None:
    order, refund = await abnormal(office)
    mina, _ = await two(office)
    path = f"/refunds/{refund.id}/redirection"
    proposal = (await mina.call("POST", path, TO_CARD)).json()
    again = await mina.call("POST", path, TO_MERCHANT)
    assert (again.status_code, code_of(again)) == (409, "refund_redirection_pending")
    if end == "withdraw":
        assert (await mina.call("POST", f"/proposals/{proposal['id']}/withdraw")).status_code == 200
    else:
        office.clock.advance(OPEN_FOR.total_seconds() + 1)
        assert await office.expire_proposals() == 1
        mina = await mina.enter()
    assert (await now(office, order)).redirection is None
    assert (await mina.call("POST", path, TO_MERCHANT)).status_code == 201


async def test_a_lost_answer_sends_it_once(office: Office) -> None:
    order, refund = await abnormal(office)
    await redirected(office, refund, TO_CARD)
    office.house.wechat.faults.once(ChannelFault.UNKNOWN_DONE, "redirect")
    await office.house.check_due_refunds()
    assert (await now(office, order)).status is RefundStatus.ABNORMAL
    office.clock.advance(60)
    await office.house.check_due_refunds()  # a query says that it has arrived
    sent = await now(office, order)
    assert (sent.status, sent.destination, sent.redirection) == (RefundStatus.ACCEPTED, Destination.PAYER_CARD, None)


async def test_what_did_not_arrive_is_told_again(office: Office) -> None:
    order, refund = await abnormal(office)
    await redirected(office, refund, TO_CARD)
    office.house.wechat.faults.once(ChannelFault.UNKNOWN_UNDONE, "redirect")
    await office.house.check_due_refunds()
    assert (await now(office, order)).redirected
    office.clock.advance(60)
    await office.house.check_due_refunds()
    assert (await now(office, order)).status is RefundStatus.ACCEPTED


async def test_a_card_that_the_channel_refuses_waits_for_people_again(office: Office) -> None:
    order, refund = await abnormal(office)
    people = await two(office)
    await redirected(office, refund, TO_CARD, people)
    office.house.wechat.faults.once(ChannelFault.REJECTED, "redirect")
    await office.house.check_due_refunds()
    waits = await now(office, order)
    assert (waits.status, waits.redirection, waits.failure) == (RefundStatus.ABNORMAL, None, "rejected")
    await redirected(office, refund, TO_MERCHANT, people)
    await office.house.check_due_refunds()
    assert (await now(office, order)).status is RefundStatus.ACCEPTED


async def test_abnormal_once_more_is_told_once(office: Office) -> None:
    order, refund = await abnormal(office)
    await redirected(office, refund, TO_CARD)
    await office.house.check_due_refunds()
    office.house.wechat.settle(refund.number, RefundState.ABNORMAL)
    office.clock.advance(60)
    await office.house.check_due_refunds()
    assert (await now(office, order)).status is RefundStatus.ABNORMAL
    rows = [row.event for row in office.house.database.tables.events.committed.values()]
    assert [event.type for event in rows if event.object_id == refund.id and event.announced] == ["refund.abnormal"]
    assert await FakePromises(office.house.database.tables, office.clock).broken() == []


async def test_what_was_settled_in_the_console_meanwhile_is_not_sent(office: Office) -> None:
    order, refund = await abnormal(office)
    mina, chen = await two(office)
    proposal = (await mina.call("POST", f"/refunds/{refund.id}/redirection", TO_CARD)).json()
    office.house.wechat.settle(refund.number)
    await office.house.refund_notice(office.house.wechat, refund.number, refund.account_id)
    done = await now(office, order)
    assert (done.status, done.destination, done.redirection) == (RefundStatus.SUCCEEDED, Destination.ORIGINAL, None)
    late = await chen.call("POST", f"/proposals/{proposal['id']}/approve")
    assert (late.status_code, code_of(late)) == (409, "refund_not_abnormal")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({**TO_CARD, "card": None}, "value_invalid"),
        ({**TO_MERCHANT, "card": CARD}, "value_invalid"),
        ({**TO_CARD, "to": "original"}, "value_invalid"),
        ({**TO_CARD, "card": {**CARD, "bank": "NOBANK_DEBIT"}}, "bank_unknown"),
        ({**TO_CARD, "card": {**CARD, "number": "6222 0212 345"}}, "bank_account_invalid"),
    ],
)
async def test_what_is_no_place_to_send_it_to_is_refused(office: Office, body: dict[str, Any], code: str) -> None:
    order, refund = await abnormal(office)
    mina, _ = await two(office)
    answer = await mina.call("POST", f"/refunds/{refund.id}/redirection", body)
    assert (answer.status_code, code_of(answer)) == (422, code)
    assert (await now(office, order)).redirection is None


async def test_only_an_abnormal_refund_of_a_channel_that_can_is_sent_elsewhere(office: Office) -> None:
    house = office.house
    mina, _ = await two(office)
    merchant = await house.merchant()
    for method, code in ((Method.WECHAT_NATIVE, "refund_not_abnormal"), (Method.ALIPAY_QR, "refund_not_redirectable")):
        order = await house.paid(merchant, method, no=str(method))
        refund = await house.refund(merchant, order, no=f"R-{method}")
        answer = await mina.call("POST", f"/refunds/{refund.id}/redirection", TO_MERCHANT)
        assert (answer.status_code, code_of(answer)) == (409, code)
    assert await house.balance(AccountKind.MERCHANT_REFUNDING, merchant.merchant.id) == 0
