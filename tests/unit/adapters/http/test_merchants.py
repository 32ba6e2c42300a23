"""/admin/v1 for merchants and prices over HTTP: what is kept, what takes two people, what is refused."""

from typing import Any

import pytest

from domain.channels import Mode
from domain.errors import Forbidden
from domain.merchants import Caller
from domain.permissions import ADMINISTRATOR, FINANCE, OPERATIONS, RISK
from tests.fakes.house import request
from tests.unit.adapters.http.office import Office, Person
from tests.unit.adapters.http.shop import code_of

CAFE = {"name": "火龙果咖啡有限公司", "short_name": "火龙果咖啡"}
NUMBER = "6225880123456789"
NOBODY = "mch_00000000000000000000000000"


@pytest.fixture
def office() -> Office:
    return Office()


async def enter(office: Office, login: str, *roles: str) -> Person:
    return await (await office.person(login, *roles)).enter()


async def made(person: Person, path: str, body: Any, status: int = 201) -> dict[str, Any]:
    answer = await person.call("POST", path, body)
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


async def approved(checker: Person, proposal: dict[str, Any]) -> dict[str, Any]:
    answer = await checker.call("POST", f"/proposals/{proposal['id']}/approve")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


async def test_a_merchant_is_created_edited_and_shown(office: Office) -> None:
    ops = await enter(office, "mina", OPERATIONS)
    contact = {"name": "王丽", "role": "财务", "phone": "+86 138 0000 0000", "email": "finance@shop.example"}
    merchant = await made(
        ops, "/merchants", {**CAFE, "contacts": [contact], "networks": ["203.0.113.7", "2001:DB8::/32"]}
    )
    assert merchant["networks"] == ["203.0.113.7/32", "2001:db8::/32"]
    assert (merchant["active"], merchant["contacts"], merchant["payee"]) == (True, [contact], None)
    answer = await ops.call("PATCH", f"/merchants/{merchant['id']}", {"fund_modes": ["direct"], "networks": []})
    assert answer.status_code == 200, answer.text
    shown = (await ops.call("GET", f"/merchants/{merchant['id']}")).json()
    assert shown == {**merchant, "fund_modes": ["direct"], "networks": []}
    record = list(office.house.database.tables.audit.committed.values())[-1].record
    assert record.action == "merchant.edited"
    assert record.before == {"fund_modes": ["collect", "direct"], "networks": ["203.0.113.7/32", "2001:db8::/32"]}
    assert record.after == {"fund_modes": ["direct"], "networks": []}


async def test_merchants_are_listed_in_pages(office: Office) -> None:
    ops, ids = await enter(office, "mina", OPERATIONS), []
    for n in range(3):
        office.clock.advance(1)
        ids.append((await made(ops, "/merchants", {"name": f"m{n}"}))["id"])
    first = (await ops.call("GET", "/merchants?limit=2")).json()
    second = (await ops.call("GET", f"/merchants?limit=2&cursor={first['next_cursor']}")).json()
    assert [each["id"] for each in first["data"] + second["data"]] == ids[::-1]
    assert second["next_cursor"] is None
    for cursor in ("x", "prd_00000000000000000000000000", "mch_' OR 1=1 --"):
        answer = await ops.call("GET", f"/merchants?cursor={cursor}")
        assert (answer.status_code, code_of(answer)) == (422, "cursor_invalid")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": ""}, "value_invalid"),
        ({"name": "a\nb"}, "value_invalid"),
        ({"name": "x" * 81}, "value_invalid"),
        ({"name": 7}, "type_invalid"),
        ({"name": ...}, "field_missing"),
        ({"colour": "red"}, "field_unknown"),
        ({"fund_modes": []}, "value_invalid"),
        ({"fund_modes": ["escrow"]}, "value_invalid"),
        ({"late_payment": "keep"}, "value_invalid"),
        ({"networks": ["203.0.113.7/24"]}, "network_invalid"),
        ({"networks": ["*.shop.example"]}, "network_invalid"),
        ({"networks": ["203.0.113.0/24"] * 51}, "value_invalid"),
        ({"contacts": [{"name": "x", "phone": "1\u202e2"}]}, "value_invalid"),
        ({"contacts": [{"role": "x"}]}, "field_missing"),
        ({"orders_per_minute": 5}, "field_unknown"),
        ({"active": False}, "field_unknown"),
    ],
)
async def test_bad_input_is_refused_and_nothing_is_kept(office: Office, change: dict[str, Any], code: str) -> None:
    ops = await enter(office, "mina", OPERATIONS)
    before = office.stored()
    body = {name: value for name, value in {**CAFE, **change}.items() if value is not ...}
    answer = await ops.call("POST", "/merchants", body)
    assert 400 <= answer.status_code < 500
    assert code_of(answer) == code, answer.text
    assert office.stored() == before


async def test_nobody_there_is_not_found_by_any_route(office: Office) -> None:
    someone = await enter(office, "mina", ADMINISTRATOR)
    product = await made(someone, "/products", {"name": "p", "prices": [{"method": "alipay_qr", "rate_ppm": 1}]})
    await someone.call("POST", f"/products/{product['id']}/list")
    for method, path, body in (
        ("GET", "", ...), ("GET", "/terms", ...), ("PATCH", "", {"name": "x"}), ("POST", "/suspend", {"reason": "x"}),
        ("POST", "/reactivate", {"reason": "x"}), ("PUT", "/order_rate", {"per_minute": 5}),
        ("PUT", "/limits/alipay_qr", {"single": 5, "daily": None}), ("POST", "/rates/alipay_qr", {"rate_ppm": 5}),
        ("POST", "/product", {"product_id": product["id"]}),
        ("POST", "/payee", {"holder": "h", "bank": "b", "number": NUMBER}),
    ):  # fmt: skip
        answer = await someone.call(method, f"/merchants/{NOBODY}{path}", *(() if body is ... else (body,)))
        assert (answer.status_code, code_of(answer)) == (404, "not_found"), f"{method} {path}: {answer.text}"


async def test_a_suspended_merchant_places_no_orders_until_it_is_reactivated(office: Office) -> None:
    risk, house = await enter(office, "noah", RISK), office.house
    merchant = (await house.merchant()).merchant
    order = await house.place_order(Caller(merchant.id, Mode.TEST), request("A-1"))
    reason = {"reason": "a complaint"}
    answer = await risk.call("POST", f"/merchants/{merchant.id}/suspend", reason)
    assert (answer.status_code, answer.json()["active"]) == (200, False)
    answer = await risk.call("POST", f"/merchants/{merchant.id}/suspend", reason)
    assert (answer.status_code, code_of(answer)) == (409, "merchant_suspended")
    office.clock.advance(1)
    with pytest.raises(Forbidden, match="suspended"):
        await house.place_order(Caller(merchant.id, Mode.TEST), request("A-2"))
    assert (await house.now(order)).status == "pending"
    answer = await risk.call("POST", f"/merchants/{merchant.id}/reactivate", reason)
    assert (answer.status_code, answer.json()["active"]) == (200, True)
    office.clock.advance(1)
    await house.place_order(Caller(merchant.id, Mode.TEST), request("A-2"))
    answer = await risk.call("POST", f"/merchants/{merchant.id}/reactivate", reason)
    assert (answer.status_code, code_of(answer)) == (409, "merchant_active")
    assert office.did()[-2:] == ["merchant.suspended", "merchant.reactivated"]


async def test_a_payee_takes_two_people_and_its_number_is_seen_by_nobody(office: Office) -> None:
    ops, finance = await enter(office, "mina", OPERATIONS), await enter(office, "noah", FINANCE)
    merchant = await made(ops, "/merchants", CAFE)
    asked = {"holder": "火龙果咖啡有限公司", "bank": "招商银行", "number": "6225 8801 2345 6789"}
    proposal = await made(ops, f"/merchants/{merchant['id']}/payee", asked, 202)
    assert (await ops.call("GET", f"/merchants/{merchant['id']}")).json()["payee"] is None
    answer = await ops.call("POST", f"/proposals/{proposal['id']}/approve")
    assert (answer.status_code, code_of(answer)) == (403, "not_on_yourself")
    office.clock.advance(30)
    await approved(finance, proposal)
    shown = (await ops.call("GET", f"/merchants/{merchant['id']}")).json()["payee"]
    assert (shown["holder"], shown["bank"], shown["number"]) == (asked["holder"], asked["bank"], "****6789")
    assert shown["changed_at"] > merchant["created_at"], "payouts wait from the approval on"
    everything = repr(office.stored())
    assert NUMBER not in everything
    assert NUMBER[:12] not in everything
    async with office.house.database.unit_of_work() as uow:
        payee = (await uow.merchants.get(merchant["id"])).payee
    assert payee is not None
    assert office.house.vault.open(f"merchant|{merchant['id']}|payee", payee.sealed) == NUMBER.encode()


@pytest.mark.parametrize("number", ["12345", "1" * 33, "6225-8801", "", "٦٢٢٥٨٨٠١"])
async def test_what_is_no_bank_account_is_refused(office: Office, number: str) -> None:
    ops = await enter(office, "mina", OPERATIONS)
    merchant = await made(ops, "/merchants", CAFE)
    answer = await ops.call(
        "POST", f"/merchants/{merchant['id']}/payee", {"holder": "h", "bank": "b", "number": number}
    )
    assert answer.status_code == 422, answer.text
    assert code_of(answer) in ("payout_account_invalid", "value_invalid")
    assert number not in answer.text or not number


async def test_a_product_comes_on_the_shelf_and_merchants_get_its_prices(office: Office) -> None:
    ops, finance = await enter(office, "mina", OPERATIONS), await enter(office, "noah", FINANCE)
    merchant = await made(ops, "/merchants", CAFE)
    price = {"method": "alipay_qr", "rate_ppm": 6_000, "minimum": 1, "maximum": 5_000, "kept": True}
    product = await made(ops, "/products", {"name": "扫码", "prices": [price]})
    assert (product["listed"], product["versions"][0]["prices"]) == (False, [price])
    wanted = {"product_id": product["id"]}
    answer = await ops.call("POST", f"/merchants/{merchant['id']}/product", wanted)
    assert (answer.status_code, code_of(answer)) == (409, "product_unlisted")
    assert (await ops.call("POST", f"/products/{product['id']}/list")).json()["listed"] is True
    proposal = await made(ops, f"/merchants/{merchant['id']}/product", wanted, 202)
    terms = f"/merchants/{merchant['id']}/terms"
    assert (await ops.call("GET", terms)).json()["prices"] == []
    await approved(finance, proposal)
    assert (await ops.call("GET", terms)).json()["prices"] == [price]

    later = office.clock.now().timestamp() + 3_600
    start = office.clock.now().fromtimestamp(later, office.clock.now().tzinfo).isoformat()
    version = {"prices": [{**price, "rate_ppm": 3_000}], "valid_from": start}
    await approved(finance, await made(ops, f"/products/{product['id']}/versions", version, 202))
    own = await made(ops, f"/merchants/{merchant['id']}/rates/alipay_qr", {"rate_ppm": 100}, 202)
    assert (await ops.call("GET", terms)).json()["prices"] == [price]
    await approved(finance, own)
    now = (await ops.call("GET", terms)).json()
    assert now["prices"] == [{"method": "alipay_qr", "rate_ppm": 100, "minimum": 0, "maximum": None, "kept": False}]
    await approved(finance, await made(ops, f"/merchants/{merchant['id']}/rates/alipay_qr", {"rate_ppm": None}, 202))
    assert (await ops.call("GET", terms)).json()["prices"] == [price]
    office.clock.advance(3_600)
    ops, finance = await ops.enter(), await finance.enter()
    assert (await ops.call("GET", terms)).json()["prices"] == [{**price, "rate_ppm": 3_000}]
    assert (await ops.call("POST", f"/products/{product['id']}/unlist")).json()["listed"] is False
    assert (await ops.call("GET", terms)).json()["prices"] == [{**price, "rate_ppm": 3_000}], "who has it keeps it"


async def test_a_product_taken_off_the_shelf_meanwhile_is_not_given_out(office: Office) -> None:
    ops, finance = await enter(office, "mina", OPERATIONS), await enter(office, "noah", FINANCE)
    merchant = await made(ops, "/merchants", CAFE)
    product = await made(ops, "/products", {"name": "p", "prices": [{"method": "alipay_qr", "rate_ppm": 1}]})
    await ops.call("POST", f"/products/{product['id']}/list")
    proposal = await made(ops, f"/merchants/{merchant['id']}/product", {"product_id": product["id"]}, 202)
    await ops.call("POST", f"/products/{product['id']}/unlist")
    answer = await finance.call("POST", f"/proposals/{proposal['id']}/approve")
    assert (answer.status_code, code_of(answer)) == (409, "product_unlisted")


async def test_a_price_that_was_to_begin_before_it_was_approved_begins_then(office: Office) -> None:
    ops, finance = await enter(office, "mina", OPERATIONS), await enter(office, "noah", FINANCE)
    product = await made(ops, "/products", {"name": "p", "prices": [{"method": "alipay_qr", "rate_ppm": 1}]})
    start = office.clock.now().isoformat()
    version = {"prices": [{"method": "alipay_qr", "rate_ppm": 2}], "valid_from": start}
    proposal = await made(ops, f"/products/{product['id']}/versions", version, 202)
    office.clock.advance(60)
    await approved(finance, proposal)
    second = (await ops.call("GET", f"/products/{product['id']}")).json()["versions"][1]
    assert second["valid_from"] > start[:19]
    version["valid_from"] = start
    answer = await ops.call("POST", f"/products/{product['id']}/versions", version)
    assert (answer.status_code, code_of(answer)) == (422, "valid_from_past")


@pytest.mark.parametrize(
    ("prices", "code"),
    [
        ([], "value_invalid"),
        ([{"method": "cash", "rate_ppm": 1}], "value_invalid"),
        ([{"method": "alipay_qr", "rate_ppm": -1}], "value_invalid"),
        ([{"method": "alipay_qr", "rate_ppm": 1_000_001}], "value_invalid"),
        ([{"method": "alipay_qr", "rate_ppm": 0.6}], "type_invalid"),
        ([{"method": "alipay_qr", "rate_ppm": "6000"}], "type_invalid"),
        ([{"method": "alipay_qr", "rate_ppm": 1, "minimum": 5, "maximum": 4}], "fee_plan_invalid"),
        ([{"method": "alipay_qr", "rate_ppm": 1}] * 2, "value_invalid"),
    ],
)
async def test_prices_that_make_no_sense_are_refused(office: Office, prices: list[Any], code: str) -> None:
    ops = await enter(office, "mina", OPERATIONS)
    before = office.stored()
    answer = await ops.call("POST", "/products", {"name": "p", "prices": prices})
    assert 400 <= answer.status_code < 500
    assert code_of(answer) == code, answer.text
    assert office.stored() == before


async def test_limits_are_set_shown_and_taken_away(office: Office) -> None:
    risk = await enter(office, "noah", RISK)
    merchant = (await office.house.merchant()).merchant.id
    path = f"/merchants/{merchant}/limits/alipay_qr"
    limits = {"single": 500_000, "daily": 10_000_000}
    answer = await risk.call("PUT", path, limits)
    assert (answer.status_code, answer.json()) == (200, {"method": "alipay_qr", **limits})
    assert (await risk.call("GET", f"/merchants/{merchant}/terms")).json()["limits"] == [answer.json()]
    await risk.call("PUT", path, {"single": None, "daily": None})
    assert (await risk.call("GET", f"/merchants/{merchant}/terms")).json()["limits"] == []
    assert (await risk.call("PUT", f"/merchants/{merchant}/order_rate", {"per_minute": 3})).json()[
        "orders_per_minute"
    ] == 3
    for body in (
        {"single": 0, "daily": None},
        {"single": 5},
        {"single": None, "daily": -1},
        {"single": 1.5, "daily": 1},
    ):
        assert (await risk.call("PUT", path, body)).status_code in (400, 422), body
    answer = await risk.call("PUT", f"/merchants/{merchant}/limits/cash", limits)
    assert 400 <= answer.status_code < 500
    assert office.did()[-3:] == ["merchant.limited"] * 3
