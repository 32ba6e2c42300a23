"""Refunds by operators: alone up to a limit, above it by two."""

from typing import Any

import pytest

from application.refund_by_operator import ALONE
from domain.channels import Method
from domain.ledger import AccountKind
from domain.orders import Order
from domain.permissions import FINANCE, RISK
from domain.proposals import OPEN_FOR
from domain.refunds import RefundStatus
from tests.fakes.house import caller
from tests.unit.adapters.http.office import Office
from tests.unit.adapters.http.shop import code_of

METHOD = Method.ALIPAY_QR


async def paid(office: Office) -> tuple[Order, str]:
    """An order of 2,000.00 that is paid, and its merchant."""
    house = office.house
    merchant = await house.merchant()
    order = await house.order(merchant, amount=2 * ALONE.minor)
    attempt = await house.start_attempt(caller(merchant), order.id, METHOD)
    house.alipay.pay(attempt.number)
    await house.notice(house.alipay, attempt)
    return order, merchant.merchant.id


def asks(order: Order, amount: int) -> dict[str, Any]:
    return {"merchant_refund_no": "OP-1", "order_id": order.id, "amount": amount, "reason": "the shop is closed"}


async def test_up_to_the_limit_one_person_refunds(office: Office) -> None:
    order, _ = await paid(office)
    mina = await (await office.person("mina", FINANCE)).enter()
    answer = await mina.call("POST", "/refunds", asks(order, ALONE.minor))
    assert (answer.status_code, answer.json()["status"], answer.json()["origin"]) == (201, "succeeded", "operator")
    assert not office.house.database.tables.proposals.committed


async def test_above_it_the_refund_is_reserved_and_waits_for_another(office: Office) -> None:
    order, merchant_id = await paid(office)
    mina = await (await office.person("mina", FINANCE)).enter()
    chen = await (await office.person("chen", RISK)).enter()
    answer = await mina.call("POST", "/refunds", asks(order, ALONE.minor + 1))
    assert answer.json()["status"] == "awaiting_approval"
    assert (await office.house.now(order)).refunding.minor == ALONE.minor + 1
    again = await mina.call("POST", "/refunds", asks(order, ALONE.minor + 1))
    assert again.json()["id"] == answer.json()["id"]
    (proposal,) = office.house.database.tables.proposals.committed.values()
    own = await mina.call("POST", f"/proposals/{proposal.id}/approve")
    assert (own.status_code, code_of(own)) == (403, "not_on_yourself")
    done = await chen.call("POST", f"/proposals/{proposal.id}/approve")
    assert done.status_code == 200, done.text
    await office.house.check_due_refunds()
    (refund,) = await office.house.refunds(order)
    assert refund.status is RefundStatus.SUCCEEDED
    assert len(office.house.alipay.refunds()) == 1
    assert await office.house.balance(AccountKind.MERCHANT_REFUNDING, merchant_id) == 0


@pytest.mark.parametrize("end", ["reject", "withdraw", "expire"])
async def test_what_nobody_approves_frees_what_it_had_reserved(office: Office, end: str) -> None:
    order, merchant_id = await paid(office)
    mina = await (await office.person("mina", FINANCE)).enter()
    chen = await (await office.person("chen", RISK)).enter()
    before = await office.house.balance(AccountKind.MERCHANT_PENDING, merchant_id)
    await mina.call("POST", "/refunds", asks(order, ALONE.minor + 1))
    (proposal,) = office.house.database.tables.proposals.committed.values()
    if end == "reject":
        ended = await chen.call("POST", f"/proposals/{proposal.id}/reject", {"reason": "ask the shop first"})
        assert ended.status_code == 200, ended.text
    elif end == "withdraw":
        assert (await mina.call("POST", f"/proposals/{proposal.id}/withdraw")).status_code == 200
    else:
        office.clock.advance(OPEN_FOR.total_seconds() + 1)
        assert await office.expire_proposals() == 1
    (refund,) = await office.house.refunds(order)
    assert refund.status is RefundStatus.REJECTED
    assert await office.house.balance(AccountKind.MERCHANT_PENDING, merchant_id) == before
    assert (await office.house.now(order)).refunding.minor == 0
    assert office.house.alipay.refunds() == []


@pytest.fixture
def office() -> Office:
    return Office()
