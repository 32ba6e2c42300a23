"""The sandbox's faces for people, the phone and the shop, and how its process behaves."""

import asyncio
import contextlib
import json
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from standardwebhooks import Webhook

from tests.unit.sandbox.box import Control, Merchant, free_port, listening, new_key, new_number, running

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with running(port, tmp_path_factory.mktemp("sandbox")):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def control(base: str) -> Control:
    return Control(base)


@pytest.fixture
async def browser(base: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=base, trust_env=False, headers={"accept-language": "en"}) as client:
        yield client


@pytest.fixture
async def code(control: Control, base: str) -> str:
    """A fresh Alipay code, placed without any SDK's help but its signing."""
    from alipay import AliPay

    private, public = new_key()
    told = control.post("alipay/apps", app_id="2021", seller_id="2088", public_key=public)
    sdk = AliPay(
        appid="2021",
        app_notify_url=None,
        app_private_key_string=private,
        alipay_public_key_string=told["alipay_public_key"],
    )
    sdk._gateway = base + "/gateway.do"
    answer = await asyncio.to_thread(sdk.api_alipay_trade_precreate, "<b>tea</b>", new_number(), "1.00")
    made: str = answer["qr_code"]
    return made


async def test_opening_a_code_on_the_phone_scans_it_and_paying_shows_the_way_back(
    browser: httpx.AsyncClient, control: Control, code: str
) -> None:
    shown = await browser.get("/phone", params={"code": code, "return": "https://shop.example/back"})
    assert 'data-state="payable"' in shown.text
    assert "¥1.00" in shown.text
    assert "&lt;b&gt;tea&lt;/b&gt;" in shown.text
    (trade,) = [one for one in control.get("trades") if one["code"] == code]
    assert trade["state"] == "waiting"
    paid = await browser.post("/phone", data={"code": code, "action": "pay", "return": "https://shop.example/back"})
    assert paid.status_code == 303
    done = await browser.get(paid.headers["location"])
    assert 'data-state="paid_now"' in done.text
    assert 'href="https://shop.example/back"' in done.text
    again = await browser.get("/phone", params={"code": code})
    assert 'data-state="paid"' in again.text


@pytest.mark.parametrize(("action", "state"), [("refuse", "refused_now"), ("leave", "left_now")])
async def test_whoever_refuses_or_leaves_has_not_paid(
    browser: httpx.AsyncClient, control: Control, code: str, action: str, state: str
) -> None:
    answer = await browser.post("/phone", data={"code": code, "action": action})
    assert f'data-state="{state}"' in (await browser.get(answer.headers["location"])).text
    (trade,) = [one for one in control.get("trades") if one["code"] == code]
    assert trade["transactions"] == []


async def test_a_way_back_that_is_no_web_address_is_dropped(browser: httpx.AsyncClient, code: str) -> None:
    shown = await browser.get("/phone", params={"code": code, "return": "javascript:alert(1)"})
    assert "javascript:" not in shown.text


async def test_an_unknown_code_is_told_and_no_code_asks_for_one(browser: httpx.AsyncClient) -> None:
    unknown = await browser.get("/phone", params={"code": "weixin://wxpay/bizpayurl?pr=nobody"})
    assert (unknown.status_code, 'data-state="unknown"' in unknown.text) == (404, True)
    assert "<textarea" in (await browser.get("/phone")).text


async def test_the_pages_speak_both_languages_and_load_nothing_foreign(browser: httpx.AsyncClient) -> None:
    assert "火龙果小铺" in (await browser.get("/shop", params={"lang": "zh"})).text
    english = await browser.get("/shop")
    assert "Pitaya Corner" in english.text
    assert "default-src 'none'" in english.headers["content-security-policy"]
    assert "http://" not in english.text.replace("http://www.w3.org", "")


class Pitaya:
    """Just enough of the merchant API for the shop: it remembers what was asked and hands out a cashier."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:]) if name}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.asked.append((headers | {"request": head[0]}, body))
        answer = json.dumps({"id": "ord_1", "cashier_url": f"http://127.0.0.1:{self.port}/cashier/1"}).encode()
        writer.write(f"HTTP/1.1 201 Created\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)
        await writer.drain()
        writer.close()


def event(order: dict[str, Any], **changes: Any) -> bytes:
    data = {"id": "ord_1", "merchant_order_no": order["merchant_order_no"], "amount": order["amount"]}
    data |= {"currency": "CNY", "status": "paid"} | changes
    return json.dumps({"type": "order.paid", "api_version": "1", "timestamp": "2026-11-23", "data": data}).encode()


async def tell(browser: httpx.AsyncClient, body: bytes, webhook_id: str, secret: str = SECRET) -> httpx.Response:
    now = datetime.now(UTC)
    signature = Webhook(secret).sign(webhook_id, now, body.decode())
    headers = {"webhook-id": webhook_id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    return await browser.post("/shop/notifications", content=body, headers=headers)


async def test_the_shop_sends_the_buyer_to_the_cashier_and_believes_only_verified_webhooks(
    browser: httpx.AsyncClient, control: Control, base: str
) -> None:
    pitaya = Pitaya()
    server = await asyncio.start_server(pitaya.serve, "127.0.0.1", 0)
    pitaya.port = server.sockets[0].getsockname()[1]
    async with server:
        control.post(
            "shop", pitaya_url=f"http://127.0.0.1:{pitaya.port}", api_key="pty_sk_test_1", webhook_secret=SECRET
        )
        bought = await browser.post("/shop/buy", data={"product": "keyboard"})
    assert (bought.status_code, bought.headers["location"]) == (303, f"http://127.0.0.1:{pitaya.port}/cashier/1")
    ((headers, asked),) = pitaya.asked
    assert headers["request"].startswith("POST /v1/orders ")
    assert headers["authorization"] == "Bearer pty_sk_test_1"
    assert (asked["amount"], asked["currency"], asked["locale"]) == (12983, "CNY", "en")
    assert asked["notify_url"] == f"{base}/shop/notifications"
    page = f"/shop/orders/{asked['merchant_order_no']}"
    assert asked["return_url"].startswith(base + page)

    assert (await tell(browser, event(asked), "evt_1", "whsec_" + "A" * 32)).status_code == 401
    assert (await tell(browser, event(asked, amount=1), "evt_2")).status_code == 200
    assert (await browser.get(page + "/status")).json()["status"] == "waiting"
    assert 'data-status="waiting"' in (await browser.get(page)).text
    for _ in range(2):
        assert (await tell(browser, event(asked), "evt_3")).status_code == 200
    assert (await browser.get(page + "/status")).json()["status"] == "paid"
    (order,) = control.get("shop/orders")
    counted = [(one["id"], one["times"], one["amount_matches"]) for one in order["verified_notifications"]]
    assert (order["order_id"], counted) == ("ord_1", [("evt_2", 1, False), ("evt_3", 2, True)])


async def test_a_shop_that_is_told_to_fail_fails(browser: httpx.AsyncClient, control: Control) -> None:
    control.post("shop/behaviour", mode="error")
    assert (await browser.post("/shop/notifications", content=b"{}")).status_code == 500
    control.post("shop/behaviour", mode="normal")
    assert (await browser.post("/shop/notifications", content=b"{}")).status_code == 401


async def test_without_pitaya_the_buyer_is_told_why(browser: httpx.AsyncClient, control: Control) -> None:
    control.post("shop", pitaya_url=f"http://127.0.0.1:{free_port()}", api_key="k", webhook_secret=SECRET)
    failed = await browser.post("/shop/buy", data={"product": "coffee"})
    assert failed.status_code == 502
    assert "The order was not placed" in failed.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("pay", b'{"out_trade_no": "x", "amount": "100"}'),
        ("pay", b'{"out_trade_no": "x", "amount": 1e2}'),
        ("pay", b'{"out_trade_no": "x", "unknown": 1}'),
        ("pay", b"{}"),
        ("pay", b"\xff"),
        ("faults", b'{"fault": "late_success", "api": "query"}'),
        ("faults", b'{"fault": "gremlins"}'),
        ("alipay/apps", b'{"app_id": "1", "seller_id": "2", "public_key": "x"}'),
        ("wechat/merchants", b'{"mchid": "1", "appid": "2", "serial_no": "3", "public_key": "x", "apiv3_key": "s"}'),
        ("notices/send", b'{"channel": "alipay", "out_trade_no": "nobody"}'),
    ],
)
async def test_the_controls_refuse_what_they_do_not_understand_with_a_code(
    browser: httpx.AsyncClient, path: str, body: bytes
) -> None:
    answer = await browser.post("/control/" + path, content=body)
    assert 400 <= answer.status_code < 500
    assert answer.json()["code"]


@pytest.mark.parametrize(
    "path", ["/gateway.do", "/v3/pay/transactions/native", "/phone", "/shop/buy", "/shop/notifications", "/control/pay"]
)
@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 9999, b"a=%ff&charset=%00&biz_content=%7B"])
async def test_no_body_is_bad_enough_to_break_the_sandbox(browser: httpx.AsyncClient, path: str, body: bytes) -> None:
    assert (await browser.post(path, content=body)).status_code < 500


async def test_a_body_above_one_mebibyte_is_cut_off(browser: httpx.AsyncClient) -> None:
    # The answer may be lost: the server hangs up on what is still being sent.
    with contextlib.suppress(httpx.TransportError):
        assert (await browser.post("/gateway.do", content=b"x" * 2**21)).status_code == 413
    async with httpx.AsyncClient(base_url=browser.base_url, trust_env=False) as another:
        assert (await another.get("/livez")).status_code == 200


async def test_a_slow_merchant_gets_notices_in_another_order(control: Control, code: str, base: str) -> None:
    del code
    async with listening() as merchant:
        first, second = await _two_paid(control, base, merchant)
        numbers = [parse_qs(one.body.decode())["out_trade_no"][0] for one in await merchant.wait_for(2)]
    assert numbers == [second, first]


async def _two_paid(control: Control, base: str, merchant: Merchant) -> tuple[str, str]:
    from alipay import AliPay

    private, public = new_key()
    told = control.post("alipay/apps", app_id="2021", seller_id="2088", public_key=public)
    sdk = AliPay("2021", merchant.url, private, told["alipay_public_key"])
    sdk._gateway = base + "/gateway.do"
    numbers = new_number(), new_number()
    control.post("faults", 201, channel="alipay", api="notice", fault="reordered_notices", seconds=1)
    for number in numbers:
        await asyncio.to_thread(sdk.api_alipay_trade_precreate, "s", number, "1.00")
        control.post("pay", out_trade_no=number)
        await asyncio.sleep(0.3)
    return numbers


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_within_two_seconds_whatever_is_open(tmp_path: Path, how: signal.Signals) -> None:
    port = free_port()
    with running(port, tmp_path) as process:
        httpx.post(f"http://127.0.0.1:{port}/control/shop/behaviour", json={"mode": "silent"}, trust_env=False)
        with socket.create_connection(("127.0.0.1", port)) as waiting, socket.create_connection(("127.0.0.1", port)):
            waiting.sendall(b"POST /shop/notifications HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            time.sleep(0.2)
            began = time.monotonic()
            process.send_signal(how)
            assert process.wait(5) == 0
            assert time.monotonic() - began < 2
