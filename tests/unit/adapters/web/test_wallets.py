"""The cashier on every device: what it offers, how a wallet's login leads to a payment, and who may see it."""

import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from litestar.testing import AsyncTestClient

from adapters.inbound.web.devices import Device, choices
from adapters.inbound.web.forms import FIELD
from adapters.inbound.web.logins import BACK
from domain.attempts import Attempt
from domain.channels import ChannelAccount, Method, Mode
from domain.orders import Order
from tests.fakes.channel import ChannelFault
from tests.unit.adapters.apps import SharedApp
from tests.unit.adapters.web.world import PUBLIC_URL, World

Client = AsyncTestClient[SharedApp]

WECHAT = "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.54"
ALIPAY = "Mozilla/5.0 (Linux; Android 14) Chrome/120 Mobile AlipayClient/10.6.0"
PHONE = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120 Mobile Safari/537.36"
DESK = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120 Safari/537.36"
EVERY = frozenset(Method)


async def furnished(world: World) -> Order:
    await world.furnish(EVERY)
    return await world.order()


async def form_token(client: Client, path: str) -> str:
    found = re.search(rf'name="{FIELD}" value="([^"]+)"', (await client.get(path)).text)
    assert found is not None
    return found[1]


async def login(client: Client, order: Order, method: Method) -> dict[str, str]:
    """To the wallet's login; what it would send back besides a code."""
    answer = await client.get(f"/pay/{order.cashier_token}/payer", params={"method": method}, follow_redirects=False)
    assert answer.status_code == 303
    asked = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    assert asked["redirect_uri"] == PUBLIC_URL + BACK, "one address for all orders, and no other"
    return {"state": asked["state"]}


async def the_attempt(world: World, order: Order) -> Attempt:
    (attempt,) = await world.house.attempts(order)
    return attempt


@pytest.mark.parametrize(
    ("agent", "device", "offered"),
    [
        (DESK, Device.DESK, [Method.ALIPAY_QR, Method.WECHAT_NATIVE, Method.ALIPAY_PAGE]),
        (PHONE, Device.PHONE, [Method.ALIPAY_WAP, Method.WECHAT_H5]),
        (WECHAT, Device.WECHAT, [Method.WECHAT_JSAPI]),
        (ALIPAY, Device.ALIPAY, [Method.ALIPAY_JSAPI]),
        ("", Device.DESK, [Method.ALIPAY_QR, Method.WECHAT_NATIVE, Method.ALIPAY_PAGE]),
    ],
)
def test_each_device_has_its_own_ways(agent: str, device: Device, offered: list[Method]) -> None:
    assert Device.of(agent) is device
    assert choices(device, EVERY) == offered


@pytest.mark.parametrize("agent", [DESK, PHONE, WECHAT, ALIPAY])
def test_codes_to_scan_are_offered_where_nothing_better_is(agent: str) -> None:
    codes = {Method.ALIPAY_QR, Method.WECHAT_NATIVE}
    assert set(choices(Device.of(agent), codes)) == codes


@pytest.mark.parametrize(("agent", "method"), [(WECHAT, Method.WECHAT_JSAPI), (ALIPAY, Method.ALIPAY_JSAPI)])
async def test_one_address_serves_both_wallets(world: World, client: Client, agent: str, method: Method) -> None:
    order = await furnished(world)
    client.headers["user-agent"] = agent
    page = f"/pay/{order.cashier_token}"
    assert f"{page}/payer?method={method}" in (await client.get(page)).text
    state = await login(client, order, method)
    code = {"auth_code" if method is Method.ALIPAY_JSAPI else "code": "login-7"}
    answer = await client.get(BACK, params=state | code, follow_redirects=True)
    assert answer.url.path == page
    attempt = await the_attempt(world, order)
    assert (attempt.method, attempt.payer_id) == (method, f"{method.channel}-app-{method.channel}-7")
    assert 'id="pay"' in answer.text
    assert f'data-sdk="{method.channel}"' in answer.text


async def test_a_payment_opened_for_one_payer_is_shown_to_no_other(world: World, client: Client) -> None:
    order = await furnished(world)
    client.headers["user-agent"] = WECHAT
    await client.get(BACK, params=await login(client, order, Method.WECHAT_JSAPI) | {"code": "login-7"})
    client.cookies.clear()
    page = (await client.get(f"/pay/{order.cashier_token}")).text
    assert 'id="pay"' not in page
    assert 'id="identify"' in page


async def test_a_second_payer_gets_a_payment_of_their_own(world: World, client: Client) -> None:
    order = await furnished(world)
    client.headers["user-agent"] = WECHAT
    await client.get(BACK, params=await login(client, order, Method.WECHAT_JSAPI) | {"code": "login-7"})
    client.cookies.clear()
    await client.get(BACK, params=await login(client, order, Method.WECHAT_JSAPI) | {"code": "login-8"})
    first, second = await world.house.attempts(order)
    assert (first.live, second.live) == (False, True)
    assert second.payer_id != first.payer_id


async def test_a_state_works_once(world: World, client: Client) -> None:
    order = await furnished(world)
    client.headers["user-agent"] = WECHAT
    state = await login(client, order, Method.WECHAT_JSAPI)
    cookies = dict(client.cookies)
    await client.get(BACK, params=state | {"code": "login-7"})
    client.cookies.update(cookies)
    await client.get(BACK, params=state | {"code": "login-8"})
    assert (await the_attempt(world, order)).payer_id == "wechat-app-wechat-7"


async def test_a_state_works_in_the_browser_that_asked_for_it_alone(world: World, client: Client) -> None:
    order = await furnished(world)
    client.headers["user-agent"] = WECHAT
    state = await login(client, order, Method.WECHAT_JSAPI)
    client.cookies.clear()
    assert (await client.get(BACK, params=state | {"code": "login-7"})).status_code == 404
    assert await world.house.attempts(order) == []


async def test_a_state_of_one_order_does_not_fit_another(world: World, client: Client) -> None:
    order = await furnished(world)
    other = await world.order()
    client.headers["user-agent"] = WECHAT
    state = await login(client, order, Method.WECHAT_JSAPI)
    await login(client, other, Method.WECHAT_JSAPI)  # its cookie takes the place of the first
    assert (await client.get(BACK, params=state | {"code": "login-7"})).status_code == 404


async def test_a_state_is_short_lived(world: World, client: Client) -> None:
    order = await furnished(world)
    client.headers["user-agent"] = WECHAT
    state = await login(client, order, Method.WECHAT_JSAPI)
    world.advance(601)
    assert (await client.get(BACK, params=state | {"code": "login-7"})).status_code == 404


@pytest.mark.parametrize("state", ["", "x", "0" * 40, "é"])
async def test_a_made_up_state_leads_nowhere(world: World, client: Client, state: str) -> None:
    await furnished(world)
    assert (await client.get(BACK, params={"state": state, "code": "login-7"})).status_code == 404


async def test_the_way_back_is_ours_whatever_the_address_says(world: World, client: Client) -> None:
    order = await furnished(world)
    client.headers["user-agent"] = WECHAT
    asked = await login(client, order, Method.WECHAT_JSAPI)
    evil = {"redirect_uri": "https://evil.example", "return": "https://evil.example", "token": "https://evil.example"}
    answer = await client.get(BACK, params=asked | evil | {"code": "login-7"}, follow_redirects=False)
    assert answer.headers["location"] == f"/pay/{order.cashier_token}"


@pytest.mark.parametrize("code", [None, "wrong"])
async def test_a_payer_whom_the_wallet_does_not_name_can_try_again(
    world: World, client: Client, code: str | None
) -> None:
    order = await furnished(world)
    client.headers["user-agent"] = WECHAT
    asked = await login(client, order, Method.WECHAT_JSAPI)
    answer = await client.get(BACK, params=asked | ({"code": code} if code else {}), follow_redirects=True)
    assert 'id="retry"' in answer.text
    assert f"/pay/{order.cashier_token}/payer?method=wechat_jsapi" in answer.text
    assert await world.house.attempts(order) == []


async def test_a_login_that_the_channel_does_not_answer_can_be_tried_again(world: World, client: Client) -> None:
    order = await furnished(world)
    client.headers["user-agent"] = WECHAT
    world.house.wechat.faults.once(ChannelFault.UNAVAILABLE, "payer_id")
    answer = await client.get(
        BACK, params=await login(client, order, Method.WECHAT_JSAPI) | {"code": "login-7"}, follow_redirects=True
    )
    assert 'id="retry"' in answer.text


async def test_a_paid_order_asks_nobody_who_they_are(world: World, client: Client) -> None:
    order = await furnished(world)
    await world.start(order)
    await world.pay(order)
    client.headers["user-agent"] = WECHAT
    page = f"/pay/{order.cashier_token}"
    answer = await client.get(f"{page}/payer?method=wechat_jsapi", follow_redirects=False)
    assert answer.headers["location"] == page


async def test_a_form_cannot_choose_what_needs_a_login(world: World, client: Client) -> None:
    order = await furnished(world)
    client.headers["user-agent"] = WECHAT
    page = f"/pay/{order.cashier_token}"
    await client.get(page)
    cookie = client.cookies["pitaya_form"]
    await client.post(page, data={FIELD: cookie, "method": "wechat_jsapi"})
    assert await world.house.attempts(order) == []


async def test_alipays_page_asks_how_before_anything_is_opened(world: World, client: Client) -> None:
    order = await furnished(world)
    path = f"/pay/{order.cashier_token}"
    token = await form_token(client, path)
    page = (await client.post(path, data={FIELD: token, "method": "alipay_page"}, follow_redirects=True)).text
    assert 'name="instalments" value="12"' in page
    assert await world.house.attempts(order) == []
    await client.post(path, data={FIELD: token, "method": "alipay_page", "go": "yes", "instalments": "6"})
    attempt = await the_attempt(world, order)
    assert (attempt.method, attempt.instalments) == (Method.ALIPAY_PAGE, 6)
    assert attempt.return_url == f"{PUBLIC_URL}/pay/{order.cashier_token}"
    assert attempt.payer_ip == "203.0.113.7"


async def test_other_instalments_are_another_payment(world: World, client: Client) -> None:
    order = await furnished(world)
    path = f"/pay/{order.cashier_token}"
    chosen = {FIELD: await form_token(client, path), "method": "alipay_page", "go": "yes"}
    await client.post(path, data=chosen | {"instalments": "6"})
    await client.post(path, data=chosen | {"instalments": "3"})
    await client.post(path, data=chosen | {"instalments": "4"})
    assert [each.instalments for each in await world.house.attempts(order)] == [6, 3, None]


async def test_a_channels_form_may_be_sent_to_its_gateway_alone(world: World) -> None:
    order = await furnished(world)
    async with AsyncTestClient(
        world.app(form_targets=("https://openapi.alipay.com", "https://*.alipay.com"))
    ) as client:
        policy = (await client.get(f"/pay/{order.cashier_token}")).headers["content-security-policy"]
    assert "form-action 'self' https://openapi.alipay.com https://*.alipay.com;" in policy


async def joined_by_another(world: World, order: Order, method: Method) -> ChannelAccount:
    """Another account serves first from now on, under another app."""
    async with world.house.identify_payer.unit_of_work() as uow:
        serving = await uow.accounts.serving(order.merchant_id, order.mode)
        first = next(each.access for each in serving if method in each.account.methods)
        credential = replace(first.credential, id=world.house.ids.new("crd"), app_id="another-app")
        account = replace(
            first.account, id=world.house.ids.new("cha"), credential_id=credential.id, payee="another", priority=9
        )
        await uow.accounts.add_credential(credential)
        await uow.accounts.add(account)
    return account


@pytest.mark.parametrize("method", [Method.WECHAT_JSAPI, Method.ALIPAY_JSAPI])
async def test_a_payer_stays_with_the_app_that_knows_them_though_routing_moves(
    world: World, client: Client, method: Method
) -> None:
    order = await furnished(world)
    client.headers["user-agent"] = WECHAT if method is Method.WECHAT_JSAPI else ALIPAY
    state = await login(client, order, method)
    better = await joined_by_another(world, order, method)
    code = {"auth_code" if method is Method.ALIPAY_JSAPI else "code": "login-7"}
    await client.get(BACK, params=state | code)
    attempt = await the_attempt(world, order)
    assert attempt.payer_id == f"{method.channel}-app-{method.channel}-7"
    assert attempt.account_id != better.id


async def test_an_app_that_nobody_offers_any_more_sends_the_payer_to_log_in_again(world: World, client: Client) -> None:
    order = await furnished(world)
    client.headers["user-agent"] = WECHAT
    state = await login(client, order, Method.WECHAT_JSAPI)
    await joined_by_another(world, order, Method.WECHAT_JSAPI)
    async with world.house.identify_payer.unit_of_work() as uow:
        for each in await uow.accounts.serving(order.merchant_id, order.mode):
            if each.access.credential.app_id == "app-wechat":
                await uow.accounts.save(replace(each.account, enabled=False))
    answer = await client.get(BACK, params=state | {"code": "login-7"}, follow_redirects=True)
    assert 'id="identify"' in answer.text
    assert list(await world.house.attempts(order)) == []


async def test_the_code_of_one_wallet_is_not_taken_for_the_others(world: World, client: Client) -> None:
    order = await furnished(world)
    client.headers["user-agent"] = ALIPAY
    state = await login(client, order, Method.ALIPAY_JSAPI)
    answer = await client.get(BACK, params=state | {"code": "login-7"}, follow_redirects=True)
    assert answer.url.params["problem"] == "not_identified"


async def test_the_sandboxs_phone_says_by_the_address_which_wallet_it_is(world: World, client: Client) -> None:
    await world.furnish(EVERY)
    order = await world.order(Mode.TEST)
    page = f"/pay/{order.cashier_token}"
    client.headers["user-agent"] = DESK
    assert f"{page}/payer?method=wechat_jsapi" in (await client.get(page, params={"inside": "wechat"})).text
    assert f"{page}/payer?method=wechat_jsapi" in (await client.get(page)).text, "and it stays so"
    await client.get(BACK, params=await login(client, order, Method.WECHAT_JSAPI) | {"code": "login-7"})
    assert 'data-phone="' in (await client.get(page)).text, "the phone takes the place of the wallet's bridge"


@pytest.mark.parametrize("said", ["wechat", "desk", "nonsense"])
async def test_with_real_money_only_the_browser_says_where_it_is(world: World, client: Client, said: str) -> None:
    order = await furnished(world)
    client.headers["user-agent"] = DESK
    page = await client.get(f"/pay/{order.cashier_token}", params={"inside": said})
    assert "/payer?method=" not in page.text
    assert "pitaya_inside" not in page.cookies


async def test_a_payer_with_a_code_on_the_screen_can_still_choose_instalments(world: World, client: Client) -> None:
    await world.furnish(EVERY)
    order = await world.order()
    client.headers["user-agent"] = DESK
    page = f"/pay/{order.cashier_token}"
    fields = {FIELD: await form_token(client, page), "method": Method.ALIPAY_QR}
    assert "code-frame" in (await client.post(page, data=fields, follow_redirects=True)).text
    chosen = await client.post(page, data=fields | {"method": Method.ALIPAY_PAGE}, follow_redirects=True)
    assert 'name="instalments" value="3"' in chosen.text
    assert "code-frame" not in chosen.text
    assert "code-frame" in (await client.get(page)).text, "nothing is decided yet"
