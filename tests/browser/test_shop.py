"""The main job with the eyes of a payer: shop, cashier, phone, and back, on the whole demo."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.integration.demo import Demo

ARTEFACTS = Path(__file__).parent / "artefacts"
PATIENCE = 60_000  # milliseconds


@pytest.mark.parametrize("wallet", ["支付宝", "微信支付"])
def test_a_payer_buys_pays_by_phone_and_comes_back_to_a_shop_that_knows(demo: Demo, page: Page, wallet: str) -> None:
    page.goto(f"{demo.sandbox}/shop")
    page.locator("button[value=keyboard]").click()
    expect(page).to_have_url(re.compile(re.escape(f"{demo.web}/pay/")))
    expect(page.get_by_text("¥129.83")).to_be_visible()
    page.get_by_role("button", name=wallet, exact=True).click()
    expect(page.get_by_role("img", name=f"使用{wallet}付款的二维码")).to_be_visible(timeout=PATIENCE)
    page.screenshot(path=ARTEFACTS / f"main_job_cashier_{wallet}.png")
    cashier = page.url

    with page.context.expect_page() as opened:  # the payer's phone is another screen
        page.evaluate(
            "address => window.open(address)", page.get_by_role("link", name="模拟支付").get_attribute("href")
        )
    phone = opened.value
    expect(phone.get_by_text("129.83")).to_be_visible()
    phone.screenshot(path=ARTEFACTS / f"main_job_phone_{wallet}.png")
    phone.locator("button[value=pay]").click()
    expect(phone.locator("[data-state=paid_now]")).to_be_visible()
    phone.close()

    expect(page.get_by_text("支付成功").first).to_be_visible(timeout=PATIENCE)
    assert page.url.startswith(cashier.partition("?")[0])
    page.screenshot(path=ARTEFACTS / f"main_job_paid_{wallet}.png")
    page.goto(f"{demo.sandbox}/shop")
    page.locator(".orders a").first.click()
    expect(page.locator("#order[data-status=paid]")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("order.paid")).to_be_visible(timeout=PATIENCE)
    page.screenshot(path=ARTEFACTS / f"main_job_shop_{wallet}.png")


def test_the_documents_of_the_api_open_offline(demo: Demo, page: Page) -> None:
    page.goto(f"{demo.web}/docs")
    expect(page.get_by_text("/v1/orders").first).to_be_visible(timeout=PATIENCE)
    page.screenshot(path=ARTEFACTS / "api_docs.png")
