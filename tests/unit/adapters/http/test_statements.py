"""GET /v1/statements: the merchant's own, as a list and as files."""

import hashlib
from datetime import UTC, timedelta

from application.freeze_merchant_statements import FreezeMerchantStatements
from application.open_statement_days import published
from domain.channels import Method, Mode
from domain.permissions import FINANCE
from domain.statements import DayStatus, StatementDay
from domain.times import shanghai_day
from tests.fakes.clock import FakeClock
from tests.unit.adapters.http.office import Office
from tests.unit.adapters.http.shop import Shop, code_of


def clock_of(shop: Shop) -> FakeClock:
    clock = shop.house.clock
    assert isinstance(clock, FakeClock)
    return clock


async def test_a_day_is_provisional_until_its_bills_are_closed_and_then_final() -> None:
    shop = await Shop.open()
    house = shop.house
    await house.paid(shop.merchant, Method.ALIPAY_QR, "A-1")
    day = shanghai_day(house.clock.now())
    clock_of(shop).advance(24 * 3600)
    answer = await shop.call("GET", f"/v1/statements/{day}")
    assert (answer.status_code, answer.headers["pitaya-statement-status"]) == (200, "provisional")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    assert f"statement_test_{day}_provisional.csv" in answer.headers["content-disposition"]
    account_id = shop.merchant.account_ids[0]
    async with house.database.unit_of_work() as uow:
        await uow.bills.open_day(StatementDay(account_id=account_id, mode=Mode.TEST, day=day, status=DayStatus.CLOSED))
    clock_of(shop).set(published(day).astimezone(UTC))
    assert await FreezeMerchantStatements(house.database.unit_of_work, house.clock)() == 1
    final = await shop.call("GET", f"/v1/statements/{day}")
    assert final.headers["pitaya-statement-status"] == "final"
    listed = (await shop.call("GET", "/v1/statements")).json()
    (one,) = listed["data"]
    assert (one["date"], one["status"], one["sha256"], one["size"], one["entries"]) == (
        day.isoformat(), "final", hashlib.sha256(final.content).hexdigest(), len(final.content), 1,
    )  # fmt: skip
    assert listed["next_cursor"] is None
    other = await shop.other()
    assert (await shop.call("GET", "/v1/statements", key=other.api_key)).json()["data"] == []
    assert b"payment" not in (await shop.call("GET", f"/v1/statements/{day}", key=other.api_key)).content


async def test_days_are_listed_page_by_page() -> None:
    shop = await Shop.open()
    today = shanghai_day(shop.house.clock.now())
    sweep = FreezeMerchantStatements(shop.house.database.unit_of_work, shop.house.clock)
    for n in range(3):
        await shop.house.paid(shop.merchant, Method.ALIPAY_QR, f"A-{n}")
        clock_of(shop).advance(24 * 3600)
    await sweep()
    first = (await shop.call("GET", "/v1/statements?limit=2")).json()
    rest = (await shop.call("GET", f"/v1/statements?limit=2&cursor={first['next_cursor']}")).json()
    days = [one["date"] for one in (*first["data"], *rest["data"])]
    assert days == [(today + timedelta(days=n)).isoformat() for n in (2, 1, 0)]
    assert (rest["next_cursor"], first["data"][0]["sha256"]) == (None, None)


async def test_what_is_no_day_and_no_cursor_is_refused() -> None:
    shop = await Shop.open()
    today = shanghai_day(shop.house.clock.now())
    for path, code in (
        (f"/v1/statements/{today}", "day_not_over"),
        ("/v1/statements/yesterday", "day_invalid"),
        ("/v1/statements/20261101", "day_invalid"),
        ("/v1/statements?cursor=x", "cursor_invalid"),
    ):
        answer = await shop.call("GET", path)
        assert (answer.status_code, code_of(answer)) == (422 if "cursor" not in path else answer.status_code, code), (
            path
        )


async def test_an_operator_sees_the_very_bytes_that_the_merchant_gets() -> None:
    office = Office()
    merchant = await office.house.merchant()
    await office.house.paid(merchant, Method.ALIPAY_QR, "A-1")
    day = shanghai_day(office.clock.now())
    office.clock.advance(24 * 3600)
    finn = await (await office.person("finn", FINANCE)).enter()
    answer = await finn.call("GET", f"/merchants/{merchant.merchant.id}/statements/{day}?mode=test")
    assert (answer.status_code, answer.headers["pitaya-statement-status"]) == (200, "provisional")
    assert b"A-1" in answer.content
    listed = await finn.call("GET", f"/merchants/{merchant.merchant.id}/statements?mode=test")
    assert (listed.status_code, listed.json()["data"]) == (200, [])  # the sweep has not been there yet
    assert (await finn.call("GET", f"/merchants/mch_0/statements/{day}")).status_code == 404
