"""The cashier in a real browser: our router on fakes behind a real server, payers who pay when the test says so.

Screenshots of every state are left in tests/browser/artefacts for people to look at.
"""

import asyncio
import re
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar, get
from playwright.sync_api import Browser, Page, expect

from adapters.inbound.web.cashier import build_cashier
from domain.channels import Method, Mode
from domain.money import Money
from domain.orders import Order
from tests.browser.barcodes import read_codes
from tests.fakes import ChannelFault
from tests.unit.adapters.web.world import World

T = TypeVar("T")

# Text that a card with hidden overflow would cut off.
OUTSIDE_THE_SLIP = """() => {
  const edge = document.querySelector(".slip").getBoundingClientRect();
  const outside = (box) => box.width > 0 && (box.right > edge.right || box.left < edge.left);
  const parts = [...document.querySelectorAll(".slip *")].filter((part) => outside(part.getBoundingClientRect()));
  return parts.map((part) => part.outerHTML.slice(0, 80));
}"""

ARTEFACTS = Path(__file__).parent / "artefacts"


@get("/shop", media_type="text/html", sync_to_thread=False)
def storefront() -> str:
    """Where a merchant has its payers return to."""
    return "<!doctype html><title>Shop</title><link rel=icon href=data:,><h1>Thank you</h1>"


class SkippingClock:
    """The real time, plus what a test has skipped."""

    def __init__(self) -> None:
        self.skipped = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.skipped


class Shopkeeper:
    """The world on its server's event loop, played from the test's thread."""

    def __init__(self) -> None:
        self.clock = SkippingClock()
        self.world = World(self.clock)
        self.loop = asyncio.new_event_loop()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        cashier = build_cashier(self.world.parts(public_url=self.url, sandbox_phone_url=f"{self.url}/phone"))
        app = Litestar([cashier, storefront], logging_config=None)
        self._server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, log_enabled=False)
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._server.serve())

    def open(self) -> None:
        self._thread.start()
        self.do(self.world.furnish())
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "the server does not start"
                time.sleep(0.05)

    def shut(self) -> None:
        self.loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(10)
        assert not self._thread.is_alive(), "open streams keep the server from stopping"
        self.loop.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def order(self, **asked: Any) -> Order:
        return self.do(self.world.order(**asked))

    def cashier(self, order: Order) -> str:
        return f"{self.url}/pay/{order.cashier_token}"

    def code(self, order: Order) -> str:
        action = self.do(self.world.house.attempts(order))[-1].action
        assert action is not None
        return action.value


@pytest.fixture(scope="module")
def shop() -> Iterator[Shopkeeper]:
    shopkeeper = Shopkeeper()
    shopkeeper.open()
    yield shopkeeper
    shopkeeper.shut()


def picture(page: Page, name: str) -> None:
    page.wait_for_timeout(700)  # for the eye only: the entrance ends; nothing is asserted on it
    page.screenshot(path=ARTEFACTS / f"cashier_{name}.png", full_page=True)


def read_code(page: Page) -> str:
    """What a payer's camera sees."""
    frame = page.locator(".code-frame")
    expect(frame).to_be_visible()
    codes = read_codes(frame.screenshot(animations="disabled"))
    assert len(codes) == 1, codes
    return codes[0]


def test_the_code_on_the_screen_is_the_channels_code(page: Page, shop: Shopkeeper) -> None:
    order = shop.order(mode=Mode.TEST, return_url=f"{shop.url}/shop")
    page.goto(shop.cashier(order))
    assert read_code(page) == shop.code(order)
    picture(page, "zh")


def test_a_page_that_only_a_crawler_opens_starts_nothing(browser: Browser, shop: Shopkeeper) -> None:
    order = shop.order()
    context = browser.new_context(java_script_enabled=False)
    crawler = context.new_page()
    crawler.goto(shop.cashier(order))
    expect(crawler.locator(".methods button")).to_have_count(2)
    context.close()
    assert list(shop.do(shop.world.house.attempts(order))) == []


def test_another_tab_shows_another_channels_code_and_closes_the_first(page: Page, shop: Shopkeeper) -> None:
    order = shop.order()
    page.goto(shop.cashier(order))
    first = read_code(page)
    page.get_by_role("button", name="微信支付").click()
    expect(page.get_by_text("请使用微信支付扫码支付")).to_be_visible()
    second = read_code(page)
    assert second != first
    assert second == shop.code(order)
    expect(page.get_by_role("button", name="微信支付")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="支付宝").click()
    expect(page.get_by_text("请使用支付宝扫码支付")).to_be_visible()
    wechat = next(a for a in shop.do(shop.world.house.attempts(order)) if a.method is Method.WECHAT_NATIVE)
    assert not wechat.live


def test_the_payment_shows_in_less_than_a_second(page: Page, shop: Shopkeeper) -> None:
    order = shop.order()
    page.goto(shop.cashier(order))
    read_code(page)
    started = time.monotonic()
    shop.do(shop.world.pay(order))
    expect(page.get_by_role("heading", name="支付成功")).to_be_visible(timeout=1000)
    assert time.monotonic() - started < 1
    expect(page.locator("#announcer")).to_have_text("支付成功")
    picture(page, "paid")


def test_the_payment_shows_although_every_hint_is_lost(page: Page, shop: Shopkeeper) -> None:
    order = shop.order()
    page.goto(shop.cashier(order))
    read_code(page)
    shop.world.hints.lost = True
    try:
        shop.do(shop.world.pay(order))
        expect(page.get_by_role("heading", name="支付成功")).to_be_visible(timeout=2000)
    finally:
        shop.world.hints.lost = False


def test_without_a_stream_the_page_polls(browser: Browser, shop: Shopkeeper) -> None:
    order = shop.order()
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.route("**/events", lambda route: route.fulfill(status=503))
    page.goto(shop.cashier(order))
    read_code(page)
    shop.do(shop.world.pay(order))
    expect(page.get_by_role("heading", name="支付成功")).to_be_visible(timeout=4000)
    context.close()


def test_after_the_payment_the_payer_is_taken_back_once(page: Page, shop: Shopkeeper) -> None:
    order = shop.order(return_url=f"{shop.url}/shop")
    page.goto(shop.cashier(order))
    read_code(page)
    shop.do(shop.world.pay(order))
    expect(page.get_by_text("秒后返回商户")).to_be_visible()
    page.wait_for_url("**/shop", timeout=6000)
    page.go_back()
    expect(page.get_by_role("heading", name="支付成功")).to_be_visible()
    assert not page.get_by_text("秒后返回商户").is_visible()


def test_the_payer_may_stay(page: Page, shop: Shopkeeper) -> None:
    order = shop.order(return_url=f"{shop.url}/shop")
    page.goto(shop.cashier(order))
    read_code(page)
    shop.do(shop.world.pay(order))
    page.get_by_role("button", name="留在此页").click()
    expect(page.get_by_text("秒后返回商户")).to_be_hidden()
    page.reload()
    expect(page.get_by_role("link", name="返回商户")).to_be_visible()
    assert not page.get_by_text("秒后返回商户").is_visible()


def test_the_clock_runs_down_to_expired(page: Page, shop: Shopkeeper) -> None:
    order = shop.order(expires_in=4)
    page.goto(shop.cashier(order))
    read_code(page)
    expect(page.get_by_role("timer")).to_have_text(re.compile("00:0[12]"))
    expect(page.get_by_role("heading", name="订单已过期")).to_be_visible(timeout=6000)
    expect(page.locator(".code-frame")).to_have_count(0)
    picture(page, "expired")


def test_an_order_closed_by_its_merchant_is_shown_closed(page: Page, shop: Shopkeeper) -> None:
    order = shop.order(return_url=f"{shop.url}/shop")
    page.goto(shop.cashier(order))
    read_code(page)
    shop.do(shop.world.house.close_order(order.id, "merchant"))
    expect(page.get_by_role("heading", name="订单已关闭")).to_be_visible(timeout=2000)
    picture(page, "closed")


def test_a_payer_who_is_faster_than_the_first_choice_is_not_overruled(page: Page, shop: Shopkeeper) -> None:
    order = shop.order()
    shop.world.house.alipay.faults.once(ChannelFault.SLOW, "open")
    page.goto(shop.cashier(order))
    page.get_by_role("button", name="微信支付").click()
    expect(page.get_by_text("请使用微信支付扫码支付")).to_be_visible(timeout=10_000)
    assert read_code(page) == shop.code(order)


def test_trying_again_after_an_unknown_outcome_repeats_the_same_attempt(page: Page, shop: Shopkeeper) -> None:
    order = shop.order()
    shop.world.house.alipay.faults.once(ChannelFault.UNKNOWN_DONE, "open")
    page.goto(shop.cashier(order))
    expect(page.get_by_role("heading", name="尚未收到支付宝的结果")).to_be_visible()
    picture(page, "unknown")
    page.get_by_role("button", name="重试").click()
    assert read_code(page) == shop.code(order)
    assert len(shop.do(shop.world.house.attempts(order))) == 1


def test_one_click_changes_the_language_and_it_stays(page: Page, shop: Shopkeeper) -> None:
    order = shop.order(mode=Mode.TEST, subject="Mechanical keyboard", return_url=f"{shop.url}/shop")
    page.goto(shop.cashier(order))
    page.get_by_role("link", name="English").click()
    expect(page.get_by_text("Scan with Alipay to pay")).to_be_visible()
    picture(page, "en")
    page.get_by_role("button", name="WeChat Pay").click()
    expect(page.get_by_text("Scan with WeChat Pay to pay")).to_be_visible()
    page.goto(shop.cashier(order))
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_the_keyboard_is_enough(page: Page, shop: Shopkeeper) -> None:
    order = shop.order()
    page.goto(shop.cashier(order))
    read_code(page)
    page.get_by_role("button", name="支付宝").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("请使用微信支付扫码支付")).to_be_visible()
    expect(page.get_by_role("button", name="微信支付")).to_be_focused()


def test_the_simulate_button_leads_to_the_phone_with_this_code(page: Page, shop: Shopkeeper) -> None:
    order = shop.order(mode=Mode.TEST)
    page.goto(shop.cashier(order))
    code = read_code(page)
    address = page.get_by_role("link", name="模拟支付").get_attribute("href")
    assert address is not None
    assert parse_qs(urlsplit(address).query) == {"code": [code], "return": [shop.cashier(order)]}


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_needs_no_sideways_scrolling(page: Page, shop: Shopkeeper, width: int, language: str) -> None:
    subject = (
        "A very long subject " * 5 + "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
    )
    order = shop.order(mode=Mode.TEST, amount=Money(123_456_789_01), subject=subject, return_url=f"{shop.url}/shop")
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{shop.cashier(order)}?lang={language}")
    read_code(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OUTSIDE_THE_SLIP) == []
    picture(page, f"phone_{width}_{language}")


def test_a_low_screen_shows_the_whole_slip(page: Page, shop: Shopkeeper) -> None:
    order = shop.order(mode=Mode.TEST, return_url=f"{shop.url}/shop")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(shop.cashier(order))
    read_code(page)
    assert page.evaluate("document.documentElement.scrollHeight") <= 720


def test_the_code_can_be_read_in_the_dark(browser: Browser, shop: Shopkeeper) -> None:
    order = shop.order(mode=Mode.TEST, return_url=f"{shop.url}/shop")
    context = browser.new_context(locale="zh-CN", color_scheme="dark")
    page = context.new_page()
    page.goto(shop.cashier(order))
    assert read_code(page) == shop.code(order)
    picture(page, "dark")
    shop.do(shop.world.pay(order))
    expect(page.get_by_role("heading", name="支付成功")).to_be_visible()
    picture(page, "dark_paid")
    context.close()


def test_all_of_it_works_without_javascript(browser: Browser, shop: Shopkeeper) -> None:
    order = shop.order()
    context = browser.new_context(locale="zh-CN", java_script_enabled=False)
    page = context.new_page()
    page.goto(shop.cashier(order))
    page.get_by_role("button", name="支付宝").click()
    assert read_code(page) == shop.code(order)
    shop.do(shop.world.pay(order))
    expect(page.get_by_role("heading", name="支付成功")).to_be_visible(timeout=8000)
    context.close()


def test_a_wrong_address_says_so_kindly(browser: Browser, shop: Shopkeeper) -> None:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    answer = page.goto(f"{shop.url}/pay/nobody")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", name="没有找到这个支付页面")).to_be_visible()
    picture(page, "lost")
    context.close()
