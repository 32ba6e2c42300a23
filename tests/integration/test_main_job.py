"""The main job and its failures over real wires: both SDKs, the sandbox, the web process, PostgreSQL and Redis."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from application.confirm_attempt import Outcome
from domain.attempts import AttemptStatus
from domain.channels import Method, Mode
from domain.ledger import Account, AccountKind, Transfer
from domain.money import CNY
from domain.orders import OrderStatus
from domain.payments import Unattributed
from tests.integration.stack import Stack, running

ALIPAY, WECHAT = Method.ALIPAY_QR, Method.WECHAT_NATIVE
BOTH = pytest.mark.parametrize("method", [ALIPAY, WECHAT])

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    module_database_url: str, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    logs: Path = tmp_path_factory.mktemp("stack")
    async with running(module_database_url, redis_server, logs) as stack:
        yield stack


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def honest(stack: Stack) -> None:
    """Each test begins with channels that do what they should."""
    await stack.http.delete(f"{stack.sandbox}/control/faults")


async def booked(stack: Stack, order: dict[str, Any]) -> list[tuple[str, str, int]]:
    rows: list[Transfer] = []
    async with stack.container.database().unit_of_work() as uow:
        for payment in await uow.payments.of_order(order["id"]):
            rows += await uow.ledger.about(payment.id)
    return [(row.debit.kind, row.credit.kind, row.amount.minor) for row in rows]


@BOTH
async def test_an_order_is_paid_booked_and_told(stack: Stack, method: Method) -> None:
    bought = await stack.http.post(f"{stack.sandbox}/shop/buy", data={"product": "coffee"})
    listed = await stack.api("GET", "/orders?limit=1")
    order = listed.json()["data"][0]
    assert bought.headers["location"].startswith(f"{stack.web}/pay/")
    attempt = await stack.start(order, method)
    assert attempt["action"]["type"] == "qr_code"
    await stack.pay(attempt, method)
    await stack.until(order, "paid")
    assert await booked(stack, order) == [("CR", "MP", 1_978), ("CR", "FI", 12)]
    assert await stack.sweep("fan_out_events") == 1
    assert await stack.sweep("deliver_notifications") == 1
    shops = (await stack.http.get(f"{stack.sandbox}/control/shop/orders")).json()
    (mine,) = [row for row in shops if row["merchant_order_no"] == order["merchant_order_no"]]
    assert mine["status"] == "paid"
    assert len(mine["verified_notifications"]) == 1


@BOTH
async def test_fifty_equal_notices_at_once_are_one_credit(stack: Stack, method: Method) -> None:
    order = await stack.place()
    attempt = await stack.start(order, method)
    await stack.pay(attempt, method, notify=True)
    await stack.until(order, "paid")
    sent = await stack.control("notices/resend", out_trade_no=attempt["number"], times=50, concurrency=50)
    assert len(sent) == 50
    assert {row["status"] for row in sent} == {200 if method is ALIPAY else 204}, "duplicates are answered with success"
    assert await booked(stack, order) == [("CR", "MP", 9_940), ("CR", "FI", 60)]


@BOTH
async def test_the_first_notices_all_at_once_are_one_credit(stack: Stack, method: Method) -> None:
    order = await stack.place()
    attempt = await stack.start(order, method)
    await stack.control("faults", channel=method.channel, api="notice", fault="silent", times=1, seconds=0.1)
    await stack.pay(attempt, method)  # the first notice is lost somewhere; then fifty come at a time
    await stack.control("notices/resend", out_trade_no=attempt["number"], times=50, concurrency=50)
    await stack.until(order, "paid")
    assert len(await stack.payments(order)) == 1
    assert await booked(stack, order) == [("CR", "MP", 9_940), ("CR", "FI", 60)]


FORGED: list[tuple[Method, dict[str, Any]]] = [
    (ALIPAY, {"sign": "bad"}),
    (ALIPAY, {"sign": "none"}),
    (WECHAT, {"sign": "bad"}),
    (WECHAT, {"sign": "none"}),
    (WECHAT, {"sign": "probe"}),
    (WECHAT, {"timestamp_offset": -301}),
    (WECHAT, {"timestamp_offset": 301}),
    (WECHAT, {"serial": "PUB_KEY_ID_0000000000000000000000000000"}),
    (WECHAT, {"serial": "not hexadecimal"}),
]


@pytest.mark.parametrize(("method", "how"), FORGED, ids=str)
async def test_a_notice_we_cannot_believe_is_refused_and_changes_nothing(
    stack: Stack, method: Method, how: dict[str, Any]
) -> None:
    order = await stack.place()
    attempt = await stack.start(order, method)
    await stack.control("scan", channel=method.channel, code=attempt["action"]["value"])
    sent = await stack.control("notices/send", channel=method.channel, out_trade_no=attempt["number"], **how)
    assert 400 <= sent["status"] < 500
    assert (await stack.order(order)).status is OrderStatus.PENDING
    assert await stack.payments(order) == []


MISFIT = [
    (ALIPAY, {"app_id": "2021000000009999"}),
    (ALIPAY, {"seller_id": "2088000000009999"}),
    (WECHAT, {"mchid": "1900009999"}),
    (WECHAT, {"appid": "wx9999999999999999"}),
]


@pytest.mark.parametrize(("method", "overrides"), MISFIT, ids=str)
async def test_a_signed_notice_about_somebody_else_is_recorded_and_books_nothing(
    stack: Stack, method: Method, overrides: dict[str, str]
) -> None:
    order = await stack.place()
    attempt = await stack.start(order, method)
    await stack.control("scan", channel=method.channel, code=attempt["action"]["value"])
    sent = await stack.control(
        "notices/send", channel=method.channel, out_trade_no=attempt["number"], overrides=overrides
    )
    assert sent["status"] in (200, 204), "repeating it could not mend it"
    assert (await stack.order(order)).status is OrderStatus.PENDING
    assert await stack.payments(order) == []


@BOTH
async def test_a_wrong_amount_is_held_in_suspense(stack: Stack, method: Method) -> None:
    order = await stack.place()
    attempt = await stack.start(order, method)
    await stack.pay(attempt, method, amount=1, notify=False)
    sent = await stack.control("notices/send", channel=method.channel, out_trade_no=attempt["number"])
    assert sent["status"] in (200, 204)
    (payment,) = await stack.payments(order)
    assert payment.unattributed is Unattributed.WRONG_AMOUNT
    assert await booked(stack, order) == [("CR", "SUS", 1)]
    assert (await stack.order(order)).status is OrderStatus.PENDING


@BOTH
async def test_a_payment_whose_notices_are_all_lost_is_found_by_the_poll(stack: Stack, method: Method) -> None:
    order = await stack.place()
    attempt = await stack.start(order, method)
    await stack.pay(attempt, method, notify=False)
    async with stack.container.database().unit_of_work() as uow:
        unsettled = await uow.attempts.get(attempt["id"])
    assert unsettled.status is AttemptStatus.PENDING
    await stack.container.check_attempt()(unsettled)
    assert (await stack.order(order)).status is OrderStatus.PAID
    assert await booked(stack, order) == [("CR", "MP", 9_940), ("CR", "FI", 60)]


@BOTH
@pytest.mark.parametrize("fault", ["silent", "torn", "unsigned", "bad_signature", "error_500", "reset"])
async def test_an_opening_without_a_usable_answer_is_unknown_and_repeated_under_its_number(
    stack: Stack, method: Method, fault: str
) -> None:
    order = await stack.place()
    api = "precreate" if method is ALIPAY else "native"
    await stack.control("faults", channel=method.channel, api=api, fault=fault, times=1, seconds=12)
    first = await stack.api("POST", f"/orders/{order['id']}/attempts", json={"method": method}, timeout=40)
    assert first.status_code in (503, 504), first.text
    assert first.headers["retry-after"]
    (doubtful,) = (await stack.api("GET", f"/orders/{order['id']}")).json()["attempts"]
    assert doubtful["status"] in ("unknown", "created")
    repeated = await stack.start(order, method)
    assert (repeated["id"], repeated["number"]) == (doubtful["id"], doubtful["number"])
    await stack.pay(repeated, method)
    await stack.until(order, "paid")


@BOTH
async def test_closing_an_order_closes_it_at_the_channel_first(stack: Stack, method: Method) -> None:
    order = await stack.place()
    attempt = await stack.start(order, method)
    await stack.control("scan", channel=method.channel, code=attempt["action"]["value"])
    closed = await stack.api("POST", f"/orders/{order['id']}/close")
    assert (closed.status_code, closed.json()["status"]) == (200, "closed")
    trades = await stack.http.get(f"{stack.sandbox}/control/trades?out_trade_no={attempt['number']}")
    assert trades.json()[0]["state"].lower() in ("closed", "trade_closed")
    refused = await stack.api("POST", f"/orders/{order['id']}/attempts", json={"method": method})
    assert (refused.status_code, refused.json()["code"]) == (409, "order_closed")


@BOTH
async def test_money_that_comes_after_the_close_is_held(stack: Stack, method: Method) -> None:
    order = await stack.place()
    attempt = await stack.start(order, method)
    await stack.control("scan", channel=method.channel, code=attempt["action"]["value"])
    await stack.api("POST", f"/orders/{order['id']}/close")
    await stack.pay(attempt, method, late=True, notify=False)
    sent = await stack.control("notices/send", channel=method.channel, out_trade_no=attempt["number"])
    assert sent["status"] in (200, 204)
    (payment,) = await stack.payments(order)
    assert payment.unattributed is Unattributed.LATE
    assert (await stack.order(order)).status is OrderStatus.CLOSED


async def test_both_wallets_paying_one_order_leaves_the_second_in_suspense(stack: Stack) -> None:
    order = await stack.place()
    alipay = await stack.start(order, ALIPAY)  # shown, not scanned: Alipay cannot close what it does not know
    wechat = await stack.start(order, WECHAT)
    await stack.pay(wechat, WECHAT)
    await stack.until(order, "paid")
    await stack.pay(alipay, ALIPAY, notify=False)
    sent = await stack.control("notices/send", channel="alipay", out_trade_no=alipay["number"])
    assert sent["status"] == 200
    assert sorted(str(payment.unattributed) for payment in await stack.payments(order)) == ["None", "second"]


async def test_the_ledger_of_all_this_balances(stack: Stack) -> None:
    """What the channel accounts hold is what merchant, fees and suspense were credited with, to the fen."""
    async with stack.container.database().unit_of_work() as uow:
        accounts = await uow.accounts.serving(stack.merchant.merchant_id, Mode.TEST)
        held = 0
        for account in (serving.account for serving in accounts):
            held += await uow.ledger.balance(
                Account(AccountKind.CHANNEL_RECEIVABLE, account.id, Mode.TEST, CNY, "BASIC")
            )
            held += await uow.ledger.balance(Account(AccountKind.SUSPENSE, account.id, Mode.TEST, CNY))
        held += await uow.ledger.balance(
            Account(AccountKind.MERCHANT_PENDING, stack.merchant.merchant_id, Mode.TEST, CNY)
        )
        held += await uow.ledger.balance(Account(AccountKind.FEE_INCOME, "platform", Mode.TEST, CNY))
    assert held == 0


async def test_metrics_count_what_came(stack: Stack) -> None:
    text = (await stack.http.get(f"{stack.web}/metrics")).text
    for outcome in (Outcome.CONFIRMED, Outcome.KNOWN, Outcome.HELD, Outcome.MISMATCH, "rejected"):
        assert f'outcome="{outcome}"' in text
