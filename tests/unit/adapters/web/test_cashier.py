"""What a payer sees, in every state an order can be in."""

import html
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from domain.attempts import AttemptStatus
from domain.channels import Method, Mode
from domain.money import Money
from domain.orders import Order
from tests.fakes import ChannelFault, DatabaseFault
from tests.unit.adapters.web.cashier import Client, address, chosen, opened, token_in
from tests.unit.adapters.web.world import PHONE_URL, PUBLIC_URL, World

# ── Before the payment ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_page_names_amount_payee_and_subject(world: World, client: Client) -> None:
    page = await opened(client, await world.order(amount=Money(123_456_50)))
    assert "¥123,456.50" in page.text
    assert "火龙果咖啡" in page.text
    assert "机械键盘" in page.text


async def test_opening_the_page_starts_no_attempt(world: World, client: Client) -> None:
    order = await world.order()
    await opened(client, order)
    assert list(await world.house.attempts(order)) == []


async def test_the_script_may_start_the_first_method_only_while_there_is_none(world: World, client: Client) -> None:
    order = await world.order()
    assert "data-autostart" in (await opened(client, order)).text
    assert "data-autostart" not in (await chosen(client, order)).text


async def test_choosing_a_method_shows_its_code(world: World, client: Client) -> None:
    order = await world.order()
    page = await chosen(client, order, "wechat_native")
    [attempt] = await world.house.attempts(order)
    assert attempt.method is Method.WECHAT_NATIVE
    assert attempt.status is AttemptStatus.PENDING
    assert '<svg viewBox="0 0' in page.text
    assert "Scan with WeChat Pay to pay" in page.text


async def test_choosing_twice_is_one_attempt(world: World, client: Client) -> None:
    order = await world.order()
    await chosen(client, order)
    await chosen(client, order)
    assert len(await world.house.attempts(order)) == 1


async def test_another_method_closes_the_earlier_at_its_channel(world: World, client: Client) -> None:
    order = await world.order()
    await chosen(client, order, "wechat_native")
    page = await chosen(client, order, "alipay_qr")
    earlier, later = await world.house.attempts(order)
    assert earlier.status is AttemptStatus.CLOSED
    assert later.status is AttemptStatus.PENDING
    assert "Scan with Alipay to pay" in page.text


async def test_an_order_that_names_its_method_offers_no_other(world: World, client: Client) -> None:
    page = await opened(client, await world.order(method=Method.WECHAT_NATIVE))
    assert "method-wechat_native" in page.text
    assert "method-alipay_qr" not in page.text


async def test_a_method_whose_payer_needs_more_than_a_code_is_not_offered(client: Client, world: World) -> None:
    page = await opened(client, await world.order(method=Method.ALIPAY_WAP))
    assert "Nothing to pay with here" in page.text
    assert "data-autostart" not in page.text


async def test_inside_wechat_its_own_method_comes_first(world: World, client: Client) -> None:
    order = await world.order()
    usual = (await opened(client, order)).text
    inside = (await opened(client, order, **{"user-agent": "Mozilla/5.0 MicroMessenger/8.0"})).text
    assert usual.index("method-alipay_qr") < usual.index("method-wechat_native")
    assert inside.index("method-alipay_qr") > inside.index("method-wechat_native")


async def test_the_time_left_counts_down(world: World, client: Client) -> None:
    order = await world.order(expires_in=7200)
    assert ">2:00:00<" in (await opened(client, order)).text
    world.advance(7200 - 61)
    assert ">01:01<" in (await opened(client, order)).text


async def test_without_javascript_a_waiting_page_refreshes_itself(world: World, client: Client) -> None:
    order = await world.order()
    refresh = '<noscript><meta http-equiv="refresh"'
    assert refresh not in (await opened(client, order)).text
    assert refresh in (await chosen(client, order)).text
    await world.pay(order)
    assert refresh not in (await opened(client, order)).text


# ── What goes wrong ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fault", "title"),
    [
        (ChannelFault.UNAVAILABLE, "Alipay is not answering"),
        (ChannelFault.UNKNOWN_DONE, "No answer from Alipay yet"),
        (ChannelFault.REJECTED, "Alipay cannot take this payment"),
    ],
)
async def test_a_channels_failure_is_explained_and_can_be_tried_again(
    world: World, client: Client, fault: ChannelFault, title: str
) -> None:
    order = await world.order()
    world.house.alipay.faults.once(fault, "open")
    page = await chosen(client, order)
    assert title in page.text
    assert 'name="method" value="alipay_qr"' in page.text
    assert "data-autostart" not in page.text
    again = await client.post(address(order), data={"form_token": token_in(page), "method": "alipay_qr"})
    assert "Scan with Alipay to pay" in (await client.get(again.headers["location"])).text


async def test_trying_again_after_an_unknown_outcome_keeps_the_number(world: World, client: Client) -> None:
    order = await world.order()
    world.house.alipay.faults.once(ChannelFault.UNKNOWN_DONE, "open")
    await chosen(client, order)
    [unknown] = await world.house.attempts(order)
    await chosen(client, order)
    [pending] = await world.house.attempts(order)
    assert unknown.status is AttemptStatus.UNKNOWN
    assert pending.status is AttemptStatus.PENDING
    assert pending.number == unknown.number


async def test_an_earlier_method_that_will_not_close_stops_the_next(world: World, client: Client) -> None:
    order = await world.order()
    await chosen(client, order, "wechat_native")
    world.house.wechat.faults.once(ChannelFault.UNAVAILABLE, "close")
    page = await chosen(client, order, "alipay_qr")
    [attempt] = await world.house.attempts(order)
    assert attempt.method is Method.WECHAT_NATIVE
    assert "Scan with WeChat Pay to pay" in page.text  # what can be paid is what is shown


@pytest.mark.parametrize("method", ["alipay_wap", "nonsense", ""])
async def test_a_method_that_is_not_offered_is_refused(world: World, client: Client, method: str) -> None:
    order = await world.order()
    page = await chosen(client, order, method)
    assert "This payment method is not available" in page.text
    assert list(await world.house.attempts(order)) == []


async def test_a_problem_made_up_in_the_address_is_ignored(world: World, client: Client) -> None:
    order = await world.order()
    plain = (await client.get(address(order))).text
    for query in ("problem=<script>", "problem=stale", "method=<script>"):
        assert (await client.get(f"{address(order)}?{query}")).text == plain


async def test_a_problem_of_the_past_is_not_shown_over_a_code(world: World, client: Client) -> None:
    order = await world.order()
    await chosen(client, order)
    page = await client.get(f"{address(order)}?problem=unavailable&method=alipay_qr")
    assert "Scan with Alipay to pay" in page.text
    assert "is not answering" not in page.text


async def test_choosing_for_an_order_that_was_just_paid_shows_it_paid(world: World, client: Client) -> None:
    order = await world.order()
    stale = await chosen(client, order)
    await world.pay(order)
    answer = await client.post(address(order), data={"form_token": token_in(stale), "method": "wechat_native"})
    assert answer.headers["location"] == address(order)
    assert "Payment received" in (await client.get(answer.headers["location"])).text
    assert len(await world.house.attempts(order)) == 1


async def test_an_unknown_address_is_a_friendly_404(client: Client) -> None:
    for path in ("/pay/nobody", "/pay/%00", "/pay/%E6%94%AF", "/pay/a.b"):
        page = await client.get(path)
        assert page.status_code == 404
        assert "There is no such payment page" in page.text
    assert (await client.get("/pay/nobody/status")).status_code == 404
    assert (await client.get("/pay/nobody/events")).status_code == 404
    assert (await client.post("/pay/nobody", data={"method": "alipay_qr"})).status_code == 404


async def test_text_that_cannot_be_a_token_never_reaches_the_database(world: World, client: Client) -> None:
    world.house.database.faults.always = DatabaseFault.LOST_CONNECTION
    for path in ("/pay/%00", "/pay/%E6%94%AF", "/pay/a%27--", "/pay/a.b/status"):
        assert (await client.get(path)).status_code == 404
    assert (await client.get("/pay/nobody")).status_code == 503


async def test_while_the_database_is_away_the_page_asks_for_patience(world: World, client: Client) -> None:
    order = await world.order()
    world.house.database.faults.always = DatabaseFault.LOST_CONNECTION
    page = await client.get(address(order))
    assert page.status_code == 503
    assert "Please try again in a moment" in page.text
    status = await client.get(f"{address(order)}/status")
    assert status.status_code == 503
    assert status.json() == {"code": "temporarily_unavailable"}


# ── After ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_paid_order_shows_how_and_when_and_offers_no_method(world: World, client: Client) -> None:
    order = await world.order(return_url="https://shop.example/thanks?no=1&x=2")
    await chosen(client, order, "wechat_native")
    await world.pay(order)
    page = await opened(client, order)
    assert "Payment received" in page.text
    assert 'datetime="2026-11-22T04:00:00.000+00:00">2026-11-22 12:00:00' in page.text
    assert "WeChat Pay" in page.text
    assert 'href="https://shop.example/thanks?no=1&amp;x=2"' in page.text
    assert "form_token" not in page.text
    assert "<svg viewBox" not in page.text


async def test_past_its_deadline_an_order_shows_no_code_although_it_is_not_closed_yet(
    world: World, client: Client
) -> None:
    order = await world.order()
    await chosen(client, order)
    world.advance(900)
    page = await opened(client, order)
    assert "This order has expired" in page.text
    assert "<svg viewBox" not in page.text
    assert "data-final" not in page.text


async def test_money_that_came_in_the_last_second_still_shows(world: World, client: Client) -> None:
    order = await world.order()
    await chosen(client, order)
    world.house.alipay.pay((await world.house.attempts(order))[0].number)
    world.advance(901)
    assert "This order has expired" in (await opened(client, order)).text
    await world.house.expire_orders()
    assert "Payment received" in (await opened(client, order)).text


async def test_expired_and_closed_orders_say_which(world: World, client: Client) -> None:
    closed = await world.order()
    await world.house.close_order(closed.id, "merchant")
    expired = await world.order()
    await world.expire(expired)
    assert "This order is closed" in (await opened(client, closed)).text
    page = await opened(client, expired)
    assert "This order has expired" in page.text
    assert "data-final" in page.text


@pytest.mark.parametrize("state", ["pending", "paid", "expired", "closed"])
async def test_every_state_speaks_both_languages(world: World, client: Client, state: str) -> None:
    order = await world.order(return_url="https://shop.example/")
    await chosen(client, order)
    if state == "paid":
        await world.pay(order)
    elif state == "expired":
        await world.expire(order)
    elif state == "closed":
        await world.house.close_order(order.id, "merchant")
    titles = {
        "pending": ("Scan with Alipay to pay", "请使用支付宝扫码支付"),
        "paid": ("Payment received", "支付成功"),
        "expired": ("This order has expired", "订单已过期"),
        "closed": ("This order is closed", "订单已关闭"),
    }
    english = (await client.get(f"{address(order)}?lang=en")).text
    chinese = (await client.get(f"{address(order)}?lang=zh")).text
    assert titles[state][0] in english
    assert titles[state][1] in chinese
    assert '<html lang="en">' in english
    assert '<html lang="zh-CN">' in chinese


# ── Test mode ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_test_order_says_so_and_links_to_the_sandboxes_phone(world: World, client: Client) -> None:
    order = await world.order(Mode.TEST)
    assert "Sandbox: no real money moves" in (await opened(client, order)).text
    page = await chosen(client, order)
    [attempt] = await world.house.attempts(order)
    back = f"{PUBLIC_URL}/pay/{order.cashier_token}".replace(":", "%3A").replace("/", "%2F")
    code = f"https://qr.alipay.invalid/{attempt.number}".replace(":", "%3A").replace("/", "%2F")
    assert html.escape(f"{PHONE_URL}?code={code}&return={back}") in page.text


async def test_a_live_order_never_links_to_the_sandbox(world: World, client: Client) -> None:
    page = await chosen(client, await world.order(Mode.LIVE))
    assert "Sandbox" not in page.text
    assert PHONE_URL not in page.text


async def test_without_a_sandbox_a_test_order_has_no_phone(world: World) -> None:
    order = await world.order(Mode.TEST)
    await world.start(order)
    async with AsyncTestClient(world.app(sandbox_phone_url=None), base_url=PUBLIC_URL) as client:
        page = await client.get(f"{address(order)}?lang=en")
    assert "Sandbox: no real money moves" in page.text
    assert "Simulate payment" not in page.text


# ── Polling ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_status_tells_what_the_page_would_show(world: World, client: Client) -> None:
    async def status(order: Order) -> dict[str, Any]:
        answer = (await client.get(f"{address(order)}/status")).json()
        assert answer.pop("at") == int(world.house.clock.now().timestamp() * 1000)
        return dict(answer)

    order = await world.order()
    fresh = {"status": "pending", "final": False, "attempt": None, "expires_in_seconds": 900, "paid_at": None}
    assert await status(order) == fresh
    await chosen(client, order)
    [attempt] = await world.house.attempts(order)
    world.advance(10.5)
    assert await status(order) == {**fresh, "attempt": attempt.id, "expires_in_seconds": 890}
    await world.pay(order)
    paid = {**fresh, "status": "paid", "final": True, "expires_in_seconds": 0}
    assert await status(order) == {**paid, "paid_at": "2026-11-22T04:00:10.500+00:00"}

    late = await world.order()
    world.advance(900)
    assert await status(late) == {**fresh, "status": "expired", "expires_in_seconds": 0}
    await world.house.expire_orders()
    assert await status(late) == {**fresh, "status": "expired", "final": True, "expires_in_seconds": 0}


async def test_a_late_payment_that_is_accepted_turns_closed_into_paid(world: World, client: Client) -> None:
    order = await world.order()
    await world.start(order)
    async with world.house.database.unit_of_work() as uow:
        locked = await uow.orders.lock(order.id)
        now = world.house.clock.now()
        closed = locked.close("merchant", now=now)
        await uow.orders.save(
            replace(closed, events=()).pay(order.amount, method=Method.ALIPAY_QR, paid_at=now, now=now + timedelta(1))
        )
    assert "Payment received" in (await opened(client, order)).text
