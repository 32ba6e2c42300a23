"""Every way to pay, with the eyes of a payer: from the shop, at its till, at the cashier inside a wallet, by a code on
the counter; and money back. All of it on the whole demo.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.browser.barcodes import read_codes
from tests.integration.demo import Demo

ARTEFACTS = Path(__file__).parent / "artefacts"
BRIDGE = Path(__file__).parents[2] / "src" / "sandbox" / "static" / "bridge.js"
PATIENCE = 60_000  # milliseconds
DESK: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
AGENTS = {
    "alipay": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AliApp(AP/10.5.0) AlipayClient/10.5.0",
    "wechat": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148 MicroMessenger/8.0.44 NetType/WIFI",
    "phone": "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36",
}


def picture(page: Page, name: str) -> None:
    """For people to look at; and no page may be wider than its screen."""
    size = page.viewport_size
    assert size is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], name
    page.screenshot(path=ARTEFACTS / f"ways_{name}.png", full_page=True, animations="disabled")


@contextmanager
def phone(browser: Browser, demo: Demo, faults: list[str], agent: str) -> Iterator[Page]:
    """A browser on a phone; inside a wallet it has the bridge that the wallet puts into every page."""
    context: BrowserContext = browser.new_context(locale="zh-CN", viewport=PHONE, user_agent=AGENTS[agent])
    context.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: faults.append(str(error.error)))
    if agent != "phone":
        context.add_init_script(f'window.pitayaSandbox = "{demo.sandbox}";\n{BRIDGE.read_text()}')
    yield context.new_page()
    context.close()


def confirm(page: Page) -> None:
    """The payer's thumb, and back to where they came from."""
    page.locator("button[value=pay]").click()
    expect(page.locator("[data-state=paid_now]")).to_be_visible(timeout=PATIENCE)
    page.locator("section a.big").click()


def api(demo: Demo, method: str, path: str, **body: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {demo.key}"}
    answer = httpx.request(method, f"{demo.web}/v1{path}", json=body or None, headers=headers, timeout=30)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("method", "screen", "language"),
    [
        ("alipay_qr", DESK, "zh"),
        ("wechat_native", DESK, "en"),
        ("alipay_page", DESK, "zh"),
        ("alipay_wap", PHONE, "en"),
        ("wechat_h5", PHONE, "zh"),
        ("alipay_app", PHONE, "zh"),
        ("wechat_app", PHONE, "en"),
        ("alipay_jsapi", PHONE, "en"),
        ("wechat_jsapi", PHONE, "zh"),
        ("wechat_miniprogram", PHONE, "zh"),
    ],
)
def test_the_shop_is_paid_by(demo: Demo, page: Page, method: str, screen: ViewportSize, language: str) -> None:
    page.set_viewport_size(screen)
    page.goto(f"{demo.sandbox}/shop/checkout?product=coffee&lang={language}")
    page.locator(f"button[value={method}]").click()
    if method == "wechat_miniprogram":
        page.get_by_role("button", name="登录并下单").click()
    expect(page).to_have_url(re.compile(f"/pay[?]method={method}"), timeout=PATIENCE)
    picture(page, f"pay_{method}")
    if method in ("alipay_qr", "wechat_native"):
        (shown,) = read_codes(page.locator(".code-frame").screenshot())
        page.goto(f"{demo.sandbox}/phone?lang={language}")
        page.locator("textarea").fill(shown)
        page.get_by_role("button").click()
        page.locator("button[value=pay]").click()
        expect(page.locator("[data-state=paid_now]")).to_be_visible(timeout=PATIENCE)
        page.goto(f"{demo.sandbox}/shop?lang={language}")
        page.locator(".orders a").first.click()
    else:
        page.locator("#go").click()
        if method in ("alipay_page", "alipay_wap"):
            page.locator("[data-state=login] a").click()  # Alipay's own page, then its wallet
        confirm(page)
    expect(page.locator("#order[data-status=paid]")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("[data-event='order.paid']")).to_be_visible()
    expect(page.get_by_text("¥0.12")).to_be_visible()  # our fee
    picture(page, f"paid_{method}")


def test_the_shop_is_paid_in_parts_on_alipays_page_and_nowhere_else(demo: Demo, page: Page) -> None:
    page.goto(f"{demo.sandbox}/shop/checkout?product=keyboard")
    page.locator("select[name=instalments]").select_option("6")
    picture(page, "in_parts")
    page.locator("button[value=alipay_page]").click()
    expect(page).to_have_url(re.compile("/pay[?]method=alipay_page"), timeout=PATIENCE)
    number = page.url.split("/orders/")[1].split("/")[0]
    said = page.locator("input[name=biz_content]").input_value()
    assert json.loads(said)["extend_params"]["hb_fq_num"] == "6"
    page.locator("#go").click()
    page.locator("[data-state=login] a").click()
    confirm(page)
    expect(page.locator("#order[data-status=paid]")).to_be_visible(timeout=PATIENCE)
    page.goto(f"{demo.sandbox}/shop/checkout?product=keyboard")
    page.locator("select[name=instalments]").select_option("12")
    page.locator("button[value=alipay_qr]").click()
    expect(page).to_have_url(re.compile("/pay[?]method=alipay_qr"), timeout=PATIENCE)
    other = page.url.split("/orders/")[1].split("/")[0]
    orders = [api(demo, "GET", f"/orders?merchant_order_no={each}")["data"][0]["id"] for each in (number, other)]
    parts = [api(demo, "GET", f"/orders/{each}")["attempts"][0]["instalments"] for each in orders]
    assert parts == [6, None]


def test_the_till_takes_a_code_at_once(demo: Demo, page: Page) -> None:
    page.goto(f"{demo.sandbox}/shop/till?product=coffee")
    picture(page, "till")
    page.locator("[data-show=alipay]").click()
    expect(page.locator("[data-stands=paid]")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("heading", name="收款成功")).to_be_visible()
    expect(page.locator("#amount")).to_have_value("")  # ready for the next
    picture(page, "till_paid")


def test_the_till_waits_for_a_password_and_says_when_no_money_came(demo: Demo, page: Page) -> None:
    page.set_viewport_size(PHONE)
    page.goto(f"{demo.sandbox}/shop/till?lang=en")
    page.locator("#amount").fill("12.5")
    page.locator("#auth_code").fill("12345")
    page.keyboard.press("Enter")  # as a scanner does
    expect(page.get_by_text("This is no payment code")).to_be_visible(timeout=PATIENCE)
    page.locator("#wallet").select_option("poor")
    page.locator("[data-show=wechat]").click()
    expect(page.locator("[data-stands=again]")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("NOT_ENOUGH")).to_be_visible()
    picture(page, "till_no_money")
    page.locator("#wallet").select_option("asks")
    page.locator("[data-show=wechat]").click()
    expect(page.get_by_text("Waiting for the payer")).to_be_visible(timeout=PATIENCE)
    picture(page, "till_waits")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Take the payer's phone").click()
    wallet = opened.value
    wallet.locator("a.big").last.click()
    wallet.locator("button[value=pay]").click()
    expect(wallet.locator("[data-state=paid_now]")).to_be_visible(timeout=PATIENCE)
    wallet.close()
    expect(page.get_by_role("heading", name="Money received")).to_be_visible(timeout=PATIENCE)
    picture(page, "till_paid_after_password")


def test_a_sale_can_be_cancelled_at_the_till(demo: Demo, page: Page) -> None:
    page.goto(f"{demo.sandbox}/shop/till?product=sticker")
    page.locator("#wallet").select_option("poor")
    page.locator("[data-show=alipay]").click()
    page.get_by_role("button", name="取消这一笔").click()
    expect(page.get_by_role("heading", name="已取消")).to_be_visible(timeout=PATIENCE)


def test_an_order_is_refunded_in_part_and_then_whole(demo: Demo, page: Page) -> None:
    page.goto(f"{demo.sandbox}/shop/till?product=keyboard")
    page.locator("[data-show=alipay]").click()
    expect(page.locator("[data-stands=paid]")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("link", name="查看订单").click()
    expect(page.locator("#order[data-status=paid]")).to_be_visible(timeout=PATIENCE)
    page.locator("input[name=amount]").fill("500")
    page.get_by_role("button", name="退款").click()
    expect(page.get_by_text("超过了可退金额")).to_be_visible(timeout=PATIENCE)
    page.locator("input[name=amount]").fill("29.83")
    page.locator("input[name=reason]").fill("少了一个键帽")
    page.get_by_role("button", name="退款").click()
    expect(page.locator("[data-refund=succeeded]")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#refunded")).to_have_text("¥29.83", timeout=PATIENCE)  # by the webhook
    expect(page.get_by_text("少了一个键帽")).to_be_visible()
    picture(page, "refunded_in_part")
    expect(page.locator("input[name=amount]")).to_have_value("100.00")
    page.get_by_role("button", name="退款").click()
    expect(page.locator("[data-refund=succeeded]")).to_have_count(2, timeout=PATIENCE)
    expect(page.locator("#refunded")).to_have_text("¥129.83", timeout=PATIENCE)
    expect(page.locator(".refund")).to_have_count(0)
    picture(page, "refunded")


@pytest.mark.parametrize("wallet", ["alipay", "wechat"])
def test_one_code_on_the_counter_is_paid_inside_either_wallet(
    demo: Demo, browser: Browser, faults: list[str], wallet: str
) -> None:
    code = api(demo, "POST", "/codes", name="一号柜台")
    with phone(browser, demo, faults, wallet) as page:
        page.goto(code["url"])
        picture(page, f"counter_{wallet}")
        page.get_by_label("金额").fill("8.80")
        page.get_by_role("button").click()
        # The cashier finds out who pays, opens the payment and calls the wallet, all by itself.
        expect(page.locator("[data-state=payable]")).to_be_visible(timeout=PATIENCE)
        expect(page.get_by_text("¥8.80")).to_be_visible()
        confirm(page)
        expect(page.get_by_role("heading", name="支付成功")).to_be_visible(timeout=PATIENCE)
        picture(page, f"counter_paid_{wallet}")
    paid = api(demo, "GET", "/orders?limit=1")["data"][0]
    assert (paid["amount"], paid["method"], paid["metadata"]) == (880, f"{wallet}_jsapi", {"code": code["id"]})
    assert faults == []


def test_the_code_on_the_shops_counter_is_scanned_by_the_sandboxs_phone(demo: Demo, page: Page) -> None:
    page.goto(f"{demo.sandbox}/shop/counter")
    picture(page, "counter_code")
    (shown,) = read_codes(page.locator(".code-frame").screenshot())
    page.set_viewport_size(PHONE)
    page.goto(f"{demo.sandbox}/phone")
    page.locator("textarea").fill(shown)
    page.get_by_role("button").click()
    picture(page, "phone_opens_a_page")
    page.get_by_role("link", name="在微信里打开").click()
    page.get_by_label("金额").fill("6")
    page.get_by_role("button", name="去支付").click()
    expect(page.locator("[data-state=payable]")).to_be_visible(timeout=PATIENCE)
    confirm(page)
    expect(page.get_by_role("heading", name="支付成功")).to_be_visible(timeout=PATIENCE)
    assert api(demo, "GET", "/orders?limit=1")["data"][0]["method"] == "wechat_jsapi"


def test_the_cashier_on_a_desk_pays_in_instalments_at_alipays_page(demo: Demo, page: Page) -> None:
    order = api(demo, "POST", "/orders", merchant_order_no="huabei", amount=30_000, currency="CNY", subject="键盘")
    page.set_viewport_size(DESK)
    page.goto(order["cashier_url"])
    page.locator("#method-alipay_page").click()
    page.locator("input[name=instalments][value='3']").check()
    picture(page, "cashier_instalments")
    page.locator("#go").click()
    page.locator("[data-state=login] a").click()
    confirm(page)
    expect(page.get_by_role("heading", name="支付成功")).to_be_visible(timeout=PATIENCE)
    paid = api(demo, "GET", f"/orders/{order['id']}")
    assert (paid["method"], paid["attempts"][-1]["instalments"]) == ("alipay_page", 3)


@pytest.mark.parametrize("wallet", ["alipay", "wechat"])
def test_whoever_cancels_inside_a_wallet_can_go_on_by_the_simulated_phone(
    demo: Demo, browser: Browser, faults: list[str], wallet: str
) -> None:
    order = api(
        demo, "POST", "/orders", merchant_order_no=f"wallet-{wallet}", amount=1990, currency="CNY", subject="茶"
    )
    with phone(browser, demo, faults, wallet) as page:
        page.goto(order["cashier_url"])
        page.locator("button[value=leave]").click()
        page.locator("section a.big").click()
        expect(page.locator("#pay")).to_be_visible(timeout=PATIENCE)  # and the wallet is not called once more
        picture(page, f"cashier_inside_{wallet}")
        page.get_by_role("link", name="模拟支付").click()
        confirm(page)
        expect(page.get_by_role("heading", name="支付成功")).to_be_visible(timeout=PATIENCE)
    assert faults == []


@pytest.mark.parametrize(("name", "method"), [("支付宝", "alipay_wap"), ("微信支付", "wechat_h5")])
def test_the_cashier_in_a_phones_browser_goes_on_to_the_wallet(
    demo: Demo, browser: Browser, faults: list[str], name: str, method: str
) -> None:
    order = api(demo, "POST", "/orders", merchant_order_no=method, amount=1990, currency="CNY", subject="茶")
    with phone(browser, demo, faults, "phone") as page:
        page.goto(order["cashier_url"])
        picture(page, "cashier_on_a_phone")
        page.get_by_role("button", name=name).click()
        if method == "alipay_wap":
            page.locator("#go").click()
            page.locator("[data-state=login] a").click()
        confirm(page)
        expect(page.get_by_role("heading", name="支付成功")).to_be_visible(timeout=PATIENCE)
    assert api(demo, "GET", f"/orders/{order['id']}")["method"] == method
    assert faults == []
