"""Reports of payments over HTTP, compared with what the ledger has; their CSV, and what is refused."""

import csv
import io

import pytest

from domain.channels import Method
from domain.ledger import AccountKind
from domain.permissions import AUDITOR, FINANCE, OPERATIONS
from tests.unit.adapters.http.office import Office, Person
from tests.unit.adapters.http.shop import Shop, code_of

TODAY = "2026-11-22"
DAY = f"first_day={TODAY}&last_day={TODAY}"
WHEN = f"mode=test&{DAY}"


@pytest.fixture
async def office() -> Office:
    return Office()


@pytest.fixture
async def mina(office: Office) -> Person:
    return await (await office.person("mina", FINANCE)).enter()


async def test_a_report_says_what_the_ledger_has(office: Office, mina: Person) -> None:
    house = office.house
    merchant = await house.merchant()
    order = await house.paid(merchant)
    await house.refund(merchant, order, 4_000)
    await house.paid(merchant, Method.WECHAT_NATIVE, "A-2")
    answer = await mina.call("GET", f"/reports/payments?{WHEN}&by=channel,method")
    assert answer.status_code == 200, answer.text
    rows = answer.json()["data"]
    assert [(row["channel"], row["method"], row["day"], row["gross"]) for row in rows] == [
        ("alipay", "alipay_qr", None, 10_000),
        ("wechat", "wechat_native", None, 10_000),
    ]
    (whole,) = (await mina.call("GET", f"/reports/payments?{WHEN}&by=")).json()["data"]
    assert (whole["payments"], whole["refunds"], whole["refunded"]) == (2, 1, 4_000)
    assert whole["fees"] == await house.balance(AccountKind.FEE_INCOME, "platform") > 0
    pending = await house.balance(AccountKind.MERCHANT_PENDING, merchant.merchant.id)
    assert whole["gross"] - whole["refunded"] - whole["fees"] == pending
    assert whole["margin"] == whole["fees"] - whole["cost"]
    nobody = await mina.call("GET", f"/reports/payments?{WHEN}&merchant_id=mch_nobody")
    assert nobody.json() == {"data": []}
    live = await mina.call("GET", f"/reports/payments?first_day={TODAY}&last_day={TODAY}")
    assert live.json() == {"data": []}


async def test_a_report_is_a_table_for_spreadsheets(office: Office, mina: Person) -> None:
    merchant = await office.house.merchant()
    order = await office.house.paid(merchant)
    await office.house.refund(merchant, order, 4_000)
    (row,) = (await mina.call("GET", f"/reports/payments?{WHEN}")).json()["data"]
    answer = await mina.call("GET", f"/reports/payments.csv?{WHEN}", headers={"accept-language": "zh-CN"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="payments.csv"' in answer.headers["content-disposition"]
    heading, line = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert heading == ["日期", "币种", "支付笔数", "收款金额", "退款笔数", "退款金额", "手续费收入", "通道成本", "毛利"]
    yuan = [f"{row[name] / 100:.2f}" for name in ("fees", "cost", "margin")]
    assert line == [TODAY, "CNY", "1", "100.00", "1", "40.00", *yuan]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("first_day=2026-11-22&last_day=2026-11-21", "time_range_invalid"),
        ("first_day=2025-11-22&last_day=2026-11-23", "report_range_too_long"),
        ("first_day=20261122&last_day=2026-11-23", "day_invalid"),
        ("first_day=2026-11-22&last_day=9999-12-31", "day_invalid"),
        ("first_day=2026-02-30&last_day=2026-03-01", "day_invalid"),
        ("first_day=2026-11-22&last_day=2026-11-22&by=day,colour", "filter_invalid"),
    ],
)
async def test_a_report_that_makes_no_sense_is_refused(mina: Person, asked: str, code: str) -> None:
    for path in ("/reports/payments", "/reports/payments.csv"):
        answer = await mina.call("GET", f"{path}?{asked}")
        assert (answer.status_code, code_of(answer)) == (422, code)


async def test_a_leap_year_fits_into_a_report(mina: Person) -> None:
    assert (await mina.call("GET", "/reports/payments?first_day=2028-01-01&last_day=2028-12-31")).json() == {"data": []}


async def test_margins_are_for_finance_and_who_audits(office: Office) -> None:
    for name, role, status in (("chen", AUDITOR, 200), ("liu", OPERATIONS, 403)):
        person = await (await office.person(name, role)).enter()
        assert (await person.call("GET", f"/reports/payments?{WHEN}")).status_code == status


async def test_a_merchant_sees_its_own_payments_without_what_the_platform_pays_and_earns(shop: Shop) -> None:
    order = await shop.house.paid(shop.merchant)
    await shop.house.refund(shop.merchant, order, 4_000)
    other = await shop.other()
    await shop.house.paid(other, no="B-1")
    answer = await shop.call("GET", f"/v1/reports/payments?{DAY}&by=channel")
    figures = {"payments": 1, "gross": 10_000, "refunds": 1, "refunded": 4_000, "fees": 36}
    group = {"day": None, "channel": "alipay", "method": None, "currency": "CNY"}
    assert (answer.status_code, answer.json()) == (200, {"data": [group | figures]})
    assert (await shop.call("GET", f"/v1/reports/payments?{DAY}&channel=wechat")).json() == {"data": []}
    file = await shop.call("GET", f"/v1/reports/payments.csv?{DAY}", headers={"accept-language": "zh-CN"})
    heading, line = csv.reader(io.StringIO(file.text.removeprefix("\ufeff")))
    assert heading == ["日期", "币种", "支付笔数", "收款金额", "退款笔数", "退款金额", "手续费"]
    assert line == [TODAY, "CNY", "1", "100.00", "1", "40.00", "0.36"]


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        (f"{DAY}&by=merchant_id", 422, "filter_invalid"),
        (f"{DAY}&merchant_id=mch_1", 400, "parameter_unknown"),
        (f"{DAY}&mode=live", 400, "parameter_unknown"),
        (f"{DAY}&by=day&by=method", 400, "parameter_repeated"),
        (f"{DAY}&channel=null", 422, "parameter_invalid"),
        (f"first_day={TODAY}", 422, "parameter_invalid"),
        ("first_day=2026-11-22&last_day=2026-11-21", 422, "time_range_invalid"),
    ],
)
async def test_a_merchants_report_that_makes_no_sense_is_refused(
    shop: Shop, asked: str, status: int, code: str
) -> None:
    for path in ("/v1/reports/payments", "/v1/reports/payments.csv"):
        answer = await shop.call("GET", f"{path}?{asked}")
        assert (answer.status_code, code_of(answer)) == (status, code)
