"""Payouts over the operators' API: a bank file, what the bank said, a second person, and one taken back."""

from typing import Any

import pytest

from application.ports.world import payee_context
from domain.permissions import FINANCE, OPERATIONS, RISK
from domain.settlements import Rail, Settlement, SettlementStatus, Source
from tests.approved import approved
from tests.unit.adapters.http.office import Office, Person
from tests.unit.adapters.http.shop import code_of


@pytest.fixture
def office() -> Office:
    return Office()


async def waiting(office: Office, rail: Rail = Rail.MANUAL) -> Settlement:
    house = office.house
    merchant = await house.merchant()
    source = Source() if rail is Rail.MANUAL else Source(rail, merchant.account_ids[1], "OPERATION")
    return await approved(
        house.database.unit_of_work,
        house.vault,
        house.ids,
        office.clock.now(),
        merchant_id=merchant.merchant.id,
        source=source,
    )


async def now(office: Office, settlement: Settlement) -> Settlement:
    async with office.house.database.unit_of_work() as uow:
        return await uow.settlements.get(settlement.id)


async def enter(office: Office, name: str, *roles: str) -> Person:
    return await (await office.person(name, *roles)).enter()


def said(office: Office, **changes: Any) -> dict[str, Any]:
    return {"end": "paid", "reference": "B-20261126", "at": office.clock.now().isoformat(), "charge": 500} | changes


async def test_a_bank_file_is_taken_its_reference_entered_and_another_confirms(office: Office) -> None:
    mina, noah = await enter(office, "mina", FINANCE), await enter(office, "noah", FINANCE)
    settlement = await waiting(office)
    taken = await mina.call("POST", "/payouts/bank_files", {"settlement_ids": [settlement.id]})
    assert (taken.status_code, taken.json()["lines"]) == (201, 1)
    assert "6225880123456789" in taken.json()["content"]
    proposal = await mina.call("POST", f"/settlements/{settlement.id}/payout_end", said(office))
    assert proposal.status_code == 202, proposal.text
    own = await mina.call("POST", f"/proposals/{proposal.json()['id']}/approve")
    assert own.status_code == 403
    done = await noah.call("POST", f"/proposals/{proposal.json()['id']}/approve")
    assert done.status_code == 200, done.text
    after = await now(office, settlement)
    assert (after.status, after.reference, after.charge.minor) == (SettlementStatus.PAID, "B-20261126", 500)
    again = await mina.call("POST", f"/settlements/{settlement.id}/payout_end", said(office))
    assert (again.status_code, code_of(again)) == (409, "payout_end_unfit")


async def test_whole_account_numbers_are_shown_once_and_stand_in_no_audit(office: Office) -> None:
    mina = await enter(office, "mina", FINANCE)
    settlement = await waiting(office)
    body, key = {"settlement_ids": [settlement.id]}, {"Idempotency-Key": "k-1"}
    first = await mina.call("POST", "/payouts/bank_files", body, headers=key)
    again = await mina.call("POST", "/payouts/bank_files", body, headers=key)
    assert first.json()["content"]
    assert (again.status_code, again.json()["content"]) == (201, None)
    stored = office.house.vault.open(payee_context(settlement.merchant_id), settlement.payee.sealed)  # type: ignore[union-attr]
    audit = await (await enter(office, "olga", RISK)).call("GET", "/audit")
    assert "settlement.exported" in audit.text
    assert stored.decode() not in audit.text


async def test_who_is_in_operations_neither_pays_nor_says_that_it_was_paid(office: Office) -> None:
    ops = await enter(office, "mina", OPERATIONS)
    settlement = await waiting(office)
    for path, body in (
        ("/payouts/bank_files", {"settlement_ids": [settlement.id]}),
        (f"/settlements/{settlement.id}/payout_end", said(office)),
        (f"/settlements/{settlement.id}/cancel", {"reason": "—"}),
    ):
        assert (await ops.call("POST", path, body)).status_code == 403
    assert (await now(office, settlement)).status is SettlementStatus.APPROVED


async def test_risk_takes_a_payout_back_that_nobody_has_confirmed(office: Office) -> None:
    olga = await enter(office, "olga", RISK)
    settlement = await waiting(office, Rail.WECHAT)
    await office.house.pay_out(settlement.id)
    answer = await olga.call("POST", f"/settlements/{settlement.id}/cancel", {"reason": "收款人要求暂缓"})
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled"), answer.text
    again = await olga.call("POST", f"/settlements/{settlement.id}/cancel", {"reason": "—"})
    assert (again.status_code, code_of(again)) == (409, "payout_not_cancellable")


async def test_a_payee_at_a_channel_is_proposed_and_has_the_form_of_one(office: Office) -> None:
    ops, fin = await enter(office, "mina", OPERATIONS), await enter(office, "noah", FINANCE)
    merchant = (await office.house.merchant()).merchant.id
    path = f"/merchants/{merchant}/payee"
    for wrong in (
        {"kind": "alipay_user", "number": "6225880123456789"},
        {"kind": "wechat_openid", "number": "o-MYE42l80oelYMDE34nYD456Xoy", "bank": "招商银行"},
        {"kind": "bank", "number": "6225880123456789"},
    ):
        answer = await ops.call("POST", path, {"holder": "张三"} | wrong)
        assert (answer.status_code, code_of(answer)) == (422, "payout_account_invalid"), answer.text
    right = {"holder": "张三", "kind": "alipay_login", "number": "cafe@example.com"}
    proposal = await ops.call("POST", path, right)
    assert proposal.status_code == 202, proposal.text
    assert (await fin.call("POST", f"/proposals/{proposal.json()['id']}/approve")).status_code == 200
    shown = (await ops.call("GET", f"/merchants/{merchant}")).json()["payee"]
    assert (shown["kind"], shown["bank"], shown["number"]) == ("alipay_login", "", "****.com")
