"""Lists, totals, CSV, search and timelines over HTTP, as operators call them; keys and endpoints in their hands."""

import csv
import io
from typing import Any

import pytest

from application.listings import LISTINGS
from application.open_merchant import OpenedMerchant
from domain.money import Money
from domain.orders import OrderRequest
from tests.fakes.house import caller
from tests.unit.adapters.http.office import Office, Person
from tests.unit.adapters.http.shop import code_of


@pytest.fixture
async def office() -> Office:
    return Office()


@pytest.fixture
async def merchant(office: Office) -> OpenedMerchant:
    return await office.house.merchant()


@pytest.fixture
async def mina(office: Office) -> Person:
    return await (await office.person("mina", "administrator")).enter()


async def place(office: Office, merchant: OpenedMerchant, no: str, subject: str) -> str:
    asked = OrderRequest(merchant_order_no=no, amount=Money(1_990), subject=subject, expires_in=1_800)
    return (await office.house.place_order(caller(merchant), asked)).id


async def test_orders_are_listed_page_by_page_with_their_totals(
    office: Office, merchant: OpenedMerchant, mina: Person
) -> None:
    ids = [await place(office, merchant, f"A-{n}", "Coffee") for n in range(3)]
    seen, cursor = [], ""
    while True:
        page = (await mina.call("GET", f"/lists/orders?mode=test&limit=2{cursor}")).json()
        seen += [row["id"] for row in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == sorted(ids, reverse=True)
    totals = await mina.call("GET", f"/lists/orders/totals?mode=test&merchant_id={merchant.merchant.id}")
    assert totals.json() == {"count": 3, "exact": True, "sums": {"CNY": 5_970}}
    assert (await mina.call("GET", "/lists/orders")).json()["data"] == [], "live is not test"


@pytest.mark.parametrize("name", LISTINGS)
async def test_every_list_answers_pages_totals_and_csv(
    office: Office, merchant: OpenedMerchant, mina: Person, name: str
) -> None:
    await office.house.paid(merchant)
    await office.house.fan_out()
    await office.house.deliver()
    mode = "?mode=test" if LISTINGS[name].moded else ""
    page = await mina.call("GET", f"/lists/{name}{mode}")
    totals = await mina.call("GET", f"/lists/{name}/totals{mode}")
    exported = await mina.call("GET", f"/lists/{name}/csv{mode}")
    assert page.status_code == totals.status_code == exported.status_code == 200, page.text
    assert exported.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(exported.content.decode("utf-8-sig"))))
    assert rows[0] == list(LISTINGS[name].columns)
    assert len(rows) - 1 == totals.json()["count"] == len(page.json()["data"])


HOSTILE = ["=HYPERLINK(1)", "+1+1", "-1+1", "@SUM(A1)", " =1+1", "＝1", 'say "hi", twice', "普通咖啡"]


async def test_a_csv_is_for_spreadsheets_and_starts_no_formula(
    office: Office, merchant: OpenedMerchant, mina: Person
) -> None:
    for n, subject in enumerate(HOSTILE):
        await place(office, merchant, f"2026112200000000{n}", subject)
    answer = await mina.call("GET", "/lists/orders/csv?mode=test&sort=oldest", headers={"Accept-Language": "zh"})
    assert answer.content.startswith("\ufeff".encode()), "without the mark, Chinese is read as something else"
    assert 'filename="orders.csv"' in answer.headers["content-disposition"]
    heads, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    cells = [dict(zip(heads, row, strict=True)) for row in rows]
    assert [cell["商品"] for cell in cells] == [f"'{each}" for each in HOSTILE[:6]] + HOSTILE[6:]
    assert {cell["金额"] for cell in cells} == {"19.90"}
    assert cells[0]["商户订单号"] == "20261122000000000\t", "no digit is lost to rounding"
    assert cells[0]["创建时间"].startswith("2026-11-22 ")
    assert not any(cell.lstrip(" ").startswith(("=", "+", "-", "@", "＝")) for row in rows for cell in row)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("status=lost", 422, "parameter_invalid"),
        ("color=red", 400, "parameter_unknown"),
        ("since=yesterday", 422, "parameter_invalid"),
        ("since=2026-11-22T00:00:00", 422, "parameter_invalid"),
        ("since=9999-12-31T23:59:59-23:00", 422, "parameter_invalid"),
        ("since=2026-11-22T00:00:00Z&until=2026-11-22T00:00:00Z", 422, "time_range_invalid"),
        ("sort=random", 422, "parameter_invalid"),
        ("limit=101", 422, "parameter_invalid"),
        ("cursor=abc", 422, "cursor_invalid"),
        ("mode=test&mode=live", 400, "parameter_repeated"),
    ],
)
async def test_a_list_refuses_what_it_does_not_know(mina: Person, query: str, status: int, code: str) -> None:
    answer = await mina.call("GET", f"/lists/orders?{query}")
    assert (answer.status_code, code_of(answer)) == (status, code)


async def test_a_number_finds_its_order_and_the_order_tells_its_story(
    office: Office, merchant: OpenedMerchant, mina: Person
) -> None:
    order = await office.house.paid(merchant, no="A-77")
    (payment,) = await office.house.payments(order)
    for number in ("A-77", payment.transaction_id, payment.number, order.id, payment.id):
        hits = (await mina.call("GET", f"/search?number={number}")).json()["data"]
        assert order.id in {hit["order_id"] for hit in hits}, number
    assert (await mina.call("GET", "/search?number=nothing")).json()["data"] == []
    story = (await mina.call("GET", f"/orders/{order.id}/timeline")).json()["data"]
    assert {line["what"] for line in story} >= {"event", "payment", "transfer"}
    assert [line["type"] for line in story if line["object_id"] == order.id] == ["order.created", "order.paid"]
    missing = await mina.call("GET", "/orders/ord_00000000000000000000000000/timeline")
    assert (missing.status_code, code_of(missing)) == (404, "not_found")


async def test_an_operator_makes_rolls_and_revokes_a_key_and_it_is_written_down(
    office: Office, merchant: OpenedMerchant, mina: Person
) -> None:
    base = f"/merchants/{merchant.merchant.id}/api_keys"
    made: dict[str, Any] = (await mina.call("POST", base, {"mode": "test", "name": "till"})).json()
    assert (await office.house.authenticate(made["secret"])).merchant_id == merchant.merchant.id
    rolled = (await mina.call("POST", f"{base}/{made['id']}/roll", {"mode": "test", "overlap_hours": 0})).json()
    assert (await mina.call("POST", f"{base}/{rolled['id']}/revoke", {"mode": "test"})).status_code == 200
    listed = await mina.call("GET", f"{base}?mode=test")
    assert [row["id"] for row in listed.json()["data"]][:2] == [rolled["id"], made["id"]]
    assert [each for each in office.did() if each.startswith("api_key.")] == [
        "api_key.created", "api_key.rolled", "api_key.revoked",
    ]  # fmt: skip
    text = str(office.stored())
    assert made["secret"] not in text
    assert rolled["secret"] not in text
    other_mode = await mina.call("POST", f"{base}/{made['id']}/revoke", {"mode": "live"})
    assert other_mode.status_code == 404
    nobody = await mina.call("POST", "/merchants/mch_none/api_keys", {"mode": "test"})
    assert nobody.status_code == 404
