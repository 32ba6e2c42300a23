"""Held money, as operators meet it."""

from domain.channels import Method
from domain.money import Money
from domain.permissions import FINANCE, RISK
from tests.fakes.house import caller
from tests.unit.adapters.http.office import Office
from tests.unit.adapters.http.shop import code_of


async def held(office: Office) -> str:
    house = office.house
    merchant = await house.merchant()
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, Method.ALIPAY_QR)
    house.alipay.pay(attempt.number, total=Money(9_000))
    await house.notice(house.alipay, attempt)
    return order.id


async def test_held_money_is_proposed_for_and_settled_by_two() -> None:
    office = Office()
    order_id = await held(office)
    mina = await (await office.person("mina", FINANCE)).enter()
    chen = await (await office.person("chen", RISK)).enter()
    (item,) = office.house.database.tables.suspense.committed.values()
    asked = {"settlement": "attribute", "order_id": order_id, "note": "the shop accepts it"}
    proposal = await mina.call("POST", f"/suspense_items/{item.id}/settlement", asked)
    assert proposal.status_code == 201, proposal.text
    done = await chen.call("POST", f"/proposals/{proposal.json()['id']}/approve")
    assert (done.status_code, done.json()["status"]) == (200, "executed"), done.text
    again = await mina.call("POST", f"/suspense_items/{item.id}/settlement", asked)
    assert (again.status_code, code_of(again)) == (409, "suspense_attributed")
