"""A third party's SDK at the sandbox's WeChat Pay: it knows nothing but the base URL."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from wechatpayv3.async_ import AsyncWeChatPay, WeChatPayType

from tests.unit.sandbox.box import Control, Merchant, free_port, listening, new_key, running

MCHID, APPID, SERIAL, APIV3_KEY = "1900000001", "wx0000000000000001", "ABCDEF0123456789", "k" * 32
SECRET, SUB_MCHID, SUB_APPID = "s" * 32, "1900000999", "wx0000000000000999"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with running(port, tmp_path_factory.mktemp("sandbox")):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def control(base: str) -> Iterator[Control]:
    control = Control(base)
    yield control
    control.clear_faults()
    control.post(
        "settings", notice_speed=1.0, wechat_signer="public_key", wechat_refund_gap=60, wechat_refund_seconds=1
    )


@pytest.fixture
async def merchant() -> AsyncIterator[Merchant]:
    async with listening() as merchant:
        merchant.answers = [(204, b"")]
        yield merchant


@pytest.fixture(scope="module")
def key() -> tuple[str, str]:
    return new_key()


@pytest.fixture
def told(control: Control, key: tuple[str, str]) -> dict[str, str]:
    registered: dict[str, str] = control.post(
        "wechat/merchants",
        mchid=MCHID,
        appid=APPID,
        serial_no=SERIAL,
        public_key=key[1],
        apiv3_key=APIV3_KEY,
        secrets={APPID: SECRET, SUB_APPID: SECRET[::-1]},
    )
    return registered


@pytest.fixture
async def sdk(
    control: Control, key: tuple[str, str], told: dict[str, str], merchant: Merchant
) -> AsyncIterator[AsyncWeChatPay]:
    sdk = AsyncWeChatPay(
        wechatpay_type=WeChatPayType.NATIVE,
        mchid=MCHID,
        private_key=key[0],
        cert_serial_no=SERIAL,
        appid=APPID,
        apiv3_key=APIV3_KEY,
        notify_url=merchant.url,
        public_key=told["public_key"],
        public_key_id=told["public_key_id"],
    )
    sdk._core._gate_way = control.base
    async with httpx.AsyncClient(trust_env=False, timeout=3) as client:
        sdk._core._client = client
        yield sdk


async def place(sdk: AsyncWeChatPay, number: str, total: int = 1990, **more: Any) -> tuple[int, dict[str, Any]]:
    status, text = await sdk.pay(more.pop("description", "测试"), number, {"total": total}, **more)
    return status, json.loads(text)


async def query(sdk: AsyncWeChatPay, number: str) -> dict[str, Any]:
    _, text = await sdk.query(out_trade_no=number)
    answer: dict[str, Any] = json.loads(text)
    return answer
