"""The sandbox inside a test's own process, where its clock can be moved."""

import json
import time
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from litestar import Litestar
from litestar.testing import AsyncTestClient

from sandbox import keys
from sandbox.app import create_app
from sandbox.wechat.signing import signed_message
from sandbox.wire import beijing
from sandbox.world import World

kept_key = lru_cache(keys.kept_key)  # without a directory: made once, for making one takes a while
MERCHANT_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
HOUR = 3600


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(World, "now", staticmethod(clock))
    return clock


@pytest.fixture(autouse=True)
def _keys_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "kept_key", kept_key)


@pytest.fixture
async def client() -> AsyncIterator[AsyncTestClient[Litestar]]:
    async with AsyncTestClient(create_app(None)) as client:
        public = keys.public_pem(MERCHANT_KEY)
        await client.post("/control/alipay/apps", json={"app_id": "A", "seller_id": "S", "public_key": public})
        merchant = {"mchid": "19", "appid": "wx", "serial_no": "AB", "public_key": public, "apiv3_key": "k" * 32}
        await client.post("/control/wechat/merchants", json=merchant)
        yield client


async def alipay(client: AsyncTestClient[Litestar], method: str, **biz: Any) -> dict[str, Any]:
    params = {"app_id": "A", "method": f"alipay.trade.{method}", "charset": "gbk", "sign_type": "RSA2"}
    params |= {"timestamp": beijing(time.time()), "version": "1.0"}
    params["biz_content"] = json.dumps({"out_trade_no": "N1"} | biz, ensure_ascii=False)
    text = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
    params["sign"] = keys.sign(MERCHANT_KEY, text.encode("gbk"))
    from urllib.parse import urlencode

    answer = await client.post("/gateway.do", content=urlencode(params, encoding="gbk"))
    node: dict[str, Any] = json.loads(answer.content.decode("gbk"))[f"alipay_trade_{method}_response"]
    return node


async def wechat(client: AsyncTestClient[Litestar], method: str, url: str, body: Any = None) -> tuple[int, Any]:
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    parts = {"mchid": "19", "nonce_str": "n", "timestamp": str(int(time.time())), "serial_no": "AB", "signature": ""}
    parts["signature"] = keys.sign(MERCHANT_KEY, signed_message(parts, method, url, raw))
    header = "WECHATPAY2-SHA256-RSA2048 " + ",".join(f'{name}="{value}"' for name, value in parts.items())
    answer = await client.request(method, url, content=raw, headers={"Authorization": header})
    return answer.status_code, answer.json() if answer.content else None


ORDER = {"appid": "wx", "mchid": "19", "description": "d", "out_trade_no": "N00001", "notify_url": "https://x.example/"}


async def test_it_answers_in_process_and_signs_over_the_address_as_sent(client: AsyncTestClient[Litestar]) -> None:
    assert (await client.get("/livez")).text == "ok\n"
    status, answer = await wechat(client, "GET", "/v3/pay/transactions/out-trade-no/a%7Cb%2A12?mchid=19")
    assert (status, answer["code"]) == (404, "ORDER_NOT_EXIST")


async def test_after_its_time_a_wechat_order_is_unpayable_unpaid_and_closable(
    client: AsyncTestClient[Litestar], clock: Clock
) -> None:
    assert (await wechat(client, "POST", "/v3/pay/transactions/native", ORDER | {"amount": {"total": 5}}))[0] == 200
    clock.ahead = 8 * 24 * HOUR
    refused = await client.post("/control/pay", json={"channel": "wechat", "out_trade_no": "N00001"})
    assert (refused.status_code, refused.json()["message"]) == (409, "the trade is expired")
    query = "/v3/pay/transactions/out-trade-no/N00001"
    assert (await wechat(client, "GET", query + "?mchid=19"))[1]["trade_state"] == "NOTPAY"
    status, answer = await wechat(client, "POST", "/v3/pay/transactions/native", ORDER | {"amount": {"total": 5}})
    assert (status, answer["code"]) == (403, "OUT_TRADE_NO_USED")
    assert await wechat(client, "POST", query + "/close", {"mchid": "19"}) == (204, None)


async def test_a_wechat_code_lives_two_hours_and_the_order_gets_another(
    client: AsyncTestClient[Litestar], clock: Clock
) -> None:
    order = ORDER | {"amount": {"total": 5}}
    first = (await wechat(client, "POST", "/v3/pay/transactions/native", order))[1]["code_url"]
    clock.ahead = 3 * HOUR
    second = (await wechat(client, "POST", "/v3/pay/transactions/native", order))[1]["code_url"]
    assert second != first
    assert (await client.post("/control/pay", json={"code": first})).status_code == 404
    assert (await client.post("/control/pay", json={"code": second})).status_code == 200


async def test_alipay_counts_timeout_express_from_the_scan_and_the_codes_life_from_its_making(
    client: AsyncTestClient[Litestar], clock: Clock
) -> None:
    await alipay(client, "precreate", total_amount="1.00", subject="茶", timeout_express="10m")
    clock.ahead = 1 * HOUR
    assert (await client.post("/control/scan", json={"out_trade_no": "N1"})).json()["state"] == "waiting"
    clock.ahead = 1 * HOUR + 601
    assert (await alipay(client, "query"))["trade_status"] == "TRADE_CLOSED"

    one = await alipay(client, "precreate", out_trade_no="N2", total_amount=1.5, subject="茶")
    clock.ahead = 4 * HOUR
    assert (await client.post("/control/pay", json={"out_trade_no": "N2"})).status_code == 409
    two = await alipay(client, "precreate", out_trade_no="N2", total_amount="1.50", subject="茶")
    assert one["qr_code"] != two["qr_code"]
    assert (await client.post("/control/pay", json={"out_trade_no": "N2"})).status_code == 200


async def test_a_reset_forgets_trades_and_keeps_registrations(client: AsyncTestClient[Litestar]) -> None:
    await alipay(client, "precreate", total_amount="1.00", subject="s")
    await client.post("/control/faults", json={"fault": "slow"})
    assert (await client.post("/control/reset")).status_code == 200
    assert (await client.get("/control/trades")).json() == []
    assert (await client.get("/control/faults")).json() == []
    assert (await alipay(client, "precreate", total_amount="2.00", subject="s"))["code"] == "10000"


async def test_a_paid_trade_that_is_cancelled_is_given_back(client: AsyncTestClient[Litestar]) -> None:
    await alipay(client, "precreate", total_amount="1.00", subject="s")
    await client.post("/control/pay", json={"out_trade_no": "N1"})
    assert (await alipay(client, "cancel"))["action"] == "refund"
    assert (await alipay(client, "query"))["trade_status"] == "TRADE_CLOSED"
    # A number that it does not know is undone already; a trade number of its own it must know.
    unknown = await alipay(client, "cancel", out_trade_no="N9")
    assert (unknown["code"], unknown["retry_flag"], unknown.get("action")) == ("10000", "N", None)
    assert (await alipay(client, "cancel", trade_no="2026"))["sub_code"] == "ACQ.TRADE_NOT_EXIST"


@pytest.mark.parametrize(
    "content", [r'{"out_trade_no":"N1","subject":"\ud800"}', '{"total_amount":NaN}', '{"a":' + "9" * 9000 + "}", "null"]
)
async def test_json_that_cannot_be_kept_is_refused_by_both_channels(
    client: AsyncTestClient[Litestar], content: str
) -> None:
    params = {"app_id": "A", "method": "alipay.trade.precreate", "sign_type": "RSA2", "biz_content": content}
    params |= {"timestamp": beijing(time.time()), "version": "1.0"}
    text = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
    answer = await client.post("/gateway.do", data=params | {"sign": keys.sign(MERCHANT_KEY, text.encode())})
    assert answer.json()["alipay_trade_precreate_response"]["code"] == "40002"
    status, told = await wechat(client, "POST", "/v3/pay/transactions/native", content.encode())
    assert (status, told["code"]) == (400, "PARAM_ERROR")


@pytest.mark.parametrize("timestamp", ["", "9" * 5000, "-1", "１２３"])
async def test_a_timestamp_that_is_none_is_a_sign_error(client: AsyncTestClient[Litestar], timestamp: str) -> None:
    header = 'WECHATPAY2-SHA256-RSA2048 mchid="19",nonce_str="n",signature="s",serial_no="AB",timestamp="{}"'
    header = header.format(timestamp)
    answer = await client.get("/v3/certificates", headers={b"Authorization": header.encode()})
    assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")
