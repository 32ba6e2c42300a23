"""What a merchant has, and how it came about; the same for operators, of any account."""

from datetime import timedelta

from adapters.outbound.roots import FileAuditRoots
from application.close_day import CloseDay
from domain.channels import Method
from domain.permissions import AUDITOR, FINANCE, OPERATIONS
from tests.fakes.clock import FakeClock
from tests.fakes.house import caller
from tests.unit.adapters.http.office import Office
from tests.unit.adapters.http.shop import Shop, code_of

ZERO = dict.fromkeys(
    ("pending", "available", "frozen", "refunding", "settling", "debt", "direct_held", "service_fee_due"), 0
)


async def test_a_new_merchant_has_zeros(shop: Shop) -> None:
    answer = await shop.call("GET", "/v1/balance")
    assert answer.json() == {"object": "balance", "mode": "test", "data": [{"currency": "CNY", **ZERO}]}


async def test_a_payment_is_pending_less_our_fee_and_a_refund_takes_its_part_of_both(shop: Shop) -> None:
    order = await shop.house.paid(shop.merchant, Method.ALIPAY_QR, "A-1")
    await shop.call("POST", "/v1/refunds", {"merchant_refund_no": "R-1", "order_id": order.id, "amount": 4_000})
    (balance,) = (await shop.call("GET", "/v1/balance")).json()["data"]
    assert balance == {"currency": "CNY", **ZERO, "pending": 5_964}
    lines = (await shop.call("GET", "/v1/transfers?account=pending")).json()["data"]
    assert [(line["fact"], line["amount"], line["balance_after"]) for line in lines] == [
        ("refund_reserved", -3_976, 5_964),
        ("payment", 9_940, 9_940),
    ]
    refund, payment = (line["cause"] for line in lines)
    assert (refund["type"], refund["url"]) == ("refund", f"/v1/refunds/{refund['id']}")
    assert (payment["type"], payment["url"]) == ("payment", f"/v1/orders/{order.id}")
    assert (await shop.call("GET", refund["url"])).status_code == 200
    assert {line["order_id"] for line in lines} == {order.id}
    assert lines[0]["id"] != lines[1]["id"]
    assert all(line["id"].startswith("trf_") for line in lines)


async def test_direct_payments_show_what_is_held_and_what_fee_is_due(shop: Shop) -> None:
    merchant = await shop.house.merchant(of_platform=False)
    await shop.house.paid(merchant, Method.ALIPAY_QR, "A-1")
    (balance,) = (await shop.call("GET", "/v1/balance", key=merchant.api_key)).json()["data"]
    assert balance == {"currency": "CNY", **ZERO, "direct_held": 10_000, "service_fee_due": 60}
    (line,) = (await shop.call("GET", "/v1/transfers?account=service_fee_due", key=merchant.api_key)).json()["data"]
    assert (line["amount"], line["balance_after"]) == (60, 60), "what is owed grows with what is added to it"


async def test_a_history_goes_page_by_page_and_as_a_file(shop: Shop) -> None:
    for n in range(3):
        await shop.house.paid(shop.merchant, Method.ALIPAY_QR, f"A-{n}")
    seen, cursor = list[int](), ""
    while True:
        page = (await shop.call("GET", f"/v1/transfers?account=pending&limit=2{cursor}")).json()
        seen += [line["balance_after"] for line in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [29_820, 19_880, 9_940]
    answer = await shop.call("GET", "/v1/transfers.csv?account=pending", headers={"Accept-Language": "zh-CN"})
    assert answer.headers["content-disposition"] == 'attachment; filename="transfers-pending.csv"'
    heading, *lines = answer.content.decode("utf-8-sig").splitlines()
    assert heading.startswith("流水号,记账时间,类型,金额,余额")
    assert [line.split(",")[3:5] for line in lines] == [["99.40", "298.20"], ["99.40", "198.80"], ["99.40", "99.40"]]


async def test_nobody_sees_anothers_money(shop: Shop) -> None:
    await shop.house.paid(shop.merchant, Method.ALIPAY_QR, "A-1")
    other = await shop.other()
    (balance,) = (await shop.call("GET", "/v1/balance", key=other.api_key)).json()["data"]
    assert balance == {"currency": "CNY", **ZERO}
    assert (await shop.call("GET", "/v1/transfers?account=pending", key=other.api_key)).json()["data"] == []


async def test_what_is_no_account_and_no_cursor_is_refused(shop: Shop) -> None:
    assert code_of(await shop.call("GET", "/v1/transfers?account=platform")) == "parameter_invalid"
    assert code_of(await shop.call("GET", "/v1/transfers?cursor=abc")) == "cursor_invalid"


async def test_operators_see_a_merchants_balance_and_any_account() -> None:
    office = Office()
    merchant = await office.house.merchant()
    await office.house.paid(merchant, Method.ALIPAY_QR, "A-1")
    fiona = await (await office.person("fiona", FINANCE)).enter()
    path = f"/merchants/{caller(merchant).merchant_id}/balance?mode=test"
    assert (await fiona.call("GET", path)).json()["data"][0]["pending"] == 9_940
    found = (await fiona.call("GET", "/lists/ledger_accounts?kind=FI&mode=test")).json()["data"]
    (income,) = [account for account in found if account["owner"] == "platform"]
    shown = (await fiona.call("GET", f"/accounts/{income['id']}")).json()
    assert (shown["kind"], shown["balance"]) == ("FI", 60)
    (line,) = (await fiona.call("GET", f"/accounts/{income['id']}/transfers")).json()["data"]
    assert (line["fact"], line["amount"], line["balance_after"]) == ("payment", 60, 60)
    text = (await fiona.call("GET", f"/accounts/{income['id']}/transfers.csv")).text
    assert "0.60" in text
    for nobody in ("1", "x", "9" * 30, "-"):
        assert (await fiona.call("GET", f"/accounts/{nobody}")).status_code == 404
        assert (await fiona.call("GET", f"/accounts/{nobody}/transfers.csv")).status_code == 404
    olga = await (await office.person("olga", OPERATIONS)).enter()
    assert (await olga.call("GET", path)).status_code == 403
    audrey = await (await office.person("audrey", AUDITOR)).enter()
    assert (await audrey.call("GET", path)).status_code == 200


async def test_operators_see_a_closed_days_trial_balance() -> None:
    office = Office()
    await office.house.paid(await office.house.merchant(), Method.ALIPAY_QR, "A-1")
    fiona = await (await office.person("fiona", FINANCE)).enter()
    assert (await fiona.call("GET", "/closings/2026-11-22")).status_code == 404
    assert code_of(await fiona.call("GET", "/closings/today")) == "day_invalid"
    tomorrow = FakeClock(office.clock.now() + timedelta(days=1))
    await CloseDay(office.house.database.unit_of_work, FileAuditRoots.of_ledger(None, b"none"), tomorrow)()
    shown = (await fiona.call("GET", "/closings/2026-11-22")).json()
    assert (shown["transfers"], shown["balanced"]) == (2, True)
    assert [(row["kind"], row["closing"]) for row in shown["data"]] == [("CR", -10_000), ("FI", 60), ("MP", 9_940)]
