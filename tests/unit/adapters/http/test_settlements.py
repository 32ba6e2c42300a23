"""Settlements over the wire: merchants ask and look, operators settle, set rules and hold back, two persons pay."""

import csv
import io

from domain.channels import Mode
from domain.permissions import FINANCE, OPERATIONS, RISK
from domain.settlements import SettlementOrigin
from tests.fakes.treasury import Treasury
from tests.unit.adapters.http.office import Office
from tests.unit.adapters.http.shop import Shop, code_of


async def released(shop: Shop) -> Treasury:
    treasury = Treasury(shop.house)
    await shop.house.paid(shop.merchant)
    await treasury.next_days(1)
    return treasury


async def test_a_merchant_asks_for_a_settlement_and_sees_what_is_inside() -> None:
    shop = await Shop.open()
    assert code_of(await shop.call("POST", "/v1/settlements", {})) == "nothing_to_settle"
    await released(shop)
    answer = await shop.call("POST", "/v1/settlements", {}, headers={"Idempotency-Key": "k-1"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["status"], made["amount"], made["payout"], made["origin"]) == ("created", 9940, 9940, "merchant")
    again = await shop.call("POST", "/v1/settlements", {}, headers={"Idempotency-Key": "k-1"})
    assert again.json() == made
    assert (await shop.call("GET", f"/v1/settlements/{made['id']}")).json() == made
    page = (await shop.call("GET", "/v1/settlements")).json()
    assert ([each["id"] for each in page["data"]], page["next_cursor"]) == ([made["id"]], None)
    statement = await shop.call("GET", f"/v1/settlements/{made['id']}/statement")
    rows = list(csv.reader(io.StringIO(statement.content.decode("utf-8-sig"))))
    assert [(row[0], row[2]) for row in rows[1:]] == [("released", "99.40"), ("合计 total", "99.40")]


async def test_anothers_settlement_and_a_strange_cursor_are_none() -> None:
    shop = await Shop.open()
    treasury = await released(shop)
    settlement = await treasury.settled(shop.merchant)
    other = (await shop.other()).api_key
    assert code_of(await shop.call("GET", f"/v1/settlements/{settlement.id}", key=other)) == "not_found"
    assert code_of(await shop.call("GET", f"/v1/settlements/{settlement.id}/statement", key=other)) == "not_found"
    assert (await shop.call("GET", "/v1/settlements", key=other)).json()["data"] == []
    assert code_of(await shop.call("GET", "/v1/settlements?cursor=x")) == "cursor_invalid"


async def test_pages_go_on_where_the_one_before_ended() -> None:
    shop = await Shop.open()
    treasury = await released(shop)
    first = await treasury.settled(shop.merchant)
    await treasury.decide.reject(treasury.chen, (await treasury.proposal(first)).id, "again")
    second = await treasury.settled(shop.merchant)
    page = (await shop.call("GET", "/v1/settlements?limit=1")).json()
    assert (page["data"][0]["id"], page["next_cursor"]) == (second.id, second.id)
    page = (await shop.call("GET", f"/v1/settlements?limit=1&cursor={page['next_cursor']}")).json()
    assert (page["data"][0]["id"], page["next_cursor"]) == (first.id, None)
    assert page["data"][0]["status"] == "rejected"


async def test_one_operator_settles_and_another_approves() -> None:
    office = Office()
    merchant = await office.house.merchant()
    treasury = Treasury(office.house)
    await office.house.paid(merchant)
    await treasury.next_days(1)
    await treasury.payee(merchant)
    mina, chen = await office.person("mina", FINANCE), await office.person("chen", FINANCE)
    await mina.enter()
    made = await mina.call("POST", f"/merchants/{merchant.merchant.id}/settlements", {"mode": "test"})
    assert made.status_code == 201, made.text
    (proposal,) = treasury.open_proposals()
    assert code_of(await mina.call("POST", f"/proposals/{proposal.id}/approve", {})) == "not_on_yourself"
    await chen.enter()
    assert (await chen.call("POST", f"/proposals/{proposal.id}/approve", {})).status_code in (200, 201)
    approved = (await chen.call("GET", f"/settlements/{made.json()['id']}")).json()
    assert (approved["status"], approved["payee"]["number"]) == ("approved", "****6789")
    listed = await chen.call("GET", f"/merchants/{merchant.merchant.id}/settlements?mode=test")
    assert listed.json()["data"] == [approved]
    statement = await chen.call("GET", f"/settlements/{approved['id']}/statement")
    assert "99.40" in statement.text
    assert {"settlement.created", "settlement.approved", "proposal.executed"} <= set(office.did())


async def test_rules_are_set_whole_and_written_down() -> None:
    office = Office()
    merchant_id = await office.merchant()
    mina = await office.person("mina", FINANCE)
    await mina.enter()
    path = f"/merchants/{merchant_id}/settlement_rule"
    assert (await mina.call("GET", path)).json()["cycle"] == "manual"
    body = {"cycle": "weekly", "day": 1, "minimum": 10_000, "fee": 100, "risk_days": 7}
    answer = await mina.call("PUT", path, body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["next_at"] == "2026-11-23T06:00:00.000+00:00"
    assert (await mina.call("GET", path)).json() == answer.json()
    assert code_of(await mina.call("PUT", path, body | {"day": 8})) == "settlement_rule_invalid"
    assert code_of(await mina.call("PUT", path, body | {"rail": "alipay", "source": "cha_none"})) == "not_found"
    assert "settlement_rule.set" in office.did()


async def test_a_hold_is_placed_and_lifted_with_a_reason_each() -> None:
    office = Office()
    merchant = await office.house.merchant()
    order = await office.house.paid(merchant)
    ravi = await office.person("ravi", RISK)
    await ravi.enter()
    path = f"/merchants/{merchant.merchant.id}/holds"
    placed = await ravi.call("POST", path, {"order_id": order.id, "reason": "a complaint"})
    assert placed.status_code == 201, placed.text
    assert code_of(await ravi.call("POST", path, {"order_id": order.id, "reason": "again"})) == "held_already"
    lifted = await ravi.call("POST", f"/holds/{placed.json()['id']}/lift", {"reason": "withdrawn"})
    assert (lifted.status_code, lifted.json()["lifted_by"]) == (201, ravi.id)
    assert (await ravi.call("GET", path)).json()["data"] == [lifted.json()]
    assert {"hold.placed", "hold.lifted"} <= set(office.did())


async def test_who_only_runs_the_shop_cannot_touch_the_money() -> None:
    office = Office()
    merchant_id = await office.merchant()
    omar = await office.person("omar", OPERATIONS)
    await omar.enter()
    rule = await omar.call("PUT", f"/merchants/{merchant_id}/settlement_rule", {"cycle": "manual"})
    hold = await omar.call("POST", f"/merchants/{merchant_id}/holds", {"reason": "—"})
    assert (rule.status_code, hold.status_code) == (403, 403)


async def test_a_settlement_asked_for_by_a_merchant_counts_as_its_own() -> None:
    shop = await Shop.open()
    treasury = await released(shop)
    made = await treasury.settle(treasury.mina, shop.merchant.merchant.id, Mode.TEST, SettlementOrigin.OPERATOR)
    assert (await shop.call("GET", f"/v1/settlements/{made.id}")).json()["origin"] == "operator"
