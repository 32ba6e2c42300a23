"""What the cashier lets nobody do, whoever asks and whatever the order's texts are."""

import html
import re

import pytest
from litestar.testing import AsyncTestClient

from adapters.inbound.web.cashier import web_address
from domain.channels import Mode
from tests.unit.adapters.web.cashier import Client, address, chosen, opened, token_in
from tests.unit.adapters.web.world import World


@pytest.mark.parametrize("field", [None, "", "guessed", "中文"])
async def test_a_post_that_did_not_come_from_our_page_starts_nothing(
    world: World, client: Client, field: str | None
) -> None:
    order = await world.order()
    await opened(client, order)
    data = {"method": "alipay_qr"} if field is None else {"method": "alipay_qr", "form_token": field}
    page = await client.post(address(order), data=data)
    assert page.status_code == 403
    assert "This page was out of date" in page.text
    assert list(await world.house.attempts(order)) == []


async def test_a_post_without_the_cookie_starts_nothing(world: World, client: Client) -> None:
    order = await world.order()
    page = await opened(client, order)
    client.cookies.clear()
    answer = await client.post(address(order), data={"form_token": token_in(page), "method": "alipay_qr"})
    assert answer.status_code == 403
    assert list(await world.house.attempts(order)) == []


async def test_two_tabs_of_one_browser_can_both_choose(world: World, client: Client) -> None:
    order = await world.order()
    first, second = await opened(client, order), await opened(client, order)
    for page in (second, first):
        answer = await client.post(address(order), data={"form_token": token_in(page), "method": "alipay_qr"})
        assert answer.status_code == 303


async def test_over_tls_the_cookies_are_secure_and_bound_to_the_host(world: World) -> None:
    order = await world.order()
    app = world.app(public_url="https://pay.example")
    async with AsyncTestClient(app, base_url="https://pay.example") as client:
        page = await client.get(f"{address(order)}?lang=en")
        cookies = page.headers.get_list("set-cookie")
    guard = next(cookie for cookie in cookies if cookie.startswith("__Host-pitaya_form="))
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(guard.split("; "))
    assert all("Secure" in cookie for cookie in cookies)


HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}%(x)s&amp;"


async def test_hostile_text_stays_text(client: Client, world: World) -> None:
    world.payee = HOSTILE
    await world.furnish()
    order = await world.order(subject=HOSTILE, merchant_order_no=HOSTILE, locale=HOSTILE)
    for page in (await opened(client, order), await chosen(client, order)):
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert page.text.count(html.escape(HOSTILE, quote=False).replace('"', "&#34;").replace("'", "&#39;")) == 4


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\nscript:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "//evil.example/",
        "/relative",
        "https:",
        "https:///path",
        "http://[broken",
        "https://shop.example/\nx",
        "",
    ],
)
async def test_only_a_web_address_becomes_a_link_back(world: World, client: Client, url: str) -> None:
    assert web_address(url) is None
    order = await world.order(return_url=url)
    await chosen(client, order)
    assert "Cancel and return" not in (await opened(client, order)).text
    await world.pay(order)
    page = (await opened(client, order)).text
    assert "Return to the merchant" not in page
    assert "You can close this page." in page


def test_web_addresses_are_kept_as_they_are() -> None:
    for url in ("https://shop.example/a?b=c&d=%E6%94%AF#e", "http://localhost:8080", "HTTPS://SHOP.EXAMPLE/"):
        assert web_address(url) == url
    assert web_address(None) is None


async def test_the_page_is_kept_by_nobody_and_leaks_to_nobody(world: World, client: Client) -> None:
    order = await world.order()
    pages = [
        await client.get(address(order)),
        await client.get(f"{address(order)}/status"),
        await client.get("/pay/nobody"),
        await client.post(address(order), data={}),
    ]
    for page in pages:
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert "noindex" in page.headers["x-robots-tag"]
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]


async def test_nothing_on_the_page_needs_a_looser_policy_or_another_host(world: World, client: Client) -> None:
    order = await world.order(Mode.TEST, return_url="https://shop.example/")
    await chosen(client, order)
    waiting = (await opened(client, order)).text
    await world.pay(order)
    for page in (waiting, (await opened(client, order)).text):
        assert not re.search(r"<[^>]+\s(style|on\w+)=", page)
        assert not re.search(r"<script(?![^>]*\bsrc=)", page)
        loaded = re.findall(r'(?:src|<link[^>]*href)="([^"]*)"', page)
        assert loaded
        assert all(each.startswith("/assets/") for each in loaded)


async def test_an_order_number_or_id_opens_no_page(world: World, client: Client) -> None:
    order = await world.order()
    for guess in (order.id, order.request.merchant_order_no, order.cashier_token.lower()):
        assert (await client.get(f"/pay/{guess}")).status_code == 404
    page = await opened(client, order)
    assert order.id not in page.text
