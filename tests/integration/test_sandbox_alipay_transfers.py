"""Transfers at the sandbox's Alipay, driven by a third party's SDK."""

import asyncio
import io
import zipfile
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from alipay import DCAliPay

from tests.integration.test_sandbox_alipay import Shop, base, control, key, merchant
from tests.integration.test_sandbox_alipay_ways import certified
from tests.unit.sandbox.box import Control, Merchant, new_number

# The SDK reads certificates with pyOpenSSL.
pytestmark = pytest.mark.filterwarnings("ignore:X509:DeprecationWarning")
__all__ = ["base", "certified", "control", "key", "merchant"]  # fixtures
PAYEE = {"identity": "2088000000000999", "identity_type": "ALIPAY_USER_ID", "name": "张三"}
KIND = {"product_code": "TRANS_ACCOUNT_NO_PWD", "biz_scene": "DIRECT_TRANSFER"}


@dataclass(frozen=True)
class Payer:
    """Who pays out: an application in certificate mode."""

    sdk: DCAliPay


@pytest.fixture
def shop(certified: DCAliPay) -> Payer:
    return Payer(certified)


async def call(shop: Payer, method: str, **biz: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await asyncio.to_thread(shop.sdk.server_api, f"alipay.fund.trans.{method}", biz)
    return answer


async def send(shop: Payer, number: str, amount: str = "12.34", **more: Any) -> dict[str, Any]:
    asked = {"out_biz_no": number, "trans_amount": amount, "order_title": "货款", "payee_info": PAYEE} | KIND | more
    return await call(shop, "uni.transfer", **asked)


async def ask(shop: Payer, number: str) -> dict[str, Any]:
    return await call(shop, "common.query", out_biz_no=number, **KIND)


async def until(shop: Payer, number: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while (answer := await ask(shop, number))["status"] != status:  # noqa: ASYNC110 - the far side moves by its own clock
            await asyncio.sleep(0.1)
    return answer


async def test_a_transfer_is_done_at_once_and_once(shop: Payer) -> None:
    number = new_number()
    assert (await ask(shop, number))["sub_code"] == "ORDER_NOT_EXIST"
    done = await send(shop, number)
    assert (done["code"], done["status"], done["out_biz_no"]) == ("10000", "SUCCESS", number)
    assert await send(shop, number) == done
    found = await ask(shop, number)
    assert (found["status"], found["order_id"], found["trans_amount"]) == ("SUCCESS", done["order_id"], "12.34")
    assert (await call(shop, "common.query", order_id=done["order_id"]))["out_biz_no"] == number
    assert (await send(shop, number, "12.35"))["sub_code"] == "PAYMENT_INFO_INCONSISTENCY"


@pytest.mark.parametrize(
    ("fault", "sub_code"),
    [("funds_short", "PAYER_BALANCE_NOT_ENOUGH"), ("transfer_refused", "PAYEE_USER_INFO_ERROR")],
)
async def test_a_transfer_that_is_not_taken_leaves_nothing_behind(
    shop: Payer, control: Control, fault: str, sub_code: str
) -> None:
    number = new_number()
    control.post("faults", 201, channel="alipay", api="transfer", fault=fault)
    assert (await send(shop, number))["sub_code"] == sub_code
    assert (await ask(shop, number))["sub_code"] == "ORDER_NOT_EXIST"


@pytest.mark.parametrize(
    ("fault", "first", "last"),
    [
        ("transfer_waits", "DEALING", "SUCCESS"),
        ("transfer_fails", "DEALING", "FAIL"),
        ("transfer_bounces", "SUCCESS", "REFUND"),
    ],
)
async def test_what_was_taken_may_still_change(
    shop: Payer, control: Control, fault: str, first: str, last: str
) -> None:
    number = new_number()
    control.post("faults", 201, channel="alipay", api="transfer", fault=fault, seconds=0.1)
    assert (await send(shop, number))["status"] == first
    found = await until(shop, number, last)
    assert ("fail_reason" in found) == (last != "SUCCESS")


@pytest.mark.parametrize(
    ("changes", "sub_code"),
    [
        ({"amount": "0.09"}, "EXCEED_LIMIT_SM_MIN_AMOUNT"),
        ({"payee_info": PAYEE | {"identity_type": "ALIPAY_LOGON_ID", "name": ""}}, "INVALID_PARAMETER"),
        ({"product_code": "STD_RED_PACKET"}, "INVALID_PARAMETER"),
        ({"order_title": ""}, "INVALID_PARAMETER"),
    ],
)
async def test_what_the_documents_forbid_is_refused(shop: Payer, changes: dict[str, Any], sub_code: str) -> None:
    assert (await send(shop, new_number(), **changes))["sub_code"] == sub_code


async def test_transfers_are_in_the_fund_bill(shop: Payer, control: Control) -> None:
    control.post("settings", alipay_bills="now")
    control.post("faults", 201, channel="alipay", api="transfer", fault="transfer_bounces", seconds=0.1)
    number = new_number()
    done = await send(shop, number)
    await until(shop, number, "REFUND")
    day = {"bill_type": "signcustomer", "bill_date": done["trans_date"][:10]}
    told = await asyncio.to_thread(shop.sdk.server_api, "alipay.data.dataservice.bill.downloadurl.query", day)
    control.post("settings", alipay_bills="clock")
    async with httpx.AsyncClient(trust_env=False) as client:
        packed = await client.get(told["bill_download_url"].replace("localhost", "127.0.0.1"))
    with zipfile.ZipFile(io.BytesIO(packed.content)) as bundle:
        text = bundle.read(bundle.infolist()[0]).decode("gbk")
    rows = [line.replace("\t", "").split(",") for line in text.splitlines() if number in line]
    assert [(row[6], row[7], row[10]) for row in rows] == [("12.34", "0.00", "转账退回"), ("0.00", "-12.34", "转账")]


async def test_bare_keys_send_nothing(control: Control, key: tuple[str, str], merchant: Merchant) -> None:
    """As the gateway refuses whatever spends money without certificates: https://github.com/yansongda/pay/issues/325."""
    bare = Shop(control, key, merchant.url)
    asked = {"out_biz_no": new_number(), "trans_amount": "12.34", "order_title": "货款", "payee_info": PAYEE} | KIND
    refused = await asyncio.to_thread(bare.sdk.server_api, "alipay.fund.trans.uni.transfer", asked)
    assert (refused["code"], refused["sub_code"]) == ("40002", "isv.missing-app-cert-sn")
