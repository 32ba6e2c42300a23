"""The sandbox's Alipay shares what a seller was paid, driven by a third party's SDK."""

from typing import Any

import pytest

from tests.integration.test_sandbox_alipay import APP, SELLER, Shop, base, control, key, merchant
from tests.unit.sandbox.box import Control, Merchant, new_number

__all__ = ["APP", "base", "control", "key", "merchant"]  # fixtures, and what registers the seller
PLATFORM, OTHER = "2088000000000777", "2088000000000778"


@pytest.fixture
def shop(control: Control, key: tuple[str, str], merchant: Merchant) -> Shop:
    control.post("settings", share_seconds=0)
    return Shop(control, key, merchant.url)


async def relate(shop: Shop, method: str = "bind", account: str = PLATFORM) -> dict[str, Any]:
    receiver = {"type": "userId", "account": account, "name": "平台公司", "memo": "平台服务费"}
    return await shop(f"royalty.relation.{method}", receiver_list=[receiver], out_request_no=new_number())


async def paid(shop: Shop, control: Control, **more: Any) -> str:
    """The trade_no of 19.90."""
    number = new_number()
    await shop("precreate", out_trade_no=number, total_amount="19.90", subject="茶", **more)
    trade = control.post("pay", channel="alipay", out_trade_no=number, notify=False)
    trade_no: str = trade["transactions"][0]["transaction"]
    return trade_no


def part(amount: str = "1.00", account: str = PLATFORM) -> dict[str, str]:
    return {"royalty_type": "transfer", "trans_in_type": "userId", "trans_in": account, "amount": amount, "desc": "分"}


async def settle(shop: Shop, trade_no: str, *parts: dict[str, str], number: str = "", **more: Any) -> dict[str, Any]:
    asked = {"out_request_no": number or new_number(), "trade_no": trade_no, "royalty_parameters": list(parts)}
    return await shop("order.settle", **asked, **more)


async def details(shop: Shop, trade_no: str, number: str) -> list[dict[str, Any]]:
    answer = await shop("order.settle.query", trade_no=trade_no, out_request_no=number)
    found: list[dict[str, Any]] = answer["royalty_detail_list"]
    return found


async def test_relations_are_bound_listed_and_unbound(shop: Shop) -> None:
    assert (await relate(shop))["result_code"] == "SUCCESS"
    assert (await relate(shop, account=OTHER))["result_code"] == "SUCCESS"
    await relate(shop, "unbind", OTHER)
    listed = await shop("royalty.relation.batchquery", page_num=1, page_size=20, out_request_no=new_number())
    assert [one["account"] for one in listed["receiver_list"]] == [PLATFORM]
    assert (listed["total_record_num"], listed["total_page_num"]) == (1, 1)


async def test_at_once_all_parts_are_done_or_none(shop: Shop, control: Control) -> None:
    await relate(shop)
    trade_no, number = await paid(shop, control), new_number()
    refused = await settle(shop, trade_no, part(), part(account="2088000000000999"))
    assert refused["sub_code"] == "ACQ.ROYALTY_RECEIVER_INVALID"
    done = await settle(shop, trade_no, part(), number=number)
    assert (done["code"], done["trade_no"]) == ("10000", trade_no)
    assert await settle(shop, trade_no, part(), number=number) == done
    assert (await settle(shop, trade_no, part("1.01"), number=number))["sub_code"] == "ACQ.DISCORDANT_REPEAT_REQUEST"
    (detail,) = await details(shop, trade_no, number)
    assert (detail["state"], detail["amount"], detail["trans_in"], detail["trans_out"]) == (
        "SUCCESS",
        "1.00",
        PLATFORM,
        SELLER,
    )
    mixed = await settle(shop, trade_no, part(), royalty_mode="async")
    assert mixed["sub_code"] == "ACQ.TRADE_SETTLE_ERROR"


async def test_later_each_part_has_an_end_of_its_own(shop: Shop, control: Control) -> None:
    await relate(shop)
    control.post("settings", share_seconds=600)
    trade_no, number = await paid(shop, control, extend_params={"royalty_freeze": "true"}), new_number()
    await settle(shop, trade_no, part(), number=number, royalty_mode="async")
    assert [one["state"] for one in await details(shop, trade_no, number)] == ["PROCESSING"]
    control.post("settings", share_seconds=0)
    number = new_number()
    await settle(shop, trade_no, part(), part(account="2088000000000999"), number=number, royalty_mode="async")
    states = [(one["state"], one.get("error_code")) for one in await details(shop, trade_no, number)]
    assert states == [("SUCCESS", None), ("FAIL", "ROYALTY_RECEIVER_INVALID")]


async def test_no_more_than_three_tenths_and_nothing_after_the_end(shop: Shop, control: Control) -> None:
    await relate(shop)
    trade_no = await paid(shop, control, extend_params={"royalty_freeze": "true"})
    assert (await settle(shop, trade_no, part("5.98")))["sub_code"] == "ACQ.ALLOC_AMOUNT_VALIDATE_ERROR"
    assert (await settle(shop, trade_no, part("5.97")))["code"] == "10000"
    finish = {"extend_params": {"royalty_finish": "true"}}
    assert (await settle(shop, trade_no, number=new_number(), **finish))["code"] == "10000"
    assert (await settle(shop, trade_no, part("0.01")))["sub_code"] == "ACQ.ROYALTY_FINISHED"
    unknown = await shop("order.settle.query", trade_no=trade_no, out_request_no=new_number())
    assert unknown["sub_code"] == "ACQ.SETTLE_NOT_EXIST"


async def test_a_share_goes_back_with_a_refund_or_there_is_no_refund(shop: Shop, control: Control) -> None:
    await relate(shop)
    trade_no, number = await paid(shop, control), new_number()
    await settle(shop, trade_no, part("2.00"))
    back = {"royalty_type": "transfer", "trans_out": PLATFORM, "trans_out_type": "userId", "amount": "1.00"}
    asked = {"trade_no": trade_no, "refund_amount": "9.95", "out_request_no": number}
    control.post("faults", 201, channel="alipay", api="refund", fault="return_refused")
    refused = await shop("refund", **asked, refund_royalty_parameters=[back])
    assert refused["sub_code"] == "ACQ.SELLER_BALANCE_NOT_ENOUGH"
    too_much = await shop("refund", **asked, refund_royalty_parameters=[back | {"amount": "2.01"}])
    assert too_much["sub_code"] == "ACQ.REFUND_ROYALTY_AMOUNT_ERROR"
    done = await shop("refund", **asked, refund_royalty_parameters=[back])
    assert (done["fund_change"], done["refund_royaltys"][0]["refund_amount"]) == ("Y", "1.00")
    again = await shop("refund", **asked, refund_royalty_parameters=[back])
    assert again["fund_change"] == "N"
    found = await shop("fastpay.refund.query", trade_no=trade_no, out_request_no=number)
    assert [one["trans_out"] for one in found["refund_royaltys"]] == [PLATFORM]
